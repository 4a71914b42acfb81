import type { SealedNote } from '../../domain/defineEvent.js';
import type { Recorded } from '../../domain/events.js';
import type { Sealed, Time } from '../../domain/fields.js';
import type { UserId } from '../../domain/ids.js';
import { type ProfileField, profileContext, usernameContext } from '../../domain/users.js';
import type { TextOpener } from '../../vault/textOpener.js';
import { elementAt, type IndexEntry } from '../store/rowStore.js';

/** The names of users, and the terms of the index by which any part of them finds their users. */

/** A user's profile; the key is the user's id. Of an erased user only what is no text is left, and the sealed name. */
export interface UserRow extends Partial<Readonly<Record<ProfileField, Sealed>>> {
  readonly userId: UserId;
  readonly username: Sealed;
  readonly backgroundColor: string;
  readonly createdAt: Time;
  readonly suspended?: true;
  readonly bot?: true;
  readonly erased?: true;
}

/** The opened names of a row, for its index; null where they are erased. */
interface OpenedNames {
  readonly username?: string | null;
  readonly displayName?: string | null;
}

/** Opens names and the texts of profiles. */
export type NameOpener = Pick<TextOpener, 'notes'>;

export const usernameOf = ({ userId, username }: Pick<UserRow, 'userId' | 'username'>): SealedNote => ({
  owner: userId,
  sealed: username,
  context: usernameContext(userId),
});

export const profileTextOf = (userId: UserId, field: ProfileField, sealed: Sealed): SealedNote => ({
  owner: userId,
  sealed,
  context: profileContext(userId, field),
});

// Opened names by event or row. An entry lives as long as its object and is never part of a value. So the plain text
// is in the row's index alone.
const openedNames = new WeakMap<Recorded | UserRow, OpenedNames>();

/** Gives rows their opened names, or null where these are erased, so that index entries can be made of the rows. */
export async function openNamesOf(names: NameOpener, users: readonly UserRow[]): Promise<void> {
  const rows = users.filter((row) => !openedNames.has(row));
  const texts = rows.flatMap(({ userId, username, displayName }) => [
    usernameOf({ userId, username }),
    ...(displayName === undefined ? [] : [profileTextOf(userId, 'displayName', displayName)]),
  ]);
  if (texts.length === 0) return;
  const opened = (await names.notes(texts)).values();
  for (const row of rows) {
    const username = opened.next().value ?? null;
    openedNames.set(
      row,
      row.displayName === undefined ? { username } : { username, displayName: opened.next().value ?? null },
    );
  }
}

/** Gives events the names that they set. */
export async function openNamesIn(names: NameOpener, events: readonly Recorded[]): Promise<void> {
  const named: { readonly event: Recorded; readonly text: SealedNote }[] = [];
  for (const event of events)
    if (event.type === 'UserRegistered') named.push({ event, text: usernameOf(event.data) });
    else if (event.type === 'ProfileChanged' && typeof event.data.displayName === 'string') {
      const { userId, displayName } = event.data;
      named.push({ event, text: profileTextOf(userId, 'displayName', displayName) });
    }
  if (named.length === 0) return;
  const opened = await names.notes(named.map(({ text }) => text));
  for (const [i, { event }] of named.entries()) {
    const name = elementAt(opened, i);
    openedNames.set(event, event.type === 'UserRegistered' ? { username: name } : { displayName: name });
  }
}

/** Gives a row the names of the row before it, as the event changes them. */
export function passNames(row: UserRow, event: Recorded, before?: UserRow): void {
  const known = before && openedNames.get(before);
  if (known || !before) openedNames.set(row, { ...known, ...openedNames.get(event) });
}

/** Brings a text to the form in which search compares it: without regard to case, each code point by itself. */
export const foldCase = (text: string): string =>
  Array.from(text, (character) => character.toUpperCase().toLowerCase()).join('');

/** The beginning of the term of a whole name. No name holds these characters. */
const WHOLE = { username: '\u0001', displayName: '\u0002' } as const;
/** The end of the term of a whole name. */
const END = '\u0001';

/** The beginnings of terms that find a name with this part: exact names, then those that begin with it, then the rest. */
export function searchPrefixes(q: string): string[] {
  const part = foldCase(q);
  const begins = Object.values(WHOLE).map((mark) => mark + part);
  return [...begins.map((term) => term + END), ...begins, part];
}

/** The terms that find a name: every suffix, and the whole name. Any part of a name begins one of its suffixes. */
export function searchTerms(name: string, kind: keyof typeof WHOLE): string[] {
  const whole = foldCase(name);
  const terms = [WHOLE[kind] + whole + END];
  for (let at = 0; at < whole.length; at += (whole.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)
    terms.push(whole.slice(at));
  return terms;
}

/** The place of a user in the index of names. */
export function suffixEntry(row: UserRow): IndexEntry | undefined {
  if (row.erased) return undefined;
  const { username, displayName } = openedNames.get(row) ?? {};
  if (username === undefined || (row.displayName !== undefined && displayName === undefined))
    throw new Error(`the names of user ${row.userId} were not opened before the row was folded`);
  if (username === null) return undefined;
  const shown = row.displayName === undefined || !displayName ? [] : searchTerms(displayName, 'displayName');
  return { terms: [...new Set([...searchTerms(username, 'username'), ...shown])], sort: 0 };
}
