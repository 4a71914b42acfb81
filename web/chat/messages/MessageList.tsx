import type { Entry, Message, Room, RoomView, User } from '@parley/client';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { formatDay } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { distanceFromEnd, useEndFollower } from './endFollower.js';
import { MessageBubble } from './MessageBubble.js';
import { idOf, newestSeq, rowsOf, useVirtualList } from './messageRows.js';

/** Fetches the next page of history when fewer rows than this are above the view. */
const PREFETCH_ROWS = 10;
/** Shows the button to the newest message when the end is further away than this. */
const FAR_FROM_END_PX = 120;
const ESTIMATED_ROW_PX = 64;

interface Props {
  readonly room: Room;
  readonly view: RoomView;
  readonly me: User;
  readonly onReply: ((message: Message) => void) | undefined;
}

/** The messages of a room, the newest at the bottom. Scrolling up loads earlier ones. */
export function MessageList({ room, view, me, onReply }: Props) {
  const { entries, history, other, myMark } = view;
  const isComplete = history.state === 'complete';
  const rows = useMemo(() => rowsOf(entries, isComplete), [entries, isComplete]);
  const indexById = useMemo(() => new Map(rows.map(({ key }, i) => [key, i])), [rows]);
  const scroller = useRef<HTMLElement>(null);
  const follower = useEndFollower(() => scroller.current);
  const list = useVirtualList(
    {
      count: rows.length,
      getScrollElement: () => scroller.current,
      estimateSize: () => ESTIMATED_ROW_PX,
      getItemKey: (i) => rows[i]?.key ?? i,
    },
    follower,
  );
  const items = list.getVirtualItems();
  const visible = list.range;
  const isEmpty = rows.length === 0;
  const goTo = (messageId: string): void => {
    const index = indexById.get(messageId);
    if (index === undefined) return;
    follower.leave();
    list.scrollToIndex(index, { align: 'center' });
  };

  // A view that is still on its way to the end shows rows that the reader did not scroll to.
  const isOnItsWay = follower.isFollowing && visible?.endIndex !== rows.length - 1;
  const isNearStart = visible !== null && !isOnItsWay && visible.startIndex < PREFETCH_ROWS;
  usePrefetch(room, history, isNearStart);
  useShowOwn(entries.at(-1), () => follower.follow());
  useReadMark(room, newestSeq(rows, visible?.endIndex), myMark);

  return (
    <div class="messages">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard */}
      <section ref={scroller} class="scroller" tabIndex={0} aria-label="Messages">
        {history.state === 'failed' && (
          <button class="button more" type="button" onClick={() => void room.earlier()}>
            Earlier messages could not be loaded. Try again
          </button>
        )}
        <ol style={{ height: `${list.getTotalSize()}px` }} aria-busy={history.state === 'loading'}>
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <li
                key={row.key}
                data-index={item.index}
                ref={(element) => list.measureElement(element)}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                {row.day !== undefined && <p class="day">{formatDay(row.day)}</p>}
                <MessageBubble
                  entry={row.entry}
                  me={me}
                  other={other}
                  quoted={quotedBy(row.entry, (id) => entries[indexById.get(id) ?? -1])}
                  room={room}
                  onReply={onReply}
                  onGoTo={goTo}
                />
              </li>
            );
          })}
        </ol>
        {isEmpty && isComplete && <p class="empty">No messages yet.</p>}
      </section>
      {scroller.current && !follower.isFollowing && distanceFromEnd(scroller.current) > FAR_FROM_END_PX && (
        <NewestButton onClick={() => follower.follow()} />
      )}
      <Announcement entry={entries.at(-1)} me={me} other={other} />
    </div>
  );
}

/** Goes to the end when this user writes a message here, or tries a refused one again. */
function useShowOwn(newest: Entry | undefined, goToEnd: () => void): void {
  const sending = newest?.state === 'sending' ? newest.messageId : undefined;
  useLayoutEffect(() => {
    if (sending !== undefined) goToEnd();
  }, [sending]);
}

/** Loads the next page of history while the oldest loaded message is near. */
function usePrefetch(room: Room, history: RoomView['history'], isNearStart: boolean): void {
  useEffect(() => {
    if (isNearStart && history.state === 'more') void room.earlier();
  }, [room, history, isNearStart]);
}

/** Marks messages as read up to `seq` while the page is visible. */
function useReadMark(room: Room, seq: number, myMark: number): void {
  useEffect(() => {
    if (seq <= myMark) return;
    const markRead = (): void => {
      if (document.visibilityState === 'visible') room.read(seq);
    };
    markRead();
    document.addEventListener('visibilitychange', markRead);
    return () => document.removeEventListener('visibilitychange', markRead);
  }, [room, seq, myMark]);
}

function quotedBy(entry: Entry, find: (id: string) => Entry | undefined) {
  const id = entry.state === 'stored' ? entry.message.replyTo : entry.replyTo;
  return id === undefined ? undefined : { id, entry: find(id) };
}

function NewestButton({ onClick }: { readonly onClick: () => void }) {
  return (
    <button class="button icon newest" type="button" aria-label="Go to the newest message" onClick={onClick}>
      <Icon name="down" />
    </button>
  );
}

interface AnnouncementProps {
  readonly entry: Entry | undefined;
  readonly me: User;
  readonly other: User | undefined;
}

/** Tells screen readers about a new message. The list itself cannot: scrolling adds old messages to the page. */
function Announcement({ entry, me, other }: AnnouncementProps) {
  const isTheirs = entry?.state === 'stored' && entry.message.senderId !== me.userId;
  return (
    <div role="log" class="hidden-visually" aria-label="New messages">
      {isTheirs && other && (
        <p key={idOf(entry)}>
          {`${displayName(other)}: `}
          <bdi>{entry.message.message ?? 'Message deleted'}</bdi>
        </p>
      )}
    </div>
  );
}
