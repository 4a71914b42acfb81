import { z } from 'zod';
import { badRequest, forbidden, notFound, type ParleyError, unauthenticated } from '../base/errors.js';
import {
  type ContactRule,
  clientCommand,
  completedCommand,
  type Decision,
  type Facts,
  request,
} from './defineCommand.js';
import { event, push, type Topic } from './defineEvent.js';
import { Empty, Id, Limit, Revision } from './fields.js';
import { roomIdOf, type UserId } from './ids.js';
import { MOST_BLOCKS } from './limits.js';
import { tellContacts } from './onlineStatus.js';
import {
  changed,
  existingUser,
  notTaken,
  otherOf,
  pairIn,
  type Room,
  type RoomState,
  refusalIfEnded,
  roomOfMember,
  roomStream,
  unchanged,
  userStream,
  withUser,
} from './streams.js';
import { DEFAULT_PREFERENCES, Preferences, User } from './userMessageChat.js';

/**
 * Friends, consent and blocks, in the pair's own stream: so they are exact in the order of its messages. Whom a user has as a
 * contact does not depend on the server's rule; `ContactRule` says what follows from it.
 */

export const topic: Topic = 'people';

/** Whether `other` is a contact of `user`. Both are members of the pair. */
export const isContact = (
  contacts: readonly UserId[],
  user: UserId,
  rule: ContactRule | undefined,
): boolean => contacts.includes(user) || (rule === 'open' && contacts.length > 0);

/** The member of a private room whose preferences say whether `writer` may write there; undefined: none need be asked. */
export function strangerTo(
  state: RoomState,
  writer: UserId,
  rule: ContactRule | undefined,
): UserId | undefined {
  if (!state.exists || state.roomType === 'GROUP') return undefined;
  if (state.blocks.length > 0 || !state.members.includes(writer)) return undefined;
  const other = otherOf(state, writer);
  return isContact(state.contacts, other, rule) ? undefined : other;
}

/** The refusal to a member who may not write in a private room. */
export function refusalToWrite(room: Room, writer: UserId, facts: Facts): ParleyError | undefined {
  const ended = refusalIfEnded(room, writer);
  if (ended) return ended.refused;
  const other = strangerTo(room, writer, facts.limits.contactRule);
  return other === undefined || facts.preferencesOf(other).whoWrites === 'everyone' ? undefined : notTaken();
}

export const acceptChatPush = push('accept chat', {
  isStored: true,
  data: z.strictObject({ roomId: z.string() }),
  note: 'I have accepted a chat on another device.',
});

const PairData = z.strictObject({ roomId: z.string(), by: z.string(), target: z.string() });

/** The target is a contact of `by` from here on. */
export const ChatAccepted = event('ChatAccepted', roomStream, {
  data: PairData,
  evolve(state, { data: { by } }) {
    const pair = pairIn(state);
    return { ...pair, contacts: withUser(pair.contacts, by) };
  },
  push: ({ data: { roomId, by } }) => [acceptChatPush.of({ to: [by], data: () => ({ roomId }) })],
  tie: ({ data: { by, target } }) => ({ by, other: target, is: 'contact' }),
  line: ({ data: { by, target } }, { who }) => `${who(by)} accepted the chat with ${who(target)}`,
});

export const acceptChat = clientCommand('accept chat', roomStream, {
  data: { roomId: Id },
  answer: z.strictObject({ revision: Revision }),
  note: 'Makes the other member of a private chat my contact.',
  streamId: ({ roomId }) => roomId,
  decide(command, state): Decision<{ readonly other: UserId }> {
    const found = roomOfMember(state, command);
    if ('refused' in found) return found;
    const { actor, roomId } = command;
    const { room } = found;
    if (room.roomType === 'GROUP') {
      const message = 'must be a private chat';
      return { refused: badRequest(`roomId ${message}`, [{ path: 'roomId', message }]) };
    }
    const ended = refusalIfEnded(room, actor);
    if (ended) return ended;
    const other = otherOf(room, actor);
    if (room.contacts.includes(actor)) return { events: [], answer: { other } };
    return { events: [ChatAccepted.of(roomId, { roomId, by: actor, target: other })], answer: { other } };
  },
  reply: (_, __, revision) => ({ revision }),
  tie: ({ actor }, { other }) => ({ by: actor, other, is: 'contact' }),
});

export const blockUserPush = push('block user', {
  isStored: true,
  data: z.strictObject({ userId: z.string(), block: z.boolean() }),
  note: 'I have blocked or unblocked a user on another device.',
});

/** Ends friendship and contact both ways. `by` no longer takes anything from the target. */
export const MemberBlocked = event('MemberBlocked', roomStream, {
  data: PairData,
  evolve(state, { data: { by } }) {
    const pair = pairIn(state);
    return { ...pair, added: [], contacts: [], blocks: withUser(pair.blocks, by) };
  },
  push: ({ data: { by, target } }) => [
    blockUserPush.of({ to: [by], data: () => ({ userId: target, block: true }) }),
  ],
  tie: ({ data: { by, target } }) => ({ by, other: target, is: 'blocked' }),
  line: ({ data: { by, target } }, { who }) => `${who(by)} blocked ${who(target)}`,
});

/** Restores nothing but the right to write. */
export const MemberUnblocked = event('MemberUnblocked', roomStream, {
  data: PairData,
  evolve(state, { data: { by } }) {
    const pair = pairIn(state);
    return { ...pair, blocks: pair.blocks.filter((user) => user !== by) };
  },
  push: ({ data: { by, target } }) => [
    blockUserPush.of({ to: [by], data: () => ({ userId: target, block: false }) }),
  ],
  tie: ({ data: { by, target } }) => ({ by, other: target, is: 'unblocked' }),
  line: ({ data: { by, target } }, { who }) => `${who(by)} no longer blocks ${who(target)}`,
});

export const blockUser = completedCommand('block user', roomStream, {
  data: { userId: Id, block: z.boolean() },
  answer: z.strictObject({ revision: Revision }),
  note: 'Ends friendship and contact in both directions. A blocked user cannot write to me, and I cannot write to them.',
  streamId: ({ actor, userId }) => roomIdOf(actor, userId),
  wants: ({ actor, userId, block }) => ({
    users: [userId, actor],
    ...(block ? { blocksOf: [actor] } : {}),
  }),
  decide({ actor, userId, block }, state, { exists, blocksOf }) {
    const { blocks } = pairIn(state);
    // The command may have been sent before the actor was erased.
    if (!exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (actor === userId) return { refused: badRequest('you cannot block yourself') };
    if (blocks.includes(actor) === block) return unchanged;
    const roomId = roomIdOf(actor, userId);
    const data = { roomId, by: actor, target: userId };
    // Somebody who was erased meanwhile can still be taken from the list.
    if (!block) return changed(MemberUnblocked.of(roomId, data));
    if (!exists(userId)) return { refused: notFound(`there is no user ${userId}`) };
    if (blocksOf(actor) >= MOST_BLOCKS) return { refused: tooManyBlocks() };
    return changed(MemberBlocked.of(roomId, data));
  },
  tie: ({ actor, userId, block }) => ({ by: actor, other: userId, is: block ? 'blocked' : 'unblocked' }),
});

export const tooManyBlocks = (): ParleyError =>
  forbidden(`you have blocked ${MOST_BLOCKS} users, the maximum`, 'too_many');

export const getBlocked = request('get blocked', {
  data: z.strictObject({ limit: Limit, next: z.string().min(1).max(256).exactOptional() }),
  answer: z.strictObject({ users: z.array(User), next: z.string().exactOptional() }),
  note: 'The users that I have blocked, in a fixed order. `next` works as in `get friends`.',
});

export const changePreferencesPush = push('change preferences', {
  isStored: true,
  data: z.strictObject({ preferences: Preferences }),
  note: 'I have changed my preferences on another device.',
});

/** All preferences as they are from here on. `shownOnline`: what the change of `visible` shows to contacts, if anything. */
export const PreferencesChanged = event('PreferencesChanged', userStream, {
  data: z.strictObject({
    userId: z.string(),
    ...Preferences.shape,
    shownOnline: z.boolean().exactOptional(),
  }),
  evolve: (state, { data }) => ({ ...state, preferences: preferencesIn(data) }),
  push: ({ data }) => [
    changePreferencesPush.of({ to: [data.userId], data: () => ({ preferences: preferencesIn(data) }) }),
    ...(data.shownOnline === undefined ? [] : tellContacts(data.userId, data.shownOnline, null)),
  ],
  line: ({ data }, { who, quoted }) =>
    `${who(data.userId)} changed their preferences to ${quoted(preferencesIn(data))}`,
});

/** The preferences that an event records. */
export const preferencesIn = (data: Preferences): Preferences => ({
  whoWrites: data.whoWrites,
  whoInvites: data.whoInvites,
  findable: data.findable,
  visible: data.visible,
  receipts: data.receipts,
});

const { whoWrites, whoInvites, findable, visible, receipts } = Preferences.shape;

export const changePreferences = completedCommand('change preferences', userStream, {
  data: {
    whoWrites: whoWrites.exactOptional(),
    whoInvites: whoInvites.exactOptional(),
    findable: findable.exactOptional(),
    visible: visible.exactOptional(),
    receipts: receipts.exactOptional(),
  },
  answer: z.strictObject({ preferences: Preferences, revision: Revision }),
  note: 'Changes the given preferences, and no others.',
  streamId: ({ actor }) => actor,
  decide: (command, state, facts): Decision<{ readonly preferences: Preferences }> =>
    existingUser<{ readonly userId: string }, { readonly preferences: Preferences }>(({ userId }) => {
      const before = state.preferences ?? DEFAULT_PREFERENCES;
      const preferences = preferencesIn({ ...before, ...command });
      const answer = { preferences };
      if (names.every((name) => preferences[name] === before[name])) return { events: [], answer };
      // Contacts were told that a hidden user is offline.
      const isShown = state.online && preferences.visible !== before.visible;
      const shown = isShown ? { shownOnline: preferences.visible } : {};
      return { events: [PreferencesChanged.of(userId, { userId, ...preferences, ...shown })], answer };
    })({ userId: command.actor }, state, facts),
});

// The keys of an object of this shape.
const names = Object.keys(DEFAULT_PREFERENCES) as (keyof Preferences)[];

export const getPreferences = request('get preferences', {
  data: Empty,
  answer: z.strictObject({ preferences: Preferences }),
  note: 'All my preferences, with the defaults of those that I have never changed.',
});

/** Friendships: without consent, in the pair's stream. To add is each one's own doing. */

export const addFriendPush = push('add friend', {
  isStored: true,
  data: z.strictObject({ friend: User }),
  note: 'To the new friend and to my other devices.',
});

/**
 * `by` added `target`. It puts each into the other's list. `mutual`: the target had added `by` before, so that it
 * changes neither list and is pushed to nobody.
 */
export const FriendAdded = event('FriendAdded', roomStream, {
  data: z.strictObject({ by: z.string(), target: z.string(), mutual: z.literal(true).exactOptional() }),
  evolve(state, { data: { by } }) {
    const pair = pairIn(state);
    return { ...pair, added: [...pair.added, by], contacts: withUser(pair.contacts, by) };
  },
  push({ data: { by, target, mutual } }) {
    if (mutual) return [];
    const tell = (me: string, friend: string) =>
      addFriendPush.of({
        to: [me],
        users: [friend],
        data: (shown) => ({ friend: shown.user(friend) }),
      });
    return [tell(by, target), tell(target, by)];
  },
  tie: ({ data: { by, target } }) => ({ by, other: target, is: 'contact' }),
  line: ({ data: { by, target } }, { who }) => `${who(by)} added ${who(target)} as a friend`,
});

export const removeFriendPush = push('remove friend', {
  isStored: true,
  data: z.strictObject({ userId: z.string() }),
  note: 'The two users are no longer friends or contacts.',
});

/** Ends friendship and contact both ways. */
export const FriendRemoved = event('FriendRemoved', roomStream, {
  data: z.strictObject({ by: z.string(), target: z.string() }),
  evolve: (state) => ({ ...pairIn(state), added: [], contacts: [] }),
  push: ({ data: { by, target } }) => {
    const tell = (me: string, userId: string) => removeFriendPush.of({ to: [me], data: () => ({ userId }) });
    return [tell(by, target), tell(target, by)];
  },
  tie: ({ data: { by, target } }) => ({ by, other: target, is: 'parted' }),
  line: ({ data: { by, target } }, { who }) => `${who(by)} removed ${who(target)} from their friends`,
});

export const getFriends = request('get friends', {
  data: z.strictObject({
    limit: Limit,
    next: z.string().min(1).max(256).exactOptional(),
    revision: Revision.exactOptional(),
  }),
  answer: z.strictObject({ friends: z.array(User), next: z.string().exactOptional() }),
  note: 'In a fixed order. Send the `next` of the answer to get the next page; the last page has none.',
});

/** `isNew`: this command made them friends. */
export const addFriend = completedCommand('add friend', roomStream, {
  data: { friendId: Id },
  answer: z.strictObject({ friend: User, revision: Revision }),
  note: 'Makes the two users friends of each other; needs no consent.',
  streamId: ({ actor, friendId }) => roomIdOf(actor, friendId),
  wants: ({ actor, friendId }) => ({ users: [friendId, actor] }),
  decide({ actor, friendId }, state, { exists }) {
    const { added, blocks } = pairIn(state);
    // The command may have been sent before the actor was erased.
    if (!exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (actor === friendId) return { refused: badRequest('you cannot add yourself as a friend') };
    if (!exists(friendId) || blocks.length > 0) return { refused: notFound(`there is no user ${friendId}`) };
    if (added.includes(actor)) return { events: [], answer: { isNew: false } };
    const isNew = added.length === 0;
    const data = { by: actor, target: friendId };
    const made = FriendAdded.of(roomIdOf(actor, friendId), isNew ? data : { ...data, mutual: true });
    return { events: [made], answer: { isNew } };
  },
  tie: ({ actor, friendId }) => ({ by: actor, other: friendId, is: 'contact' }),
});

export const removeFriend = clientCommand('remove friend', roomStream, {
  data: { friendId: Id },
  answer: z.strictObject({ revision: Revision }),
  note: 'Ends friendship and contact in both directions, until one of the two writes, adds or accepts again.',
  streamId: ({ actor, friendId }) => roomIdOf(actor, friendId),
  wants: ({ actor, friendId }) => ({ users: [friendId, actor] }),
  decide({ actor, friendId }, state, { exists }) {
    const { added, contacts } = pairIn(state);
    // The command may have been sent before the actor was erased.
    if (!exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (actor === friendId) return { refused: badRequest('you cannot remove yourself from your friends') };
    if (!exists(friendId)) return { refused: notFound(`there is no user ${friendId}`) };
    if (added.length === 0 && contacts.length === 0) return unchanged;
    return changed(FriendRemoved.of(roomIdOf(actor, friendId), { by: actor, target: friendId }));
  },
  reply: (_, __, revision) => ({ revision }),
  tie: ({ actor, friendId }) => ({ by: actor, other: friendId, is: 'parted' }),
});
