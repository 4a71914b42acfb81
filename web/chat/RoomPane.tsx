import type { ChatView, ClientErrorCode, Presence, RoomView, Store, User } from '@parley/client';
import { useEffect, useMemo } from 'preact/hooks';
import { displayName } from '../ui/displayName.js';
import { formatClock, formatDay } from '../ui/format.js';
import { useSource } from '../ui/hooks.js';
import { Avatar, Icon } from '../ui/icons.js';
import { text } from '../ui/texts.js';
import { Conversation } from './messages/Conversation.js';

interface Props {
  readonly store: Store;
  readonly roomId: string;
  readonly me: User;
  /** `undefined` until the chat is known. */
  readonly chat: ChatView | undefined;
  readonly onBack: () => void;
}

/** One room: the other user with their presence, the messages, and the message field. */
export function RoomPane({ store, roomId, me, chat, onBack }: Props) {
  const room = useMemo(() => store.openRoom(roomId), [store, roomId]);
  useEffect(() => () => room.close(), [room]);
  const view = useSource(room);
  const other = view.other ?? chat?.other;

  if (!other && isRefused(view)) return <UnavailableRoom onBack={onBack} />;
  return (
    <section class="room" aria-label={other ? `Chat with ${displayName(other)}` : 'Chat'}>
      <header class="bar">
        <button class="button plain icon back" type="button" aria-label="Back to chats" onClick={onBack}>
          <Icon name="back" />
        </button>
        {other && <Avatar user={other} />}
        <div class="texts">
          <h1 class="name">{other ? displayName(other) : ''}</h1>
          <p class="hint" role="status">
            {chat?.isTyping ? 'typing…' : presenceText(chat?.presence)}
          </p>
        </div>
      </header>
      <Conversation store={store} room={room} view={view} me={me} />
    </section>
  );
}

/** The server's answers for a room that is not one of this user's, or for an address that names none. */
const refusals: ReadonlySet<ClientErrorCode> = new Set(['not_found', 'forbidden', 'bad_request']);
const isRefused = ({ history }: RoomView): boolean =>
  history.state === 'failed' && refusals.has(history.error.code);

function UnavailableRoom({ onBack }: { readonly onBack: () => void }) {
  return (
    <section class="empty-state">
      <h1>This chat is not available.</h1>
      <p>It does not exist, or it is a chat of other users.</p>
      <button class="button primary" type="button" onClick={onBack}>
        Back to chats
      </button>
    </section>
  );
}

function presenceText(presence: Presence | undefined): string {
  if (presence?.state === 'online') return 'online';
  if (presence?.state !== 'offline') return '';
  const { lastSeen } = presence;
  return text('presence.lastSeen', { day: formatDay(lastSeen), clock: formatClock(lastSeen) });
}
