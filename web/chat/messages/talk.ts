import type { Entry, Message, Room, RoomView, User } from '@parley/client';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { type TextName, text } from '../../ui/texts.js';
import type { ShownHappening } from './happenings.js';
import { withNames } from './messageText.js';

/** What a user can do with a message, beside reading it. */
export type MessageAction =
  | 'menu'
  | 'react'
  | 'reply'
  | 'copy'
  | 'edit'
  | 'pin'
  | 'unpin'
  | 'edits'
  | 'reactions'
  | 'readers'
  | 'report'
  | 'delete';

/** What the menu calls them. Written out, so that the build can give these texts short names. */
export const ACTION_TEXTS = {
  menu: 'messages.menu',
  react: 'messages.react',
  reply: 'messages.reply',
  copy: 'messages.copy',
  edit: 'messages.edit',
  pin: 'messages.pin',
  unpin: 'messages.unpin',
  edits: 'messages.edits',
  reactions: 'messages.reactions',
  readers: 'messages.readers',
  report: 'messages.report',
  delete: 'messages.delete',
} as const satisfies Readonly<Record<MessageAction, TextName>>;

/** The user who looks at a room, and what they may do there. */
export interface Viewer {
  readonly me: User;
  readonly canWrite: boolean;
}

/** What the parts of an open room share. It is another object only when something changes that messages show beside their own entries. */
export interface Talk {
  readonly room: Room;
  /** The present view, also where the object stayed the same. */
  readonly view: RoomView;
  /** Who came and went, in order; empty in a private chat. */
  readonly happenings: readonly ShownHappening[];
  readonly viewer: Viewer;
  /** @param anchor the element that was pressed, where a menu opens */
  readonly act: (action: MessageAction, message: Message, anchor: Element) => void;
  /** The entry of a message, if it is loaded. */
  readonly find: (messageId: string) => Entry | undefined;
}

const TalkContext = createContext<Talk | undefined>(undefined);

export const TalkProvider = TalkContext.Provider;

/** The room that the component is in. Throws outside of one. */
export function useTalk(): Talk {
  const talk = useContext(TalkContext);
  if (!talk) throw new Error('there is no TalkProvider above this component');
  return talk;
}

const isGone = ({ deleted, erased }: Message): boolean => deleted !== undefined || erased === true;

/** The actions that a user may take on a message, in the order of the menu. The server says how long it can be edited. */
export function actionsOn(
  message: Message,
  { chat }: Pick<RoomView, 'chat'>,
  { me, canWrite }: Viewer,
): readonly MessageAction[] {
  if (isGone(message)) return [];
  const isMine = message.senderId === me.userId;
  const isGroup = chat?.roomType === 'GROUP';
  const isAdmin = isGroup && (chat.role === 'admin' || chat.role === 'owner');
  const canPin = isGroup ? isAdmin : canWrite;
  const all: readonly (MessageAction | false)[] = [
    canWrite && 'reply',
    'copy',
    canWrite && isMine && 'edit',
    canPin && (message.pinned ? 'unpin' : 'pin'),
    message.rev !== undefined && 'edits',
    message.reactions !== undefined && 'reactions',
    isGroup && isMine && 'readers',
    !isMine && 'report',
    ((canWrite && isMine) || isAdmin) && 'delete',
  ];
  return all.filter((action) => action !== false);
}

/** Whether this user may react to it. */
export const canReact = (message: Message, { isMember }: Pick<RoomView, 'isMember'>): boolean =>
  isMember && !isGone(message);

/** A user of the room by id, as far as this device knows. */
export function personOf(
  { view, viewer: { me } }: Pick<Talk, 'view' | 'viewer'>,
  userId: string,
): User | undefined {
  if (userId === me.userId) return me;
  const known = [...view.participants, ...view.named, ...(view.other ? [view.other] : [])];
  return known.find((user) => user.userId === userId) ?? senderOf(view.entries, userId);
}

function senderOf(entries: readonly Entry[], userId: string): User | undefined {
  for (const entry of entries)
    if (entry.state === 'stored' && entry.message.senderId === userId && entry.sender) return entry.sender;
  return undefined;
}

/** The name to show of a user: “You” of oneself. */
export function nameOf(talk: Talk, userId: string): string {
  if (userId === talk.viewer.me.userId) return text('messages.you');
  const user = personOf(talk, userId);
  return user ? displayName(user) : text('messages.somebody');
}

/** A message in one line, with the names of those whom it mentions. */
export const lineOf = (talk: Talk, message: Pick<Message, 'message' | 'mentions'>): string =>
  message.message === null
    ? text('messages.deleted')
    : withNames(message, (userId) => personOf(talk, userId), displayName);

/** As `lineOf`. What a blocked person wrote is folded away everywhere, as in the list of messages. */
export function lineOfEntry(talk: Talk, entry: Entry): string {
  if (entry.state !== 'stored') return lineOf(talk, entry);
  return entry.blocked ? text('messages.ofBlocked') : lineOf(talk, entry.message);
}
