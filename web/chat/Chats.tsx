import { useEffect, useState } from 'preact/hooks';
import type { Store } from '../../src/client/index.js';
import { Avatar } from '../ui/Avatar.js';
import { Icon } from '../ui/icons.js';
import type { Session } from '../ui/session.js';
import { Account } from './Account.js';
import { Beginning } from './Beginning.js';
import { ChatList } from './ChatList.js';
import { Connection } from './Connection.js';
import { useNews } from './news.js';
import { People } from './People.js';
import { goTo, onPlace, placeOf } from './place.js';
import { RoomPane } from './RoomPane.js';
import { useView } from './useView.js';

interface Props {
  readonly store: Store;
  readonly session: Session;
}

/** Both panes: people and chats, and the room that is open. A narrow window shows one of them. */
export function Chats({ store, session }: Props) {
  const snapshot = useView(store);
  const [roomId, setRoomId] = useState(placeOf);
  const [query, setQuery] = useState('');
  const [account, setAccount] = useState(false);
  const me = snapshot.me ?? session.user;
  useEffect(() => onPlace(() => setRoomId(placeOf())), []);
  useNews(snapshot, me.userId);
  const open = (id: string): void => {
    setQuery('');
    goTo(id);
  };

  return (
    <main class="panes" data-open={roomId === undefined ? 'list' : 'room'}>
      <Connection state={snapshot.connection} onRetry={() => store.retry()} />
      <section class="side" aria-label="Chats and people">
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
            onClick={() => setAccount(true)}
          >
            <Icon name="menu" />
          </button>
        </header>
        <label class="search">
          <span class="hidden-visually">Find people</span>
          <Icon name="search" />
          <input
            class="input"
            type="search"
            placeholder="Find people"
            maxLength={32}
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
        </label>
        {query.trim() === '' ? (
          <ChatList snapshot={snapshot} openRoom={roomId} onOpen={open} onMore={() => store.moreChats()} />
        ) : (
          <People store={store} friends={snapshot.friends} query={query.trim()} onOpen={open} />
        )}
      </section>
      <div class="main">
        {roomId === undefined ? (
          <Beginning hasChats={snapshot.chats.length > 0} loaded={snapshot.loaded} />
        ) : (
          <RoomPane
            key={roomId}
            store={store}
            roomId={roomId}
            me={me}
            chat={snapshot.chats.find((chat) => chat.roomId === roomId)}
          />
        )}
      </div>
      {account && <Account session={session} onClose={() => setAccount(false)} />}
    </main>
  );
}
