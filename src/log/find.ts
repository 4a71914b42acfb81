import type { EventLog } from './log.js';

/**
 * The last position whose commit ends at or before `size`; 0 if there is none. A binary search over the log's one
 * index: as many reads as the logarithm of the partition's length.
 */
export async function positionOfSize(
  log: Pick<EventLog, 'read' | 'tail'>,
  partition: number,
  size: number,
): Promise<number> {
  const tail = await log.tail(partition);
  if (!tail || tail.size <= size) return tail?.position ?? 0;
  let low = 0;
  let high = tail.position;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const [commit] = await log.read(partition, middle - 1, 1);
    if (!commit)
      throw new Error(`partition ${partition} has no commit at position ${middle}, before its tail`);
    if (commit.size <= size) low = middle;
    else high = middle;
  }
  return low;
}
