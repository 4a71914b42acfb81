import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ChatView, Message, Presence, Store, User } from '../../src/client/index.js';
import { displayName } from '../ui/displayName.js';
import { formatDayAndClock } from '../ui/format.js';
import { useSource } from '../ui/hooks.js';
import { Avatar, Icon } from '../ui/icons.js';
import { Composer } from './Composer.js';
import { MessageList } from './MessageList.js';

interface Props {
  readonly store: Store;
  readonly roomId: string;
  readonly me: User;
  /** `undefined` until the chat list is loaded. */
  readonly chat: ChatView | undefined;
  readonly onBack: () => void;
}

/** One room: the other user with their presence, the messages, and the message field. */
export function RoomPane({ store, roomId, me, chat, onBack }: Props) {
  const room = useMemo(() => store.openRoom(roomId), [store, roomId]);
  useEffect(() => () => room.close(), [room]);
  const view = useSource(room);
  const [replyTo, setReplyTo] = useState<Message>();
  const other = view.other ?? chat?.other;
  const isErased = other?.erased === true;

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
      <MessageList
        room={room}
        view={view}
        me={me}
        // A deleted account receives no more messages.
        onReply={isErased ? undefined : setReplyTo}
      />
      {isErased ? (
        <p class="notice">
          This account was deleted, with all its messages. Your own messages are still here.
        </p>
      ) : (
        <Composer
          room={room}
          to={other ? displayName(other) : ''}
          replyTo={replyTo}
          onReplyDone={() => setReplyTo(undefined)}
        />
      )}
    </section>
  );
}

function presenceText(presence: Presence | undefined): string {
  if (presence?.state === 'online') return 'online';
  return presence?.state === 'offline' ? `last seen ${formatDayAndClock(presence.lastSeen)}` : '';
}
