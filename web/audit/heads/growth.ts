import type { Api } from '../api.js';
import { fromBase64 } from '../verify/bytes.js';
import type { Seen } from '../witness/memory.js';

/** How a partition grew. */
export interface Growth {
  readonly partition: number;
  /** Oldest first. */
  readonly points: readonly Seen[];
}

/** Places of each partition that are asked about, however large it is. */
const SAMPLES = 12;
/** Of all partitions. */
const MOST_SAMPLES = 200;

/**
 * When a partition had some of its sizes, from when the events at these places were recorded: the log has grown
 * long before this browser first looked at it.
 */
export async function sampleGrowth(
  api: Api,
  {
    partition,
    size,
    partitions,
  }: { readonly partition: number; readonly size: number; readonly partitions: number },
  signal: AbortSignal,
): Promise<readonly Seen[]> {
  if (size === 0) return [];
  const count = Math.max(2, Math.min(SAMPLES, Math.floor(MOST_SAMPLES / partitions)));
  const offsets = Array.from({ length: count }, (_, i) => Math.round(((size - 1) * i) / (count - 1)));
  const points: Seen[] = [];
  for (const offset of new Set(offsets)) {
    const { entry } = await api.json<{ entry: string }>(
      `/audit/log/${partition}/proof`,
      { offset, size },
      signal,
    );
    const { recordedAt } = JSON.parse(new TextDecoder().decode(fromBase64(entry)));
    if (typeof recordedAt === 'string') points.push({ at: recordedAt, size: offset + 1 });
  }
  return points;
}

/** All points of a partition in order. */
export const joined = (...points: readonly (readonly Seen[])[]): readonly Seen[] =>
  [...new Map(points.flat().map((point) => [point.at, point])).values()].sort((one, two) =>
    one.at < two.at ? -1 : 1,
  );
