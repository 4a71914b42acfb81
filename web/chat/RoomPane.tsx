import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ChatView, Message, Presence, Store, User } from '../../src/client/index.js';
import { Avatar } from '../ui/Avatar.js';
import { Icon } from '../ui/icons.js';
import { Composer } from './Composer.js';
import { Messages } from './Messages.js';
import { nameOf } from './names.js';
import { goTo } from './place.js';
import { lastSeen } from './times.js';
import { useView } from './useView.js';

interface Props {
  readonly store: Store;
  readonly roomId: string;
  readonly me: User;
  /** Undefined while the list of chats has not come. */
  readonly chat: ChatView | undefined;
}

/** One room: who is there, what was said, and where to write. */
export function RoomPane({ store, roomId, me, chat }: Props) {
  const room = useMemo(() => store.openRoom(roomId), [store, roomId]);
  useEffect(() => () => room.close(), [room]);
  const view = useView(room);
  const [replyTo, setReplyTo] = useState<Message>();
  const other = view.other ?? chat?.other;
  const isErased = other?.erased === true;

  return (
    <section class="room" aria-label={other ? `Chat with ${nameOf(other)}` : 'Chat'}>
      <header class="bar">
        <button
          class="button plain icon back"
          type="button"
          aria-label="Back to the chats"
          onClick={() => goTo(undefined)}
        >
          <Icon name="back" />
        </button>
        {other && <Avatar user={other} />}
        <div class="texts">
          <h1 class="name">{other ? nameOf(other) : ''}</h1>
          <p class="hint" role="status">
            {chat?.isTyping ? 'typing…' : seen(chat?.presence)}
          </p>
        </div>
      </header>
      <Messages
        room={room}
        view={view}
        me={me}
        // Whoever has been erased can be told nothing more.
        onReply={isErased ? undefined : setReplyTo}
      />
      {isErased ? (
        <p class="notice">This user has been erased. Their messages are gone; yours are still here.</p>
      ) : (
        <Composer
          room={room}
          to={other ? nameOf(other) : ''}
          replyTo={replyTo}
          onReplied={() => setReplyTo(undefined)}
        />
      )}
    </section>
  );
}

function seen(presence: Presence | undefined): string {
  if (presence?.state === 'online') return 'online';
  return presence?.state === 'offline' ? `last seen ${lastSeen(presence.lastSeen)}` : '';
}
