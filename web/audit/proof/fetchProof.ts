import type { AuditApi, EventRow } from '../auditApi.js';
import { fromBase64 } from '../verify/bytes.js';
import { readEntry } from '../verify/entry.js';
import { type VerifiedProof, verifyInclusion } from '../verify/inclusion.js';
import { verifyKnownKey } from '../verify/signedHead.js';

const MAX_REMEMBERED_EVENTS = 200;

/** An event's position in the log. */
export interface Position {
  readonly partition: number;
  readonly offset: number;
}

/** A proof from the server with the result of its verification. */
export interface EventProof extends VerifiedProof {
  /** The server's answer and its keys: all that others need to verify the proof. */
  readonly file: unknown;
  /** The event at this position with its text decrypted, if there is one. */
  readonly event: EventRow | undefined;
}

const shownEvents = new Map<string, EventRow>();

/** Keeps an event as the console showed it, so that its proof can be compared with it. */
export function rememberEvent(event: EventRow): void {
  shownEvents.set(`${event.partition}/${event.offset}`, event);
  const [oldest] = shownEvents.keys();
  if (shownEvents.size > MAX_REMEMBERED_EVENTS && oldest !== undefined) shownEvents.delete(oldest);
}

/**
 * Fetches the proof of an event and the server's keys, and verifies the proof in this browser. If the browser trusts
 * some keys of the partition already (`trustedKeys`), the signing key must be one of them.
 */
export async function fetchProof(
  api: AuditApi,
  position: Position,
  trustedKeys: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<EventProof> {
  const { partition, offset } = position;
  const [answer, keys] = await Promise.all([
    api.json<unknown>(`/audit/log/${partition}/proof`, { offset }, signal),
    api.text('/audit/log/key', {}, signal),
  ]);
  const event = shownEvents.get(`${partition}/${offset}`) ?? (await findEvent(api, answer, position, signal));
  const verified = await verifyInclusion(answer, keys, {
    partition,
    offset,
    ...(event ? { event: { ...event } } : {}),
  });
  const file = { ...(answer as object), keys }; // The spread of anything but an object adds nothing.
  const steps = trustedKeys ? [...verified.steps, verifyKnownKey(verified.key, trustedKeys)] : verified.steps;
  return { ...verified, steps, file, event };
}

/** Finds the event of an entry by a search: an auditor who followed a link has not seen it yet. */
async function findEvent(
  api: AuditApi,
  answer: unknown,
  { partition, offset }: Position,
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

/** The entry's stream and time; `undefined` if it is malformed, which the verification reports. */
function entryOf(answer: unknown): { stream: string; recordedAt: string } | undefined {
  try {
    const { entry } = answer as { entry: string }; // Anything else fails here or in the verification.
    const { stream, recordedAt } = readEntry(new TextDecoder().decode(fromBase64(entry)));
    const isTime = typeof recordedAt === 'string' && !Number.isNaN(Date.parse(recordedAt));
    if (typeof stream === 'string' && isTime) return { stream, recordedAt };
  } catch {
    // Reported by the verification.
  }
  return undefined;
}
