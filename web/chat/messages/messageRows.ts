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
  /** Whether the last entry is the newest of the room. */
  readonly isAtEnd: boolean;
  readonly myId: string;
  /** The line of new messages stands behind this `seq`; `undefined`: there is none. */
  readonly unreadAfter: number | undefined;
}

/**
 * Makes the rows of a room in the order of its entries. Rows that do not change are the same objects as in the last call:
 * a message that arrives changes one row of up to 10,000.
 */
export function viewRows(): (source: RowSource) => readonly Row[] {
  let last: { readonly source: RowSource; readonly rows: readonly Row[] } | undefined;
  return (source) => {
    const { entries, isComplete, myId, unreadAfter } = source;
    const before =
      last?.source.isComplete === isComplete &&
      last.source.myId === myId &&
      last.source.unreadAfter === unreadAfter
        ? last.rows
        : [];
    const happenings = placedHappenings(source);
    let above: Entry | undefined;
    // Until the first new message is here, the line would stand above another one, and move the view when it leaves.
    const isLineAbove = !isComplete && unreadAfter !== undefined && seqOf(entries[0]) > unreadAfter + 1;
    let isUnreadShown = unreadAfter === undefined || isLineAbove;
    const rows = entries.map((entry, i) => {
      const isFirstUnread = !isUnreadShown && isUnread(entry, unreadAfter ?? 0, myId);
      if (isFirstUnread) isUnreadShown = true;
      const row = before[i];
      const isAsBefore =
        row?.entry === entry &&
        before[i - 1]?.entry === above &&
        row.isFirstUnread === isFirstUnread &&
        !(happenings.size > 0 && (happenings.has(i) || happenings.has(i - 1))) &&
        row.after === NONE &&
        (before[i - 1]?.after ?? NONE) === NONE &&
        row.before === NONE;
      const next = isAsBefore ? row : makeRow(source, happenings, i, isFirstUnread);
      above = entry;
      return next;
    });
    last = { source, rows };
    return rows;
  };
}

/** @param i the index of the entry */
function makeRow(
  { entries, isComplete, myId }: RowSource,
  happenings: ReadonlyMap<number, ShownHappening[]>,
  i: number,
  isFirstUnread: boolean,
): Row {
  const [above, entry] = [entries[i - 1], entries[i]];
  if (!entry) throw new RangeError(`there is no entry ${i}`);
  const isNewDay = above === undefined || readTime(entry).day !== readTime(above).day;
  return {
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
    before: (i === 0 && happenings.get(-1)) || NONE,
    after: happenings.get(i) ?? NONE,
  };
}

const seqOf = (entry: Entry | undefined): number => (entry?.state === 'stored' ? entry.message.seq : 0);

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
  isAtEnd,
}: RowSource): ReadonlyMap<number, ShownHappening[]> {
  const placed = new Map<number, ShownHappening[]>();
  for (const happening of happenings) {
    const index = lastUpTo(entries, happening.at);
    if (index < 0 && !isComplete) continue;
    // It may be behind a later message, which is not here.
    if (index === entries.length - 1 && !isAtEnd) continue;
    const others = placed.get(index);
    if (others) others.push(happening);
    else placed.set(index, [happening]);
  }
  return placed;
}

/** The index of the last stored message up to this `seq`; -1: there is none. */
function lastUpTo(entries: readonly Entry[], seq: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry?.state === 'stored' && entry.message.seq <= seq) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The highest stored seq up to this row; 0 if there is none. */
export function newestSeq(rows: readonly Row[], lastIndex = -1): number {
  for (let i = Math.min(lastIndex, rows.length - 1); i >= 0; i--) {
    const row = rows[i];
    if (row?.entry.state === 'stored') return row.entry.message.seq;
  }
  return 0;
}

/** Finds entries by their id. The index is made when it is first asked, and grows while entries come at the end. */
export class EntryIndex {
  #entries: readonly Entry[] = [];
  #places = new Map<string, number>();

  find(entries: readonly Entry[], id: string): Entry | undefined {
    if (entries !== this.#entries) this.#update(entries);
    return entries[this.#places.get(id) ?? -1];
  }

  #update(entries: readonly Entry[]): void {
    const end = this.#entries.length - 1;
    const isSame = (i: number): boolean => {
      const [before, now] = [this.#entries[i], entries[i]];
      return before !== undefined && now !== undefined && idOf(before) === idOf(now);
    };
    const isLonger = isSame(0) && isSame(end);
    if (!isLonger) this.#places = new Map();
    for (let i = isLonger ? end : 0; i < entries.length; i++) {
      const entry = entries[i];
      if (entry) this.#places.set(idOf(entry), i);
    }
    this.#entries = entries;
  }
}
