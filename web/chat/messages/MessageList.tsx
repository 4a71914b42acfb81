import type { Entry, RoomView } from '@parley/client';
import { Component } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatDay, startOfDay } from '../../ui/format.js';
import { text } from '../../ui/texts.js';
import { distanceFromEnd, useEndFollower } from './endFollower.js';
import { type Target, useGoTo, useLater } from './goTo.js';
import { HappeningLines } from './HappeningLines.js';
import { JumpButtons } from './JumpButtons.js';
import { MessageBubble } from './MessageBubble.js';
import { useMessageFocus } from './messageFocus.js';
import { idOf, newestSeq, type Row, viewRows } from './messageRows.js';
import { nameOf, type Talk } from './talk.js';
import { type UnreadLine, useReadMark } from './unread.js';
import { useVirtualList } from './virtualList.js';

/** Fetches the next page of history when fewer rows than this are above the view, or below it in an earlier part. */
const PREFETCH_ROWS = 10;
/** Shows the button to the newest message when the end is further away than this. */
const FAR_FROM_END_PX = 120;
const ESTIMATED_ROW_PX = 64;

interface Props {
  readonly talk: Talk;
  readonly unread: UnreadLine;
  /** Then there are only the messages that are here. */
  readonly isOffline: boolean;
  /** How many messages this user has not read. */
  readonly unseen: number;
  /** The message to lead to. */
  readonly target: Target | undefined;
  readonly onGoTo: (target: Target) => void;
  /** Leads the keyboard from the messages to the field for a new one. */
  readonly onLeave: () => void;
}

/**
 * The messages of a room, the newest at the bottom. Scrolling up loads earlier ones; so does scrolling down, in an earlier
 * part of the history.
 */
export function MessageList({ talk, unread, unseen, isOffline, target, onGoTo, onLeave }: Props) {
  const { room, view } = talk;
  const { entries, history, isAtEnd } = view;
  const rows = useRows(talk, unread.after);
  const scroller = useRef<HTMLElement>(null);
  const follower = useEndFollower(() => scroller.current);
  follower.hasEnd = isAtEnd;
  const focus = useMessageFocus({ talk, scroller, rows, follower, onLeave });
  const list = useVirtualList(
    {
      count: rows.length,
      getScrollElement: () => scroller.current,
      estimateSize: () => ESTIMATED_ROW_PX,
      getItemKey: useKeys(rows),
    },
    follower,
    focus.kept,
  );
  const visible = list.range;
  focus.see({ visible, scrollTo: (index) => list.scrollToIndex(index, { align: 'auto' }) });
  const goToMessage = useCallback((messageId: string) => onGoTo({ messageId }), [onGoTo]);
  const today = startOfDay(new Date().toISOString());
  const later = useLater(room);
  const led = useGoTo(talk, target, (index) => {
    follower.leave();
    list.scrollToIndex(index, { align: 'center' });
    focus.follow(index);
  });

  // A view that is still on its way to the end shows rows that the reader did not scroll to.
  const isOnItsWay = led.isOnItsWay || (follower.isFollowing && visible?.endIndex !== rows.length - 1);
  const isNearStart = visible !== null && !isOnItsWay && visible.startIndex < PREFETCH_ROWS;
  const isNearEnd = visible !== null && !isOnItsWay && visible.endIndex >= rows.length - PREFETCH_ROWS;
  useEffect(() => {
    if (isNearStart && history.state === 'more') void room.earlier();
    if (isNearEnd && !isAtEnd && later.state === 'idle') void later.show();
  }, [room, history, isNearStart, isNearEnd, isAtEnd, later.state]);
  useShowOwn(entries.at(-1), () => follower.follow());
  const seen = newestSeq(rows, visible?.endIndex);
  useReadMark(room, view, isAtEnd ? seen : 0);
  const isAway = !isAtEnd || (!follower.isFollowing && isFarFromEnd(scroller.current));
  const goToNewest = (): void => {
    void room.show();
    follower.follow();
  };

  return (
    <div class="messages">
      <section ref={scroller} class="scroller" aria-label={text('messages.list')} {...focus.attributes}>
        <NoEarlier talk={talk} isOffline={isOffline} />
        <ol
          style={{ height: `${list.getTotalSize()}px` }}
          aria-busy={!isOffline && (history.state === 'loading' || later.state === 'loading')}
        >
          {list.getVirtualItems().map(({ index, start }) => {
            const row = rows[index];
            if (!row) return null;
            return (
              <li
                key={row.key}
                class={row.isContinued ? 'continued' : ''}
                data-index={index}
                ref={list.measureElement}
                style={{ transform: `translateY(${start}px)` }}
              >
                <ListRow
                  {...{ talk, row, today }}
                  {...quotedBy(row.entry, talk)}
                  isFound={row.key === led.found}
                  isStop={row.key === focus.stop}
                  onGoTo={goToMessage}
                />
              </li>
            );
          })}
        </ol>
        {later.state === 'failed' && !isAtEnd && (
          <MoreButton label={text('messages.laterFailed')} onClick={later.show} />
        )}
        {rows.length === 0 && <NoMessages talk={talk} />}
      </section>
      <JumpButtons
        {...{ talk, unread, unseen, onGoTo }}
        seen={isAway ? seen : undefined}
        firstSeen={rows[visible?.startIndex ?? 0]}
        onNewest={goToNewest}
      />
      <Announcement entry={useNewest(view)} talk={talk} />
    </div>
  );
}

const isFarFromEnd = (scroller: HTMLElement | null): boolean =>
  scroller !== null && distanceFromEnd(scroller) > FAR_FROM_END_PX;

/** Says why there are no earlier messages, though the room has some. */
function NoEarlier({ talk: { room, view }, isOffline }: Pick<Props, 'talk' | 'isOffline'>) {
  const { state } = view.history;
  if (isOffline && state !== 'complete') return <p class="offline">{text('messages.earlierOffline')}</p>;
  if (isOffline || state !== 'failed') return null;
  return <MoreButton label={text('messages.earlierFailed')} onClick={() => room.earlier()} />;
}

interface MoreButtonProps {
  readonly label: string;
  readonly onClick: () => Promise<void>;
}

/** Tries a page again that could not be loaded. */
function MoreButton({ label, onClick }: MoreButtonProps) {
  return (
    <button class="button more" type="button" onClick={() => void onClick()}>
      {label}
    </button>
  );
}

function useRows({ view, happenings, viewer }: Talk, unreadAfter: number | undefined): readonly Row[] {
  const { entries, history, isAtEnd } = view;
  const isComplete = history.state === 'complete';
  const myId = viewer.me.userId;
  const [rowsOf] = useState(viewRows);
  return useMemo(
    () => rowsOf({ entries, happenings, isComplete, isAtEnd, myId, unreadAfter }),
    [entries, happenings, isComplete, isAtEnd, myId, unreadAfter],
  );
}

/**
 * The key of each row, for the list. It is another function only if a row has come or gone: the list then computes the
 * places of all rows, of which there may be 10,000.
 */
function useKeys(rows: readonly Row[]): (i: number) => string | number {
  const latest = useRef(rows);
  latest.current = rows;
  return useCallback((i) => latest.current[i]?.key ?? i, [rows.length, rows[0]?.key, rows.at(-1)?.key]);
}

/** The newest entry; in an earlier part of the history the one that was the newest before. */
function useNewest({ entries, isAtEnd }: RoomView): Entry | undefined {
  const newest = useRef(entries.at(-1));
  if (isAtEnd) newest.current = entries.at(-1);
  return newest.current;
}

/** Goes to the end when this user writes a message here, or tries a refused one again. */
function useShowOwn(newest: Entry | undefined, goToEnd: () => void): void {
  const sending = newest?.state === 'sending' ? newest.messageId : undefined;
  useLayoutEffect(() => {
    if (sending !== undefined) goToEnd();
  }, [sending]);
}

interface Quoted {
  readonly quotedId: string | undefined;
  readonly quoted: Entry | undefined;
}

function quotedBy(entry: Entry, { find }: Talk): Quoted {
  const quotedId = entry.state === 'stored' ? entry.message.replyTo : entry.replyTo;
  return { quotedId, quoted: quotedId === undefined ? undefined : find(quotedId) };
}

interface ListRowProps extends Quoted {
  readonly talk: Talk;
  readonly row: Row;
  /** The start of the present day, which headings name. */
  readonly today: number;
  readonly isFound: boolean;
  /** Whether the Tab key leads to it. */
  readonly isStop: boolean;
  readonly onGoTo: (messageId: string) => void;
}

/** A row of the list. It is drawn again when it changes, and not at each step of the scroll bar. */
class ListRow extends Component<ListRowProps> {
  override shouldComponentUpdate(next: ListRowProps): boolean {
    const { props } = this;
    return (
      next.talk !== props.talk ||
      next.row !== props.row ||
      next.today !== props.today ||
      next.quoted !== props.quoted ||
      next.isFound !== props.isFound ||
      next.isStop !== props.isStop
    );
  }

  override render({ talk, row, quotedId, quoted, isFound, isStop, onGoTo }: ListRowProps) {
    return (
      <>
        <HappeningLines talk={talk} happenings={row.before} />
        {row.day !== undefined && <p class="day">{formatDay(row.day)}</p>}
        {row.isFirstUnread && <p class="unread-line">{text('messages.newMessages')}</p>}
        <MessageBubble
          entry={row.entry}
          quoted={quotedId === undefined ? undefined : { id: quotedId, entry: quoted }}
          isContinued={row.isContinued}
          isFound={isFound}
          isStop={isStop}
          onGoTo={onGoTo}
        />
        <HappeningLines talk={talk} happenings={row.after} />
      </>
    );
  }
}

function NoMessages({ talk }: { readonly talk: Talk }) {
  if (talk.view.history.state !== 'complete') return null;
  return (
    <>
      <HappeningLines talk={talk} happenings={talk.happenings} />
      <p class="empty">{text('messages.none')}</p>
    </>
  );
}

interface AnnouncementProps {
  readonly entry: Entry | undefined;
  readonly talk: Talk;
}

/** Tells screen readers about a new message. The list itself cannot: scrolling adds old messages to the page. */
function Announcement({ entry, talk }: AnnouncementProps) {
  const isTheirs = entry?.state === 'stored' && entry.message.senderId !== talk.viewer.me.userId;
  return (
    <div role="log" class="hidden-visually" aria-label={text('messages.newMessages')}>
      {isTheirs && !entry.blocked && (
        <p key={idOf(entry)}>
          {`${nameOf(talk, entry.message.senderId)}: `}
          <bdi>{entry.message.message ?? text('messages.deleted')}</bdi>
        </p>
      )}
    </div>
  );
}
