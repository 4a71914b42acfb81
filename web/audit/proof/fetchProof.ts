import { ClientError } from '@parley/client';
import type { ConsoleApi } from '../../console/consoleApi.js';
import { pluralize } from '../../ui/format.js';
import type { EventRow } from '../auditTypes.js';
import { type VerifiedProof, verifyInclusion } from '../verify/inclusion.js';
import { parseNote } from '../verify/note.js';
import { parseCheckpoint, verifyKnownKey } from '../verify/signedHead.js';
import { Malformed } from '../verify/verification.js';

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

/** There is no event at a position. */
export class NoSuchEvent extends Error {}

/** Keeps an event as the console showed it, so that its proof can be compared with it. */
export function rememberEvent(event: EventRow): void {
  shownEvents.set(`${event.partition}/${event.offset}`, event);
  const [oldest] = shownEvents.keys();
  if (shownEvents.size > MAX_REMEMBERED_EVENTS && oldest !== undefined) shownEvents.delete(oldest);
}

/** Forgets all events, because a text of them may be erased. */
export const forgetEvents = (): void => shownEvents.clear();

/**
 * Fetches the proof of an event and the server's keys, and verifies the proof in this browser. If the browser trusts
 * some keys of the partition already (`trustedKeys`), the signing key must be one of them.
 */
export async function fetchProof(
  api: ConsoleApi,
  position: Position,
  trustedKeys: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<EventProof> {
  const { partition, offset } = position;
  const [answer, keys] = await Promise.all([
    api.json<unknown>(`/audit/log/${partition}/proof`, { offset }, signal),
    api.text('/audit/log/key', {}, signal),
  ]);
  const event = shownEvents.get(`${partition}/${offset}`) ?? (await findEvent(api, position, signal));
  const verified = await verifyInclusion(answer, keys, {
    partition,
    offset,
    ...(event ? { event: { ...event } } : {}),
  });
  const file = { ...(answer as object), keys }; // The spread of anything but an object adds nothing.
  const steps = trustedKeys ? [...verified.steps, verifyKnownKey(verified.key, trustedKeys)] : verified.steps;
  return { ...verified, steps, file, event };
}

/** The server waits for an event that is not there yet. Rejects at once with `NoSuchEvent` instead. */
export async function requireEvent(api: ConsoleApi, position: Position, signal: AbortSignal): Promise<void> {
  const { partition, offset } = position;
  if (shownEvents.has(`${partition}/${offset}`)) return;
  const head = await api
    .text(`/audit/log/${partition}/checkpoint`, {}, signal)
    .catch((error: unknown) => withoutHead(api, position, signal, error));
  const size = head === undefined ? undefined : sizeOf(head);
  if (size !== undefined && offset >= size)
    throw new NoSuchEvent(
      `Partition ${partition} has ${pluralize(size, 'event')}. The largest offset is ${size - 1}.`,
    );
}

/** An empty partition has no head. Rejects with `NoSuchEvent`, or with `error` where that is not the reason. */
async function withoutHead(
  api: ConsoleApi,
  position: Position,
  signal: AbortSignal,
  error: unknown,
): Promise<undefined> {
  const isWithout = error instanceof ClientError && error.code === 'overloaded';
  if (isWithout && (await findEvent(api, position, signal)) === undefined)
    throw new NoSuchEvent(`Partition ${position.partition} has no event at offset ${position.offset}.`);
  throw error;
}

/** The size that a signed head states; undefined if it is malformed, which the proof then shows. */
function sizeOf(head: string): number | undefined {
  try {
    return parseCheckpoint(parseNote(head).text).size;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Fetches the event at a position: an auditor who followed a link has not seen it yet. */
async function findEvent(
  api: ConsoleApi,
  { partition, offset }: Position,
  signal: AbortSignal,
): Promise<EventRow | undefined> {
  try {
    const path = `/audit/events/${partition}/${offset}`;
    return (await api.json<{ event: EventRow }>(path, {}, signal)).event;
  } catch (error) {
    if (error instanceof ClientError && error.code === 'not_found') return undefined;
    throw error;
  }
}
