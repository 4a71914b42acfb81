import type { ContactRule, Invitation } from '../../domain/defineCommand.js';
import { roomIdOf, streamOf, type UserId } from '../../domain/ids.js';
import { isContact, preferencesIn } from '../../domain/safety.js';
import type { Ties } from '../../domain/streams.js';
import { DEFAULT_PREFERENCES, type OnlineInfo, type Preferences } from '../../domain/userMessageChat.js';
import { fromNext, type PageAsked } from '../answerPages.js';
import type { Projection } from '../projection.js';
import { type Model, type RowReader, rowsUnder, valuesOf } from '../store/rowStore.js';
import { type ChatRow, chatsModel, isFriendship, isMember } from './chatRows.js';
import { presenceModel, usersModel } from './userRows.js';

/** What users are to each other, friends, contacts or blocked, and what they permit others by their preferences. */

/** The other users of the pairs that an index has of a user, by key: one more than the page, which tells of a further one. */
export async function pairsUnder(
  rows: RowReader,
  index: 'friends' | 'blocked',
  userId: UserId,
  { limit, next }: PageAsked,
): Promise<{ readonly key: string; readonly other: UserId | undefined }[]> {
  const found = await rows.find(chatsModel, index, {
    ...{ terms: [userId], byKey: true, limit: limit + 1 },
    ...fromNext(index, next),
  });
  // An index is not trusted.
  const isWanted = (pair: ChatRow) =>
    index === 'friends' ? isFriendship(pair) : pair.blocks.includes(userId);
  return found.map(({ key, value }) => ({
    key,
    other: value && isWanted(value) ? othersIn([value], userId)[0] : undefined,
  }));
}

/** The number of users whom each of these users has blocked. */
export async function countBlocks(
  rows: Pick<RowReader, 'places'>,
  users: readonly UserId[],
): Promise<ReadonlyMap<UserId, number>> {
  const counts = new Map<UserId, number>();
  for (const userId of users)
    counts.set(userId, (await rows.places(chatsModel, 'blocked', { terms: [userId] })).size);
  return counts;
}

/** The user's ties with others; those pairs without contact and block are left out. */
export async function tiesOf(rows: RowReader, userId: UserId): Promise<Map<UserId, Ties>> {
  const ties = new Map<UserId, Ties>();
  for await (const page of rowsUnder(rows, chatsModel, 'members', userId))
    for (const { members, added, contacts, blocks } of valuesOf(page).filter((pair) =>
      isMember(pair, userId),
    ))
      for (const other of members)
        if (other !== userId && contacts.length + blocks.length > 0)
          ties.set(other, { added, contacts, blocks });
  return ties;
}

const othersIn = (pairs: readonly ChatRow[], userId: UserId): UserId[] =>
  pairs
    .filter((pair) => isMember(pair, userId))
    .flatMap(({ members }) => members.filter((member) => member !== userId));

/** Who looks, and the server's rule. */
export interface Viewer {
  readonly me: UserId;
  readonly rule: ContactRule;
}

/**
 * Whether the viewer is told what `other` does, preferences aside: under `consent` by those who have the viewer as a
 * contact, under `open` by all, but never past a block.
 */
const isToldIn = (pair: ChatRow, { me, rule }: Viewer, other: UserId): boolean =>
  pair.blocks.length === 0 && me !== other && (rule === 'open' || pair.contacts.includes(other));

/** The rows of the pairs of `user` with others, by the other one. A pair without ties or chat has no row. */
export async function pairsOf(
  rows: RowReader,
  user: UserId,
  others: readonly UserId[],
): Promise<Map<UserId, ChatRow>> {
  const keyed = others.map((other) => [other, streamOf('room', roomIdOf(user, other))] as const);
  const found =
    others.length === 0 ? undefined : await rows.get(chatsModel, [...new Set(keyed.map(([, key]) => key))]);
  return new Map(
    keyed.flatMap(([other, key]) => {
      const row = found?.get(key)?.value;
      return row ? [[other, row] as const] : [];
    }),
  );
}

/**
 * Tells whether the viewer is told of a user's read marks: by their contacts and blocks, and only if both give
 * receipts. For these users.
 */
export async function toldReadsOf(
  rows: RowReader,
  { me, rule }: Viewer,
  users: readonly UserId[],
): Promise<(user: UserId) => boolean> {
  const [pairs, preferences] = await Promise.all([
    pairsOf(rows, me, users),
    preferencesOf(rows, [me, ...users]),
  ]);
  const hasReceipts = (user: UserId): boolean => preferences.get(user)?.receipts !== false;
  return (user) => {
    if (user === me) return true;
    const pair = pairs.get(user);
    const isTold = pair ? isToldIn(pair, { me, rule }, user) : rule === 'open';
    return isTold && hasReceipts(me) && hasReceipts(user);
  };
}

/** What comes of it when `by` adds each of these users to a group. */
export async function invitationsOf(
  rows: RowReader,
  { by, users }: { readonly by: UserId; readonly users: readonly UserId[] },
  rule: ContactRule,
): Promise<Map<UserId, Invitation>> {
  const [profiles, preferences, pairs] = await Promise.all([
    rows.get(usersModel, [...new Set(users)]),
    preferencesOf(rows, users),
    pairsOf(rows, by, users),
  ]);
  const invite = (user: UserId): Invitation => {
    const profile = profiles.get(user)?.value;
    if (!profile || profile.erased) return 'not_found';
    const pair = pairs.get(user);
    if (user === by) return 'taken';
    if (pair && pair.blocks.length > 0) return 'not_taken';
    const { whoInvites } = preferences.get(user) ?? DEFAULT_PREFERENCES;
    const isTaken =
      whoInvites === 'everyone' || (whoInvites === 'contacts' && isContact(pair?.contacts ?? [], user, rule));
    return isTaken ? 'taken' : 'not_taken';
  };
  return new Map(users.map((user) => [user, invite(user)]));
}

/** The user's friends, and the others for whom a room of the user is active. */
export async function peerIds(rows: RowReader, userId: UserId): Promise<Set<UserId>> {
  const peers = new Set<UserId>();
  for await (const page of rowsUnder(rows, chatsModel, 'members', userId))
    for (const pair of valuesOf(page))
      for (const other of othersIn([pair], userId))
        if (isFriendship(pair) || other in pair.active) peers.add(other);
  return peers;
}

/** Preferences by user id; a user who has changed none has no row. */
export const preferencesModel: Model<Preferences> = { name: 'preferences', version: 1, indexes: {} };

/** Folds preferences. */
export const preferencesProjection: Projection<Preferences> = {
  model: preferencesModel,
  keys: (event) => (event.type === 'PreferencesChanged' ? [event.data.userId] : []),
  evolve: (value, event) =>
    event.type === 'PreferencesChanged' ? preferencesIn(event.data) : (value ?? null),
};

/** The preferences of each user asked for. */
export async function preferencesOf(
  rows: RowReader,
  users: readonly UserId[],
): Promise<Map<UserId, Preferences>> {
  const found = users.length === 0 ? undefined : await rows.get(preferencesModel, [...new Set(users)]);
  return new Map(users.map((user) => [user, found?.get(user)?.value ?? DEFAULT_PREFERENCES]));
}

const HIDDEN: OnlineInfo = { isOnline: false, lastSeen: null };

/**
 * Presence of each user asked for, as `viewer` is told of it: hidden if either is not visible. An admin is told what is
 * recorded. Offline if never seen.
 */
export async function presenceFor(
  rows: RowReader,
  viewer: UserId | 'admin',
  users: readonly UserId[],
): Promise<Map<UserId, OnlineInfo>> {
  if (users.length === 0) return new Map();
  const [found, preferences] = await Promise.all([
    rows.get(presenceModel, users),
    preferencesOf(rows, [viewer, ...users]),
  ]);
  const isVisible = (user: UserId): boolean => preferences.get(user)?.visible !== false;
  const show = (user: UserId): OnlineInfo => {
    const isShown = viewer === 'admin' || user === viewer || (isVisible(viewer) && isVisible(user));
    return (isShown && found.get(user)?.value) || HIDDEN;
  };
  return new Map(users.map((user) => [user, show(user)]));
}
