import type { ChatView, Snapshot } from '../../src/client/index.js';
import { Avatar } from '../ui/Avatar.js';
import { Beginning } from './Beginning.js';
import { nameOf } from './names.js';
import { briefly } from './times.js';

interface Props {
  readonly snapshot: Snapshot;
  readonly openRoom: string | undefined;
  readonly onOpen: (roomId: string) => void;
  readonly onMore: () => void;
}

/** The chats, newest activity first. */
export function ChatList({ snapshot, openRoom, onOpen, onMore }: Props) {
  const { chats, hasMoreChats, loaded, me } = snapshot;
  if (!loaded) return <p class="empty">Loading…</p>;
  if (chats.length === 0)
    return (
      <div class="list">
        <p class="empty">No chats yet. Find somebody by their name above.</p>
        {/* A wide window says so beside this. */}
        <div class="narrow-only">
          <Beginning hasChats={false} loaded />
        </div>
      </div>
    );
  return (
    <nav class="list" aria-label="Chats">
      <ul>
        {chats.map((chat) => (
          <li key={chat.roomId}>
            <button
              class="chat"
              type="button"
              aria-current={chat.roomId === openRoom ? 'true' : undefined}
              onClick={() => onOpen(chat.roomId)}
            >
              <Line chat={chat} mine={chat.lastMessage?.senderId === me?.userId} />
            </button>
          </li>
        ))}
      </ul>
      {hasMoreChats && (
        <button class="button plain more" type="button" onClick={onMore}>
          Older chats
        </button>
      )}
    </nav>
  );
}

function Line({ chat, mine }: { readonly chat: ChatView; readonly mine: boolean }) {
  const { other, unread, presence, isTyping, lastActivity } = chat;
  return (
    <>
      <span class="with-dot">
        <Avatar user={other} />
        {presence.state === 'online' && <span class="dot" />}
      </span>
      <span class="texts">
        <span class="top">
          <b class="name">{nameOf(other)}</b>
          {presence.state === 'online' && <span class="hidden-visually">, online</span>}
          <time dateTime={lastActivity}>{briefly(lastActivity)}</time>
        </span>
        <span class="top">
          <span class="last">{isTyping ? <i>is typing…</i> : lastText(chat, mine)}</span>
          {unread > 0 && (
            <span class="unread">
              {unread}
              <span class="hidden-visually"> unread</span>
            </span>
          )}
        </span>
      </span>
    </>
  );
}

function lastText({ lastMessage }: ChatView, mine: boolean) {
  if (!lastMessage) return 'Nothing said yet';
  if (lastMessage.message === null) return 'Message erased';
  return mine ? `You: ${lastMessage.message}` : lastMessage.message;
}
