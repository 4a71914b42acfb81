import type { ChatView, RequestInput, Store, User } from '@parley/client';
import { chatName, displayName } from '../ui/displayName.js';
import { text } from '../ui/texts.js';
import type { ChatActions } from './chatContext.js';
import { fetchMembers } from './groups/members.js';
import type { MenuItem } from './Menu.js';
import { attempt } from './notices.js';
import { addSeen } from './people/newFriends.js';

const HOUR_MS = 60 * 60 * 1000;
/** A chat is muted until then if it is muted without an end. */
const ALWAYS = '9999-12-31T23:59:59.000Z';

export const isMuted = ({ mutedUntil }: { readonly mutedUntil?: string }): boolean =>
  mutedUntil !== undefined && Date.parse(mutedUntil) > Date.now();

const inHours = (hours: number): string => new Date(Date.now() + hours * HOUR_MS).toISOString();

type Changes = Omit<RequestInput<'change chat'>, 'roomId'>;

/** The user waits at most this long for what a menu does, and is told then. */
export const QUICK = { timeoutMs: 10_000 } as const;

/** The menu of a chat. */
export function chatMenu(chat: ChatView, actions: ChatActions): readonly MenuItem[] {
  const { store, dialogs } = actions;
  const { roomId, other } = chat;
  const change = (label: string, changes: () => Changes): MenuItem => ({
    label,
    run: () => attempt(label, store.request('change chat', { roomId, ...changes() }, QUICK)),
  });
  const set = (label: string, changes: Changes): MenuItem => change(label, () => changes);
  const mute = (label: string, until: () => string): MenuItem =>
    change(label, () => ({ mutedUntil: until() }));
  return [
    chat.pinned ? set(text('chat.unpin'), { pinned: false }) : set(text('chat.pin'), { pinned: true }),
    isMuted(chat)
      ? set(text('chat.unmute'), { mutedUntil: null })
      : {
          label: text('chat.mute'),
          items: [
            mute(text('chat.muteHour'), () => inHours(1)),
            mute(text('chat.muteEight'), () => inHours(8)),
            mute(text('chat.muteWeek'), () => inHours(7 * 24)),
            mute(text('chat.muteAlways'), () => ALWAYS),
          ],
        },
    chat.archived
      ? set(text('chat.unarchive'), { archived: false })
      : set(text('chat.archive'), { archived: true }),
    other
      ? { label: text('chat.profile'), run: () => dialogs.open({ name: 'profile', user: other }) }
      : { label: text('chat.details'), run: () => dialogs.open({ name: 'group', roomId }) },
    ...(other && !other.erased ? safetyItems(chat, actions) : []),
    ...(!other && chat.isMember ? [leaveItem(chat, actions)] : []),
  ];
}

/** What the menu of a private chat and that of a person have for safety. */
function safetyItems(chat: ChatView, actions: ChatActions): readonly MenuItem[] {
  const { other, isBlocked } = chat;
  if (!other) return [];
  const { dialogs, store } = actions;
  const who = chatName(chat);
  return [
    {
      label: text('report.action'),
      isDanger: true,
      run: () => dialogs.open({ name: 'report', about: { userId: other.userId }, who }),
    },
    isBlocked
      ? { label: text('block.undo'), run: () => attempt(text('block.undo'), unblock(store, other.userId)) }
      : { label: text('block.action'), isDanger: true, run: () => askToBlock(actions, other.userId, who) },
  ];
}

function leaveItem(chat: ChatView, actions: ChatActions): MenuItem {
  return { label: text('group.leave'), isDanger: true, run: () => void askToLeave(actions, chat) };
}

/** Adds a friend, whom the list of friends then does not show as new. */
export const addFriend = ({ store, session }: ChatActions, user: User): Promise<User> => {
  addSeen(session.user.userId, user);
  return store.addFriend(user.userId);
};

export const unblock = (store: Store, userId: string): Promise<unknown> =>
  store.request('block user', { userId, block: false }, QUICK);

/** Asks whether to block somebody. */
export const askToBlock = ({ store, dialogs }: ChatActions, userId: string, name: string): void =>
  dialogs.open({
    name: 'question',
    question: {
      title: text('block.title', { name }),
      text: text('block.text'),
      action: text('block.action'),
      run: () => store.request('block user', { userId, block: true }),
    },
  });

/** Says who owns a group when this user has left it; `undefined` where that does not change. */
export async function nextOwnerText(
  { store, session }: ChatActions,
  { roomId, role }: Pick<ChatView, 'roomId' | 'role'>,
): Promise<string | undefined> {
  if (role !== 'owner') return undefined;
  const members = await fetchMembers(store, roomId);
  const others = members.filter(({ user }) => user.userId !== session.user.userId);
  if (others.some((member) => member.role === 'owner')) return undefined;
  // They come in the order of joining, as the server chooses.
  const next = others.find((member) => member.role === 'admin') ?? others[0];
  if (!next) return undefined;
  const state = next.user.suspended ? 'suspended' : 'other';
  return text('group.leaveOwnerText', { name: displayName(next.user), state });
}

/** What happens to a group when this user leaves it, and what they keep. */
async function afterLeaving(actions: ChatActions, chat: Pick<ChatView, 'roomId' | 'role'>): Promise<string> {
  return [await nextOwnerText(actions, chat), text('group.leaveText')].filter(Boolean).join(' ');
}

/** Asks whether to leave a group. */
export async function askToLeave(
  actions: ChatActions,
  chat: Pick<ChatView, 'roomId' | 'name' | 'role'>,
): Promise<void> {
  const { store, dialogs } = actions;
  const { roomId, name } = chat;
  const after = await afterLeaving(actions, chat).catch(() => text('group.leaveUnknownOwnerText'));
  dialogs.open({
    name: 'question',
    question: {
      title: text('group.leaveTitle', { name: name ?? '' }),
      text: after,
      action: text('group.leave'),
      run: () => store.request('leave group', { roomId }),
      onDone: dialogs.close,
    },
  });
}
