import type { Api } from '../api.js';
import type { EventRow } from '../types.js';
import { fromBase64 } from '../verify/bytes.js';
import { type CheckedProof, checkInclusion } from '../verify/inclusion.js';
import { checkKnown } from '../verify/signed.js';
import { recall } from './shownEvents.js';

/** A proof as it came and as it was found. */
export interface Proven extends CheckedProof {
  /** The server's answer, with the keys beside it: what others need to check it. */
  readonly file: string;
  /** The event with its text opened, as auditors are shown it, if there is one at this place. */
  readonly event: EventRow | undefined;
}

/**
 * Fetches the proof of the event at a place, and the keys, and checks it here; the key also against those `known` to
 * this browser of that partition, if there are.
 */
export async function fetchProof(
  api: Api,
  { partition, offset }: { readonly partition: number; readonly offset: number },
  known: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Proven> {
  const [answer, keys] = await Promise.all([
    api.json<unknown>(`/audit/log/${partition}/proof`, { offset }, signal),
    api.text('/audit/log/key', {}, signal),
  ]);
  const event = recall(partition, offset) ?? (await find(api, answer, { partition, offset }, signal));
  const checked = await checkInclusion(answer, keys, {
    partition,
    offset,
    ...(event ? { event: { ...event } } : {}),
  });
  const file = JSON.stringify({ ...(answer as object), keys }, null, 2); // An object, or nothing of it is taken over.
  const steps = known ? [...checked.steps, checkKnown(checked.key, known)] : checked.steps;
  return { ...checked, steps, file, event };
}

/** The event of an entry as the search shows it: who came by an address has seen none yet. */
async function find(
  api: Api,
  answer: unknown,
  { partition, offset }: { readonly partition: number; readonly offset: number },
  signal: AbortSignal,
): Promise<EventRow | undefined> {
  const entry = entryOf(answer);
  if (!entry) return undefined;
  const { stream, recordedAt } = entry;
  const until = new Date(Date.parse(recordedAt) + 1).toISOString();
  const query = { stream, since: recordedAt, until, partition, limit: 200 };
  const { events } = await api.json<{ events: readonly EventRow[] }>('/audit/events', query, signal);
  return events.find((event) => event.offset === offset);
}

/** What an entry says of where to search for it; undefined if it is not to be read, which the check will tell of. */
function entryOf(answer: unknown): { stream: string; recordedAt: string } | undefined {
  try {
    const { entry } = answer as { entry: string }; // Whatever else it is fails, here or in the check.
    const { stream, recordedAt } = JSON.parse(new TextDecoder().decode(fromBase64(entry)));
    if (typeof stream === 'string' && !Number.isNaN(Date.parse(recordedAt))) return { stream, recordedAt };
  } catch {
    // See above.
  }
  return undefined;
}
