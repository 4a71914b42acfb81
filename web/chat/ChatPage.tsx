import type { Store } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { displayName } from '../ui/displayName.js';
import { useSource } from '../ui/hooks.js';
import { Avatar, Icon, type IconName } from '../ui/icons.js';
import type { Session } from '../ui/session.js';
import { text } from '../ui/texts.js';
import { useOpenRoom } from './address.js';
import { useAlerts } from './alerts/alerts.js';
import { ChatList, canShow, EmptyState, type ListName } from './ChatList.js';
import { ConnectionStatus } from './ConnectionStatus.js';
import { ChatActionsContext, ChatPageContext, type MessageAddress, useChatPage } from './chatContext.js';
import { DialogLayer, useDialogs } from './DialogLayer.js';
import { useInvitation } from './invitation.js';
import { useIsLost } from './lostConnection.js';
import { moveFocus } from './Menu.js';
import { NoticeArea } from './NoticeArea.js';
import { allChats, PeopleSearch } from './PeopleSearch.js';
import { useNewFriends } from './people/newFriends.js';
import { loadConversation, RoomPane } from './RoomPane.js';
import './side.css';

interface Props {
  readonly store: Store;
  readonly session: Session;
}

/** The chat list with the search, and the open room. A narrow window shows one of the two. */
export function ChatPage({ store, session }: Props) {
  const snapshot = useSource(store);
  const [roomId, openRoom] = useOpenRoom();
  const { dialogs, views } = useDialogs();
  const me = snapshot.me ?? session.user;
  const isLost = useIsLost(store, snapshot.connection);
  useAlerts(snapshot, me.userId);
  // If it cannot be loaded now, the first room tries again.
  useEffect(() => void loadConversation().catch(() => {}), []);
  const [wanted, setWanted] = useState<MessageAddress>();
  const actions = useMemo(() => {
    const showMessage = (message: MessageAddress | undefined): void => {
      if (message) openRoom(message.roomId);
      setWanted(message);
    };
    return { store, session, dialogs, openRoom, showMessage };
  }, [store, session, dialogs, openRoom]);
  useInvitation(actions);
  const page = useMemo(
    () => ({ ...actions, snapshot, isLost, me, wanted }),
    [actions, snapshot, isLost, me, wanted],
  );
  return (
    <ChatActionsContext.Provider value={actions}>
      <ChatPageContext.Provider value={page}>
        <main class="panes" data-open={roomId === undefined ? 'list' : 'room'} data-lost={isLost}>
          <ConnectionStatus state={snapshot.connection} isLost={isLost} onRetry={() => store.retry()} />
          <Side openRoomId={roomId} />
          <div class="main">
            {roomId === undefined ? (
              <EmptyState hasChats={snapshot.chats.length > 0} loaded={canShow(snapshot)} />
            ) : (
              <RoomPane
                key={roomId}
                roomId={roomId}
                chat={allChats(snapshot).find((chat) => chat.roomId === roomId)}
                onBack={() => openRoom(undefined)}
              />
            )}
          </div>
          <NoticeArea />
          <DialogLayer views={views} />
        </main>
      </ChatPageContext.Provider>
    </ChatActionsContext.Provider>
  );
}

/** The chats, and the search over them. */
function Side({ openRoomId }: { readonly openRoomId: string | undefined }) {
  const { openRoom, snapshot } = useChatPage();
  const [query, setQuery] = useState('');
  const [list, setList] = useState<ListName>('chats');
  const search = useRef<HTMLInputElement>(null);
  const isSearching = query.trim() !== '';
  const hasRequests = snapshot.requests.length > 0;
  useEffect(() => {
    // The last request was answered.
    if (!hasRequests) setList((shown) => (shown === 'requests' ? 'chats' : shown));
  }, [hasRequests]);
  useFirstArchived();
  useSearchKey(() => {
    const select = (): void => {
      search.current?.focus();
      search.current?.select();
    };
    // At once: who types on must find the letters there.
    if (search.current?.offsetParent !== null) return select();
    // In a narrow window the room covers the list.
    openRoom(undefined);
    requestAnimationFrame(select);
  });
  const open = useCallback(
    (id: string): void => {
      setQuery('');
      openRoom(id);
    },
    [openRoom],
  );
  return (
    <section
      class="side"
      aria-label={text('side.label')}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && query !== '') {
          setQuery('');
          search.current?.focus();
        }
        if (event.target === search.current && event.key === 'Enter' && !event.isComposing)
          event.currentTarget.querySelector<HTMLElement>('.found [data-row]')?.click();
        moveFocus(event, 'input[type="search"], [data-row]');
      }}
    >
      <AccountBar />
      <label class="search">
        <span class="hidden-visually">{text('search.label')}</span>
        <Icon name="search" />
        <input
          ref={search}
          class="input"
          type="search"
          placeholder={text('search.label')}
          aria-keyshortcuts="Control+K Meta+K"
          value={query}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            // The search is one over all: what follows it is the first list.
            setList('chats');
          }}
        />
      </label>
      {isSearching ? (
        <PeopleSearch query={query.trim()} onOpen={open} />
      ) : (
        <ChatList list={list} openRoom={openRoomId} onOpen={open} onShow={setList} />
      )}
    </section>
  );
}

/** Ctrl-K, or Cmd-K, unless a dialog is open. */
function useSearchKey(onSearch: () => void): void {
  const latest = useRef(onSearch);
  latest.current = onSearch;
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const isSearch = event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey);
      if (!isSearch || event.altKey || event.shiftKey) return;
      event.preventDefault();
      if (!document.querySelector('dialog[open]')) latest.current();
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);
}

/** A page of the archive without an archived chat may have others behind it: it is asked for this often. */
const ARCHIVE_PAGES = 5;

/** Fetches the archive until one of it is known, so that the list can say whether there is an archive. */
function useFirstArchived(): void {
  const { store, snapshot } = useChatPage();
  const { isLoaded, hasMoreArchived } = snapshot;
  useEffect(() => {
    const fetch = async (): Promise<void> => {
      const isUnknown = (): boolean => store.get().archived.length === 0 && store.get().hasMoreArchived;
      for (let n = 0; n < ARCHIVE_PAGES && isUnknown(); n++) await store.moreArchived();
    };
    // Whoever opens the archive asks for it again, and is told.
    if (isLoaded && hasMoreArchived) fetch().catch(() => {});
  }, [store, isLoaded, hasMoreArchived]);
}

function AccountBar() {
  const { me, dialogs } = useChatPage();
  const newFriends = useNewFriends();
  return (
    <header class="bar">
      <button
        class="me"
        type="button"
        aria-label={text('bar.profile')}
        onClick={() => dialogs.open({ name: 'myProfile' })}
      >
        <Avatar user={me} />
      </button>
      <h1 class="name">
        <span class="hidden-visually">{text('bar.chatsOf')} </span>
        <bdi>{displayName(me)}</bdi>
      </h1>
      <BarButton
        name="person"
        label={text(newFriends.length > 0 ? 'bar.newFriends' : 'bar.friends', { count: newFriends.length })}
        view="friends"
      >
        {newFriends.length > 0 && (
          <span class="badge" aria-hidden="true">
            {newFriends.length}
          </span>
        )}
      </BarButton>
      <BarButton name="group" label={text('bar.newGroup')} view="newGroup" />
      <BarButton name="menu" label={text('bar.account')} view="account" />
    </header>
  );
}

interface BarButtonProps {
  readonly name: IconName;
  readonly label: string;
  readonly view: 'friends' | 'newGroup' | 'account';
  readonly children?: ComponentChildren;
}

function BarButton({ name, label, view, children }: BarButtonProps) {
  const { dialogs } = useChatPage();
  return (
    <button
      class="button plain icon"
      type="button"
      title={label}
      onClick={() => dialogs.open({ name: view })}
    >
      <Icon name={name} />
      <span class="hidden-visually">{label}</span>
      {children}
    </button>
  );
}
