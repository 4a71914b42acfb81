import type { ChatView, ClientErrorCode, Message, Presence, RoomView } from '@parley/client';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { displayName } from '../ui/displayName.js';
import { formatClock, formatDay } from '../ui/format.js';
import { useSource } from '../ui/hooks.js';
import { Icon } from '../ui/icons.js';
import { text } from '../ui/texts.js';
import { ChatAvatar } from './ChatRow.js';
import { Composer } from './Composer.js';
import { chatMenu, unblock } from './chatActions.js';
import { useChatPage } from './chatContext.js';
import { MenuButton } from './Menu.js';
import { MessageList } from './MessageList.js';
import { RequestBar } from './people/RequestBar.js';

interface Props {
  readonly roomId: string;
  /** `undefined` until the chat is known. */
  readonly chat: ChatView | undefined;
  readonly onBack: () => void;
}

/** One room: who is in it, the messages, and the message field. */
export function RoomPane({ roomId, chat, onBack }: Props) {
  const { store, me } = useChatPage();
  const room = useMemo(() => store.openRoom(roomId), [store, roomId]);
  useEffect(() => () => room.close(), [room]);
  const view = useSource(room);
  const [replyTo, setReplyTo] = useState<Message>();
  const name = roomName(view);

  if (name === undefined && isRefused(view)) return <UnavailableRoom onBack={onBack} />;
  const canWrite = canSend(view, chat);
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
      <MessageList room={room} view={view} me={me} onReply={canWrite ? setReplyTo : undefined} />
      {canWrite && name !== undefined ? (
        <Composer room={room} to={name} replyTo={replyTo} onReplyDone={() => setReplyTo(undefined)} />
      ) : (
        <InsteadOfComposer view={view} chat={chat} />
      )}
    </section>
  );
}

/** Undefined until the chat is known: the room in the address may be one of other users. */
function roomName({ other, chat }: RoomView): string | undefined {
  if (other) return displayName(other);
  return chat?.roomType === 'GROUP' ? (chat.name ?? text('group.unnamed')) : undefined;
}

function canSend({ other, chat, isMember }: RoomView, line: ChatView | undefined): boolean {
  if (!chat || !isMember || other?.erased || chat.request || line?.isBlocked) return false;
  return chat.whoSends !== 'admins' || chat.role !== 'member';
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
          {subtitle(view, chat)}
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

function subtitle({ other, typing, chat: info }: RoomView, chat: ChatView | undefined): string {
  if (other) return chat?.isTyping ? text('room.typing') : presenceText(chat?.presence);
  const [first] = typing;
  if (first) return text('room.namedTyping', { name: displayName(first), others: typing.length - 1 });
  return info ? text('group.members', { count: info.members ?? 0 }) : '';
}

/** Why nothing can be written here, and what can be done about it. */
function InsteadOfComposer({ view, chat }: RoomParts) {
  const { store } = useChatPage();
  const { other, chat: info, isMember } = view;
  if (!info) return null;
  if (other?.erased) return <p class="notice">{text('room.erased')}</p>;
  if (other && chat?.isBlocked)
    return (
      <div class="notice with-action">
        <p>{text('block.isBlocked', { name: displayName(other) })}</p>
        <button
          class="button"
          type="button"
          onClick={() => void unblock(store, other.userId).catch(() => {})}
        >
          {text('block.undo')}
        </button>
      </div>
    );
  if (other && info.request) return <RequestBar roomId={view.roomId} other={other} />;
  return <p class="notice">{text(isMember ? 'room.adminsSend' : 'room.left')}</p>;
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
