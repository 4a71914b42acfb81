import type { ConsoleApi } from '../../console/consoleApi.js';
import type { EventRow } from '../auditTypes.js';
import { READS } from '../events/eventFilter.js';
import { titleOfType } from '../eventWords.js';
import { foldMembers, isMembership, type MemberPeriods } from './memberPeriods.js';

/** More steps than this could not be told apart on a slider. */
export const MAX_CHANGES = 20_000;

/** The room or the user whose past is shown. */
export interface Subject {
  readonly kind: 'room' | 'user';
  readonly id: string;
}

/** A time at which the subject changed: one step of the slider. */
export interface Change {
  readonly at: string;
  /** The event's type in words, with the message's seq if it has one. */
  readonly title: string;
}

/** The changes of a subject, oldest first. */
export interface Changes {
  readonly changes: readonly Change[];
  /** Whether there are more than `MAX_CHANGES`. */
  readonly isCut: boolean;
  /** Who was in the room when; of a user nobody. */
  readonly members: MemberPeriods;
  /** When the room was created or the user signed up; undefined of two users who have ties without a chat. */
  readonly createdAt: string | undefined;
}

/** The types of events that begin a room or a user. */
const BEGINNINGS: ReadonlySet<string> = new Set(['RoomCreated', 'GroupCreated', 'UserRegistered']);

/** What one filter finds. */
interface FoundChanges extends Pick<Changes, 'changes' | 'isCut'> {
  readonly membership: readonly EventRow[];
  readonly beginnings: readonly string[];
}

/** Reads when a subject changed: the events of its stream and, for a user, the events that they caused. */
export async function readChanges(
  api: ConsoleApi,
  { kind, id }: Subject,
  signal: AbortSignal,
): Promise<Changes> {
  // A query of an auditor changes nothing about its subject.
  const except = READS;
  const filters = [{ stream: `${kind}:${id}`, except }, ...(kind === 'user' ? [{ actor: id, except }] : [])];
  const found = await Promise.all(filters.map((filter) => readFiltered(api, filter, signal)));
  const byTime = new Map(found.flatMap(({ changes }) => changes.map((change) => [change.at, change])));
  const changes = [...byTime.values()].sort((one, two) => (one.at < two.at ? -1 : 1));
  const membership = kind === 'room' ? found.flatMap((one) => one.membership) : [];
  return {
    ...{ changes, isCut: found.some(({ isCut }) => isCut), members: foldMembers(membership) },
    // The first filter is the subject's own stream.
    createdAt: found[0]?.beginnings[0],
  };
}

async function readFiltered(
  api: ConsoleApi,
  filter: Record<string, string>,
  signal: AbortSignal,
): Promise<FoundChanges> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const changes: Change[] = [];
  const membership: EventRow[] = [];
  const beginnings: string[] = [];
  for await (const events of api.lines<EventRow>('/audit/events/stream', filter, either)) {
    for (const { recordedAt, type, data } of events) {
      const title = titleOfType(type);
      if (BEGINNINGS.has(type)) beginnings.push(recordedAt);
      changes.push({ at: recordedAt, title: typeof data.seq === 'number' ? `${title} ${data.seq}` : title });
    }
    membership.push(...events.filter(({ type }) => isMembership(type)));
    if (changes.length >= MAX_CHANGES)
      return { changes: changes.slice(0, MAX_CHANGES), isCut: true, membership, beginnings };
  }
  return { changes, isCut: false, membership, beginnings };
}

/** The index of the last change that is not after this time; 0 if all are. */
export function changeIndexAt(changes: readonly Change[], at: string): number {
  const later = changes.findIndex((change) => change.at > at);
  return Math.max(0, later === -1 ? changes.length - 1 : later - 1);
}
