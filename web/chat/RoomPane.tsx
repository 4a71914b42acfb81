import type { ChatView, ClientErrorCode, Presence, RoomView, User } from '@parley/client';
import { useEffect, useMemo } from 'preact/hooks';
import { displayName } from '../ui/displayName.js';
import { formatClock, formatDay } from '../ui/format.js';
import { useSource } from '../ui/hooks.js';
import { Icon } from '../ui/icons.js';
import { lazily } from '../ui/lazily.js';
import { text } from '../ui/texts.js';
import { ChatAvatar } from './ChatRow.js';
import { chatMenu, unblock } from './chatActions.js';
import { useChatPage } from './chatContext.js';
import { MenuButton } from './Menu.js';
import { attempt } from './notices.js';
import { RequestBar } from './people/RequestBar.js';

/** The code of an open room: not needed for the sign-in, and loaded before somebody opens the first room. */
export const loadConversation = async () => (await import('./messages/Conversation.js')).Conversation;
const Conversation = lazily(loadConversation);

interface Props {
  readonly roomId: string;
  /** `undefined` until the chat is known. */
  readonly chat: ChatView | undefined;
  readonly onBack: () => void;
}

/** One room: who is in it, the messages, and the message field. */
export function RoomPane({ roomId, chat, onBack }: Props) {
  const { store, me, isLost, wanted, showMessage } = useChatPage();
  const room = useMemo(() => store.openRoom(roomId), [store, roomId]);
  useEffect(() => () => room.close(), [room]);
  const view = useSource(room);
  const name = roomName(view);
  const isWanted = wanted?.roomId === roomId;

  if (name === undefined && isRefused(view)) return <UnavailableRoom onBack={onBack} />;
  return (
    <section
      class="room"
      aria-label={name === undefined ? text('room.chat') : text('room.chatWith', { name })}
    >
      <header class="bar">
        <button class="button plain icon back" type="button" aria-label={text('room.back')} onClick={onBack}>
          <Icon name="back" />
        </button>
        <RoomTitle view={view} chat={chat} name={name ?? ''} />
      </header>
      <Conversation
        {...{ store, room, view, me }}
        isOffline={isLost}
        unseen={chat?.unread ?? 0}
        instead={insteadOfComposer(view, chat)}
        wanted={isWanted ? wanted : undefined}
        onShown={() => showMessage(undefined)}
      />
    </section>
  );
}

/** Undefined until the chat is known: the room in the address may be one of other users. */
function roomName({ other, chat }: RoomView): string | undefined {
  if (other) return displayName(other);
  return chat?.roomType === 'GROUP' ? (chat.name ?? text('name.deletedGroup')) : undefined;
}

interface RoomParts {
  readonly view: RoomView;
  readonly chat: ChatView | undefined;
}

/** The name, which leads to the profile or to the group's details, and who is online or typing. */
function RoomTitle({ view, chat, name }: RoomParts & { readonly name: string }) {
  const page = useChatPage();
  const { other, roomId } = view;
  const open = (): void =>
    page.dialogs.open(other ? { name: 'profile', user: other } : { name: 'group', roomId });
  return (
    <>
      {chat && <ChatAvatar chat={chat} />}
      <div class="texts">
        <h1 class="name">
          {name !== '' && (
            <button class="title-button" type="button" onClick={open}>
              <bdi>{name}</bdi>
            </button>
          )}
        </h1>
        <p class="hint name" role="status">
          {subtitle(view, chat, page.isLost)}
        </p>
      </div>
      {chat && (
        <MenuButton label={text('chat.menu')} items={() => chatMenu(chat, page)}>
          <Icon name="more" />
        </MenuButton>
      )}
    </>
  );
}

function subtitle(
  { other, typing, isMember, chat: info }: RoomView,
  chat: ChatView | undefined,
  isLost: boolean,
): string {
  if (isLost && other) return '';
  if (other) return chat?.isTyping ? text('room.typing') : presenceText(chat?.presence);
  const [first] = typing;
  if (first) return text('room.namedTyping', { name: displayName(first), others: typing.length - 1 });
  // Who has left sees no number of members; a line at the end says that they have left.
  return info && isMember ? text('group.count', { count: info.members ?? 0 }) : '';
}

/** What stands in place of the message field until this user has decided about the other. */
function insteadOfComposer({ roomId, other, chat: info }: RoomView, chat: ChatView | undefined) {
  if (!other || other.erased) return undefined;
  if (chat?.isBlocked) return <BlockedBar other={other} />;
  return info?.request ? <RequestBar roomId={roomId} other={other} /> : undefined;
}

function BlockedBar({ other }: { readonly other: User }) {
  const { store } = useChatPage();
  return (
    <div class="notice with-action">
      <p>{text('block.isBlocked', { name: displayName(other) })}</p>
      <button
        class="button"
        type="button"
        onClick={() => attempt(text('block.undo'), unblock(store, other.userId))}
      >
        {text('block.undo')}
      </button>
    </div>
  );
}

/** The server's answers for a room that is not one of this user's, or for an address that names none. */
const refusals: ReadonlySet<ClientErrorCode> = new Set(['not_found', 'forbidden', 'bad_request']);
const isRefused = ({ history }: RoomView): boolean =>
  history.state === 'failed' && refusals.has(history.error.code);

function UnavailableRoom({ onBack }: { readonly onBack: () => void }) {
  return (
    <section class="empty-state">
      <h1>{text('room.unavailable')}</h1>
      <p>{text('room.unavailableWhy')}</p>
      <button class="button primary" type="button" onClick={onBack}>
        {text('room.back')}
      </button>
    </section>
  );
}

function presenceText(presence: Presence | undefined): string {
  if (presence?.state === 'online') return text('presence.online');
  if (presence?.state !== 'offline') return '';
  const { lastSeen } = presence;
  return text('presence.lastSeen', { day: formatDay(lastSeen), clock: formatClock(lastSeen) });
}
