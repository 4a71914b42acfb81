import type { Store, User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { useSource } from '../ui/hooks.js';
import { Avatar, Icon } from '../ui/icons.js';
import type { Session } from '../ui/session.js';
import { AccountDialog } from './AccountDialog.js';
import { useAlerts } from './alerts/alerts.js';
import { ChatList, EmptyState } from './ChatList.js';
import { ConnectionStatus } from './ConnectionStatus.js';
import { PeopleSearch } from './PeopleSearch.js';
import { RoomPane } from './RoomPane.js';

interface Props {
  readonly store: Store;
  readonly session: Session;
}

/** The chat list with the people search, and the open room. A narrow window shows one of the two. */
export function ChatPage({ store, session }: Props) {
  const snapshot = useSource(store);
  const [roomId, openRoom] = useOpenRoom();
  const [query, setQuery] = useState('');
  const [isAccountOpen, setAccountOpen] = useState(false);
  const me = snapshot.me ?? session.user;
  useAlerts(snapshot, me.userId);
  const open = (id: string): void => {
    setQuery('');
    openRoom(id);
  };

  return (
    <main class="panes" data-open={roomId === undefined ? 'list' : 'room'}>
      <ConnectionStatus state={snapshot.connection} onRetry={() => store.retry()} />
      <section class="side" aria-label="Chats and people">
        <AccountBar me={me} onOpenAccount={() => setAccountOpen(true)} />
        <label class="search">
          <span class="hidden-visually">Find people</span>
          <Icon name="search" />
          <input
            class="input"
            type="search"
            placeholder="Find people"
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
        </label>
        {query.trim() === '' ? (
          <ChatList snapshot={snapshot} openRoom={roomId} onOpen={open} onMore={() => store.moreChats()} />
        ) : (
          <PeopleSearch store={store} friends={snapshot.friends} query={query.trim()} onOpen={open} />
        )}
      </section>
      <div class="main">
        {roomId === undefined ? (
          <EmptyState hasChats={snapshot.chats.length > 0} loaded={snapshot.isLoaded} />
        ) : (
          <RoomPane
            key={roomId}
            store={store}
            roomId={roomId}
            me={me}
            chat={snapshot.chats.find((chat) => chat.roomId === roomId)}
            onBack={() => openRoom(undefined)}
          />
        )}
      </div>
      {isAccountOpen && <AccountDialog session={session} onClose={() => setAccountOpen(false)} />}
    </main>
  );
}

function AccountBar({ me, onOpenAccount }: { readonly me: User; readonly onOpenAccount: () => void }) {
  return (
    <header class="bar">
      <Avatar user={me} />
      <h1 class="name">
        <span class="hidden-visually">Chats of </span>
        {me.username}
      </h1>
      <button
        class="button plain icon"
        type="button"
        aria-label="Account and settings"
        onClick={onOpenAccount}
      >
        <Icon name="menu" />
      </button>
    </header>
  );
}

const PREFIX = '#room=';
const roomInAddress = (): string | undefined =>
  location.hash.startsWith(PREFIX) ? location.hash.slice(PREFIX.length) : undefined;

/**
 * The open room and a function that opens another one, or the list. The room is in the page's address, so that
 * Back, Forward and a reload keep it. Only opening a room from the list adds a step for Back.
 */
function useOpenRoom(): readonly [string | undefined, (roomId: string | undefined) => void] {
  const [openRoomId, setOpenRoomId] = useState(roomInAddress);
  useEffect(() => {
    const update = (): void => setOpenRoomId(roomInAddress());
    addEventListener('popstate', update);
    return () => removeEventListener('popstate', update);
  }, []);
  const openRoom = (roomId: string | undefined): void => {
    const before = roomInAddress();
    if (roomId === before) return;
    const address = roomId === undefined ? location.pathname + location.search : PREFIX + roomId;
    if (roomId !== undefined && before === undefined) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
    setOpenRoomId(roomId);
  };
  return [openRoomId, openRoom];
}
