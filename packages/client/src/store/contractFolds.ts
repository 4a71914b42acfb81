import type { Chat, PushData, PushName, RequestAnswer, RequestInput, RequestName } from '../types.js';
import {
  applyBlock,
  applyChat,
  applyEndOfContact,
  applyErasure,
  applyFriend,
  applyGroupChange,
  applyHappening,
  applyMembership,
  applyPresence,
  applyRole,
  applyUser,
  isMember,
  presenceOf,
} from './chatFolds.js';
import {
  applyChangedMessage,
  applyDeletion,
  applyMark,
  applyPage,
  applyPin,
  applyReaction,
  applySentMessage,
} from './messageFolds.js';
import { roomOf, type State, withChat, withRoom } from './storeState.js';
import type { GroupChange } from './storeTypes.js';

/** What each push and each answer of the contract changes in the state. */

const applyAccepted = (state: State, roomId: string): State =>
  withChat(state, roomId, { request: undefined });

/** Who comes back to a group was not told how its messages changed meanwhile: they are fetched again. */
function applyInit(state: State, room: Chat): State {
  const known = roomOf(state, room.roomId);
  // Messages of an unknown chat are those that a replay told before this user had left.
  if (isMember(known) && (known.chat || !known.known[0])) return applyChat(state, room);
  const returns = known.returns + 1;
  return applyChat(withRoom(state, room.roomId, { known: [], pages: 'loading', returns }), room);
}

function applyErasedMember(state: State, { roomId, userId }: PushData<'erase user'>): State {
  const next = applyErasure(state, userId);
  // In a group an erasure is a leaving.
  return roomOf(next, roomId).participants.includes(userId)
    ? applyMembership(next, { roomId, userId, at: 0 }, false)
    : next;
}

const renaming = (name: string | null | undefined): GroupChange => ({
  kind: 'changed',
  ...(name && { name }),
});
const byMe = ({ me }: State): { readonly by: string } => ({ by: me?.userId ?? '' });

/** Changes of pushes, in the order in which they come. What is not stored in the state has none. */
export const pushFolds: {
  readonly [N in PushName]?: (state: State, data: PushData<N>) => State;
} = {
  'add friend': (state, { friend }) => applyFriend(state, friend),
  'remove friend': (state, { userId }) => applyEndOfContact(state, userId),
  'block user': (state, { userId, block }) => applyBlock(state, userId, block),
  'change preferences': (state, { preferences }) => ({ ...state, preferences }),
  'change user': (state, { user }) => applyUser(state, user),
  'erase user': applyErasedMember,
  'get online info': (state, { recipientId, isOnline, lastSeen }) =>
    applyPresence(state, recipientId, presenceOf(isOnline, lastSeen)),
  'init chat': (state, { room }) => applyInit(state, room),
  'accept chat': (state, { roomId }) => applyAccepted(state, roomId),
  'change chat': (state, { chat }) => applyChat(state, chat),
  'change group': (state, push) => {
    const { roomId, name } = push;
    return applyHappening(applyGroupChange(state, push), roomId, push, renaming(name));
  },
  'add member': (state, { roomId, user, by, at }) => {
    const { userId } = user;
    const next = applyMembership(applyUser(state, user), { roomId, userId, at }, true);
    return applyHappening(next, roomId, { by, at }, { kind: 'joined', userId });
  },
  'remove member': (state, push) => {
    const { roomId, userId } = push;
    return applyMembership(applyHappening(state, roomId, push, { kind: 'left', userId }), push, false);
  },
  'change role': (state, push) => {
    const { roomId, userId, role, inherited } = push;
    const change = { kind: 'role', userId, role, ...(inherited && { inherited }) } as const;
    return applyHappening(applyRole(state, push), roomId, push, change);
  },
  'send message': (state, { message }) => applySentMessage(state, message),
  'edit message': (state, { message }) => applyChangedMessage(state, message),
  'delete message': applyDeletion,
  react: applyReaction,
  'pin message': applyPin,
  'read messages': (state, { roomId, userId, upTo }) => applyMark(state, roomId, userId, upTo),
};

/** What users, and the presence of some, are in an answer. */
const applyPresences = (
  state: State,
  presence: Readonly<Record<string, { readonly isOnline: boolean; readonly lastSeen: string | null }>>,
): State =>
  Object.entries(presence).reduce(
    (next, [userId, { isOnline, lastSeen }]) => applyPresence(next, userId, presenceOf(isOnline, lastSeen)),
    state,
  );

/** Folds a page of the list of chats in. The newest page also ends presence that it does not confirm. */
export function applyChatPage(
  state: State,
  { chats, presence, next: nextPage }: RequestAnswer<'get active chats'>,
  { next: asked, filter }: RequestInput<'get active chats'>,
): State {
  const next = applyPresences(chats.reduce(applyChat, state), presence);
  if (filter === 'archived') return { ...next, nextArchived: nextPage };
  if (asked !== undefined) return { ...next, nextChats: nextPage };
  return {
    ...next,
    hasChats: true,
    // A refresh of the newest page must not lose how far the list was fetched.
    nextChats: state.hasChats ? state.nextChats : nextPage,
    presence: new Map([...next.presence].filter(([userId]) => !next.stale.has(userId))),
    stale: new Set(),
  };
}

/** The changes of queries, and of commands that change more than the push to this user's other devices says. */
const answerFolds: {
  readonly [N in RequestName]?: (state: State, answer: RequestAnswer<N>, data: RequestInput<N>) => State;
} = {
  // Whom I add is my contact.
  'add friend': (state, { friend }) =>
    [...state.rooms.values()].reduce(
      (next, { roomId, chat, participants }) =>
        chat?.request && participants.includes(friend.userId) ? applyAccepted(next, roomId) : next,
      applyFriend(state, friend),
    ),
  'remove friend': (state, _, { friendId }) => applyEndOfContact(state, friendId),
  'get blocked': (state, { users }) =>
    users.reduce((next, user) => applyBlock(applyUser(next, user), user.userId, true), state),
  'get friends': (state, { friends }) => friends.reduce(applyFriend, state),
  'get preferences': (state, { preferences }) => ({ ...state, preferences }),
  'get chat': (state, { chat, presence = {} }) => applyPresences(applyChat(state, chat), presence),
  'get active chats': applyChatPage,
  'fetch messages': (state, { messages }, { roomId }) => applyPage(state, roomId, messages),
  'create group': (state, { room }) => applyChat(state, room),
  'change group': (state, { room }, { roomId, name }) =>
    applyHappening(applyChat(state, room), roomId, byMe(state), renaming(name)),
  'add members': (state, { added }, { roomId }) =>
    added.reduce(
      (next, userId) => applyHappening(next, roomId, byMe(state), { kind: 'joined', userId }),
      state,
    ),
  'get members': (state, { members }) => members.reduce((next, { user }) => applyUser(next, user), state),
};

/**
 * Folds the answer to a request in. A command changes what the push of its name says to this user's other devices: the
 * data of the request and of the answer, done by this user.
 */
export function applyAnswer<N extends RequestName>(
  state: State,
  name: N,
  answer: RequestAnswer<N>,
  data: RequestInput<N>,
): State {
  const myId = state.me?.userId;
  const ofAnswer = answerFolds[name];
  if (ofAnswer) return ofAnswer(state, answer, data);
  // The contract gives a push and the command of its name the same fields.
  const ofPush = pushFolds[name as unknown as PushName] as
    | ((state: State, data: object) => State)
    | undefined;
  return ofPush?.(state, { userId: myId, by: myId, ...data, ...answer }) ?? state;
}

/**
 * The fold of the answer to what is asked now. It is of no use if this user has come back to the group since then: what
 * was said of messages in between was not told.
 */
export function foldAnswer<N extends RequestName>(asked: State, name: N, data: RequestInput<N>) {
  const roomId = 'roomId' in data ? data.roomId : '';
  const { returns } = roomOf(asked, roomId);
  return (state: State, answer: RequestAnswer<N>): State =>
    roomOf(state, roomId).returns === returns ? applyAnswer(state, name, answer, data) : state;
}
