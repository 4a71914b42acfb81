import type { ChatView, Snapshot } from '@parley/client';
import { chatName } from '../ui/displayName.js';
import { formatShort } from '../ui/format.js';
import { Avatar } from '../ui/icons.js';
import { profile } from '../ui/session.js';

interface Props {
  readonly snapshot: Snapshot;
  readonly openRoom: string | undefined;
  readonly onOpen: (roomId: string) => void;
  readonly onMore: () => void;
}

/** The chats, latest activity first. */
export function ChatList({ snapshot, openRoom, onOpen, onMore }: Props) {
  const { chats, hasMoreChats, isLoaded, me } = snapshot;
  if (!isLoaded) return <p class="empty">Loading…</p>;
  if (chats.length === 0)
    return (
      <div class="list">
        <p class="empty">No chats yet. Search for a person by user name.</p>
        {/* A wide window shows the empty state in the room's place. */}
        <div class="narrow-only">
          <EmptyState hasChats={false} loaded />
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
              <ChatRow chat={chat} isMine={chat.lastMessage?.senderId === me?.userId} />
            </button>
          </li>
        ))}
      </ul>
      {hasMoreChats && (
        <button class="button plain more" type="button" onClick={onMore}>
          Show older chats
        </button>
      )}
    </nav>
  );
}

function ChatRow({ chat, isMine }: { readonly chat: ChatView; readonly isMine: boolean }) {
  const { other, unread, presence, isTyping, lastActivity } = chat;
  return (
    <>
      <span class="with-dot">
        {other && <Avatar user={other} />}
        {presence.state === 'online' && <span class="dot" />}
      </span>
      <span class="texts">
        <span class="top">
          <b class="name">{chatName(chat)}</b>
          {presence.state === 'online' && <span class="hidden-visually">, online</span>}
          <time dateTime={lastActivity}>{formatShort(lastActivity)}</time>
        </span>
        <span class="top">
          <span class="last">
            {isTyping ? <i>is typing…</i> : <LastMessage chat={chat} isMine={isMine} />}
          </span>
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

function LastMessage({ chat, isMine }: { readonly chat: ChatView; readonly isMine: boolean }) {
  const { lastMessage } = chat;
  if (!lastMessage) return <>No messages yet</>;
  if (lastMessage.message === null) return <>Message deleted</>;
  return (
    <>
      {isMine && 'You: '}
      <bdi>{lastMessage.message}</bdi>
    </>
  );
}

interface EmptyStateProps {
  readonly hasChats: boolean;
  readonly loaded: boolean;
}

/** Shown while no room is open; tells a new user how to start a chat. */
export function EmptyState({ hasChats, loaded }: EmptyStateProps) {
  if (!loaded) return <div class="empty-state" />;
  if (hasChats)
    return (
      <div class="empty-state">
        <h2>Select a chat</h2>
        <p>Or search for a person by user name.</p>
      </div>
    );
  return (
    <div class="empty-state">
      <h2>Start a conversation</h2>
      <p>
        Search for a person by user name. To try Parley alone, open a second window and sign up there with a
        different user name.
      </p>
      <a class="button primary" href={profile === '' ? '/?as=second' : '/'} target="_blank" rel="noopener">
        Open a second window
      </a>
    </div>
  );
}
