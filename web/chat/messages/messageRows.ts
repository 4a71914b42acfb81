import type { Entry } from '@parley/client';
import { startOfDay } from '../../ui/format.js';
import type { ShownHappening } from './happenings.js';

/**
 * A message of the list, with what stands above and below it: the heading of its day, the line of new messages, who came
 * and went behind it. These are no rows of their own: a heading would stay the first row when earlier messages are
 * inserted, and the list would hold its scroll position at it.
 */
export interface Row {
  readonly key: string;
  readonly entry: Entry;
  /** The time to name in the heading, in ISO 8601. */
  readonly day: string | undefined;
  /** Whether the line of new messages stands above it. */
  readonly isFirstUnread: boolean;
  /** Whether the message above is of the same person and a few minutes older at most. */
  readonly isContinued: boolean;
  /** What happened before it, of the first row alone. */
  readonly before: readonly ShownHappening[];
  /** What happened behind it. */
  readonly after: readonly ShownHappening[];
}

/** The message id: the same while the message is sending, stored or refused. */
export const idOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.messageId : entry.messageId;

/** The server's time of a stored message; else when the user wrote it. */
export const timeOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.sentAt : entry.queuedAt;

/** The text; `null` if the message was deleted or erased. */
export const textOf = (entry: Entry): string | null =>
  entry.state === 'stored' ? entry.message.message : entry.message;

/** The sender's id; `undefined` of what this user has not sent yet. */
const senderOf = (entry: Entry): string | undefined =>
  entry.state === 'stored' ? entry.message.senderId : undefined;

/** A message this much later than the one above begins a new group of messages. */
const CONTINUED_MS = 5 * 60_000;

interface EntryTime {
  readonly ms: number;
  /** As `startOfDay`. */
  readonly day: number;
}

const times = new WeakMap<Entry, EntryTime>();

/** The entry's time. To read it takes some µs, and it is asked of every message at each change of the room. */
function readTime(entry: Entry): EntryTime {
  const known = times.get(entry);
  if (known) return known;
  const time = timeOf(entry);
  const read = { ms: Date.parse(time), day: startOfDay(time) };
  times.set(entry, read);
  return read;
}

const NONE: readonly ShownHappening[] = [];

/** What the rows are made of. */
export interface RowSource {
  readonly entries: readonly Entry[];
  readonly happenings: readonly ShownHappening[];
  /** Whether the first entry is the first of the room. Until then it has no heading, which would move the view. */
  readonly isComplete: boolean;
  readonly myId: string;
  /** The line of new messages stands behind this `seq`; `undefined`: there is none. */
  readonly unreadAfter: number | undefined;
}

/** The rows of a room in the order of its entries. */
export function rowsOf(source: RowSource): readonly Row[] {
  const { entries, isComplete, myId, unreadAfter } = source;
  const happenings = placedHappenings(source);
  let above: Entry | undefined;
  let isUnreadShown = unreadAfter === undefined;
  return entries.map((entry, i) => {
    const isNewDay = above === undefined || readTime(entry).day !== readTime(above).day;
    const isFirstUnread = !isUnreadShown && isUnread(entry, unreadAfter ?? 0, myId);
    if (isFirstUnread) isUnreadShown = true;
    const [before, after] = [happenings.get(-1), happenings.get(i)];
    const row: Row = {
      key: idOf(entry),
      entry,
      day: isNewDay && (isComplete || i > 0) ? timeOf(entry) : undefined,
      isFirstUnread,
      isContinued:
        above !== undefined &&
        !isNewDay &&
        !isFirstUnread &&
        !happenings.has(i - 1) &&
        isNext(above, entry, myId),
      before: (i === 0 && before) || NONE,
      after: after ?? NONE,
    };
    above = entry;
    return row;
  });
}

const isUnread = (entry: Entry, after: number, myId: string): boolean =>
  entry.state === 'stored' && entry.message.seq > after && entry.message.senderId !== myId;

function isNext(above: Entry, entry: Entry, myId: string): boolean {
  if ((senderOf(above) ?? myId) !== (senderOf(entry) ?? myId)) return false;
  return readTime(entry).ms - readTime(above).ms < CONTINUED_MS;
}

/** Happenings by the index of the entry that they are behind; -1: before the first one of a complete history. */
function placedHappenings({
  entries,
  happenings,
  isComplete,
}: RowSource): ReadonlyMap<number, ShownHappening[]> {
  const placed = new Map<number, ShownHappening[]>();
  let [index, at] = [entries.length - 1, Number.POSITIVE_INFINITY];
  // Their order is nearly that of the entries, so that one walk back finds the places of all.
  for (const happening of happenings.toReversed()) {
    if (happening.at > at) index = entries.length - 1;
    at = happening.at;
    while (index >= 0 && !isUpTo(entries[index], at)) index--;
    if (index < 0 && !isComplete) continue;
    const others = placed.get(index);
    if (others) others.push(happening);
    else placed.set(index, [happening]);
  }
  for (const behind of placed.values()) behind.reverse();
  return placed;
}

const isUpTo = (entry: Entry | undefined, seq: number): boolean =>
  entry?.state === 'stored' && entry.message.seq <= seq;

/** The highest stored seq up to this row; 0 if there is none. */
export function newestSeq(rows: readonly Row[], lastIndex = -1): number {
  for (let i = Math.min(lastIndex, rows.length - 1); i >= 0; i--) {
    const row = rows[i];
    if (row?.entry.state === 'stored') return row.entry.message.seq;
  }
  return 0;
}
