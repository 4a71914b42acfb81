import type { ChatView, Snapshot } from '@parley/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useSource } from '../ui/hooks.js';
import { Icon } from '../ui/icons.js';
import { profile } from '../ui/session.js';
import { text } from '../ui/texts.js';
import { ChatRow } from './ChatRow.js';
import { useChatPage } from './chatContext.js';
import { InviteButton } from './invitation.js';
import { attempt } from './notices.js';
import { type WaitingEntry, waiting } from './waiting.js';

/** The lists of chats. One is shown at a time. */
export type ListName = 'chats' | 'requests' | 'archived';

interface Props {
  readonly list: ListName;
  readonly openRoom: string | undefined;
  readonly onOpen: (roomId: string) => void;
  readonly onShow: (list: ListName) => void;
}

/** Whether the lists are here: fetched, or kept from the last time. */
export const canShow = ({ isLoaded, isKept }: Snapshot): boolean => isLoaded || isKept;

/** The chats, latest activity first; or the requests, or the archive. */
export function ChatList({ list, openRoom, onOpen, onShow }: Props) {
  const { snapshot, store } = useChatPage();
  const { chats, hasMoreChats, hasMoreArchived } = snapshot;
  useEffect(() => {
    if (list === 'archived') attempt(text('list.archived'), store.moreArchived());
  }, [list, store]);
  if (!canShow(snapshot)) return <p class="empty">{text('list.loading')}</p>;
  if (list !== 'chats')
    return (
      <InnerList
        list={list}
        chats={snapshot[list]}
        onBack={() => onShow('chats')}
        onMore={list === 'archived' && hasMoreArchived ? () => store.moreArchived() : undefined}
        {...{ openRoom, onOpen }}
      />
    );
  const isEmpty = chats.length === 0;
  return (
    <div class="list">
      <LeadingRows snapshot={snapshot} onShow={onShow} />
      {isEmpty ? (
        <>
          <p class="empty">{text('list.empty')}</p>
          {/* A wide window shows the empty state in the room's place. */}
          <div class="narrow-only">
            <EmptyState hasChats={false} loaded />
          </div>
        </>
      ) : (
        <Rows label={text('list.chats')} chats={chats} {...{ openRoom, onOpen }} />
      )}
      {hasMoreChats && <MoreButton onMore={() => store.moreChats()} />}
    </div>
  );
}

interface RowsProps {
  readonly label: string;
  readonly chats: readonly ChatView[];
  readonly openRoom: string | undefined;
  readonly onOpen: (roomId: string) => void;
}

/** What this user wrote last stands first among the pinned and among the others, also while it is not sent yet. */
function withUnsentFirst(
  chats: readonly ChatView[],
  unsent: ReadonlyMap<string, WaitingEntry>,
): readonly ChatView[] {
  if (unsent.size === 0) return chats;
  const timeOf = ({ roomId }: ChatView): number => Date.parse(unsent.get(roomId)?.queuedAt ?? '') || 0;
  return [...chats].sort((a, b) => Number(!!b.pinned) - Number(!!a.pinned) || timeOf(b) - timeOf(a));
}

function Rows({ label, chats, openRoom, onOpen }: RowsProps) {
  const { me } = useChatPage();
  const unsent = useSource(waiting);
  const [focused, setFocused] = useState<string>();
  const shown = withUnsentFirst(chats, unsent);
  // The whole list is one stop of the Tab key: the chat that had the focus last, the open one, or else the first.
  const has = (roomId: string | undefined): boolean => chats.some((chat) => chat.roomId === roomId);
  const stop = [focused, openRoom].find(has) ?? shown[0]?.roomId;
  return (
    <nav aria-label={label}>
      <ul onFocusIn={({ target }) => setFocused(rowOf(target)?.dataset.room)} onKeyDown={moveInRow}>
        {shown.map((chat) => (
          <ChatRow
            key={chat.roomId}
            chat={chat}
            myUserId={me.userId}
            isOpen={chat.roomId === openRoom}
            isStop={chat.roomId === stop}
            onOpen={onOpen}
            waiting={unsent.get(chat.roomId)}
          />
        ))}
      </ul>
    </nav>
  );
}

const rowOf = (target: EventTarget | null): HTMLElement | null =>
  target instanceof Element ? target.closest('li') : null;

/** Right leads from a chat to the button of its menu, and Left back. Other keys move from there as from the chat. */
function moveInRow(event: KeyboardEvent): void {
  const row = rowOf(event.target);
  const [chat, menu] = row?.querySelectorAll<HTMLElement>('.chat, .row-menu') ?? [];
  const isRtl = row !== null && getComputedStyle(row).direction === 'rtl';
  if (event.key === (isRtl ? 'ArrowLeft' : 'ArrowRight')) menu?.focus();
  else if (event.key.startsWith('Arrow') || event.key === 'Home' || event.key === 'End') chat?.focus();
}

function MoreButton({ onMore }: { readonly onMore: () => Promise<void> }) {
  const label = text('list.more');
  return (
    <button class="button plain more" type="button" onClick={() => attempt(label, onMore())}>
      {label}
    </button>
  );
}

/** What leads to the requests and to the archive, while there are any. */
function LeadingRows({
  snapshot,
  onShow,
}: {
  readonly snapshot: Snapshot;
  readonly onShow: (list: ListName) => void;
}) {
  const { requests, archived, hasMoreArchived } = snapshot;
  // Nobody knows how many are archived before they are fetched.
  const hasArchive = archived.length > 0 || hasMoreArchived;
  return (
    <>
      {requests.length > 0 && (
        <button class="leading" type="button" data-row onClick={() => onShow('requests')}>
          <Icon name="person" />
          <span class="name">{text('list.requests')}</span>
          <span class="unread">{requests.length}</span>
        </button>
      )}
      {hasArchive && (
        <button class="leading" type="button" data-row onClick={() => onShow('archived')}>
          <Icon name="archive" />
          <span class="name">{text('list.archived')}</span>
          {archived.length > 0 && <span class="hint">{archived.length}</span>}
        </button>
      )}
    </>
  );
}

interface InnerListProps extends Omit<RowsProps, 'label'> {
  readonly list: Exclude<ListName, 'chats'>;
  readonly onBack: () => void;
  readonly onMore: (() => Promise<void>) | undefined;
}

/** The requests or the archive, with a way back. */
function InnerList({ list, chats, onBack, onMore, ...rows }: InnerListProps) {
  const label = text(list === 'requests' ? 'list.requests' : 'list.archived');
  const back = useRef<HTMLButtonElement>(null);
  useEffect(() => back.current?.focus(), []);
  return (
    <div class="list">
      <div class="list-head">
        <button
          ref={back}
          class="button plain icon"
          type="button"
          aria-label={text('list.back')}
          onClick={onBack}
        >
          <Icon name="back" />
        </button>
        <h2>{label}</h2>
      </div>
      <p class="hint count">{text(list === 'requests' ? 'list.requestsHint' : 'list.archivedHint')}</p>
      {chats.length === 0 && !onMore ? (
        <p class="empty">{text(list === 'requests' ? 'list.noRequests' : 'list.noArchived')}</p>
      ) : (
        <Rows label={label} chats={chats} {...rows} />
      )}
      {onMore && <MoreButton onMore={onMore} />}
    </div>
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
        <h2>{text('empty.select')}</h2>
        <p>{text('empty.orSearch')}</p>
      </div>
    );
  return (
    <div class="empty-state">
      <h2>{text('empty.start')}</h2>
      <p>{text('empty.how')}</p>
      <InviteButton />
      <a class="button" href={profile === '' ? '/?as=second' : '/'} target="_blank" rel="noopener">
        {text('empty.secondWindow')}
      </a>
    </div>
  );
}
