import type { Entry } from '@parley/client';
import { Component } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatDay, startOfDay } from '../../ui/format.js';
import { text } from '../../ui/texts.js';
import { distanceFromEnd, useEndFollower } from './endFollower.js';
import { type Target, useGoTo } from './goTo.js';
import { HappeningLines } from './HappeningLines.js';
import { JumpButtons } from './JumpButtons.js';
import { MessageBubble } from './MessageBubble.js';
import { idOf, newestSeq, type Row, viewRows } from './messageRows.js';
import { nameOf, type Talk } from './talk.js';
import { type UnreadLine, useReadMark } from './unread.js';
import { useVirtualList } from './virtualList.js';

/** Fetches the next page of history when fewer rows than this are above the view. */
const PREFETCH_ROWS = 10;
/** Shows the button to the newest message when the end is further away than this. */
const FAR_FROM_END_PX = 120;
const ESTIMATED_ROW_PX = 64;

interface Props {
  readonly talk: Talk;
  readonly unread: UnreadLine;
  /** The message to lead to. */
  readonly target: Target | undefined;
  readonly onGoTo: (target: Target) => void;
}

/** The messages of a room, the newest at the bottom. Scrolling up loads earlier ones. */
export function MessageList({ talk, unread, target, onGoTo }: Props) {
  const { room, view } = talk;
  const { entries, history } = view;
  const rows = useRows(talk, unread.after);
  const scroller = useRef<HTMLElement>(null);
  const follower = useEndFollower(() => scroller.current);
  const list = useVirtualList(
    {
      count: rows.length,
      getScrollElement: () => scroller.current,
      estimateSize: () => ESTIMATED_ROW_PX,
      getItemKey: useKeys(rows),
    },
    follower,
  );
  const visible = list.range;
  const goToMessage = useCallback((messageId: string) => onGoTo({ messageId }), [onGoTo]);
  const today = startOfDay(new Date().toISOString());
  const found = useGoTo(talk, target, (index) => {
    follower.leave();
    list.scrollToIndex(index, { align: 'center' });
  });

  // A view that is still on its way to the end shows rows that the reader did not scroll to.
  const isOnItsWay = follower.isFollowing && visible?.endIndex !== rows.length - 1;
  const isNearStart = visible !== null && !isOnItsWay && visible.startIndex < PREFETCH_ROWS;
  useEffect(() => {
    if (isNearStart && history.state === 'more') void room.earlier();
  }, [room, history, isNearStart]);
  useShowOwn(entries.at(-1), () => follower.follow());
  const seen = newestSeq(rows, visible?.endIndex);
  useReadMark(room, view, seen);
  const isAway =
    scroller.current !== null && !follower.isFollowing && distanceFromEnd(scroller.current) > FAR_FROM_END_PX;

  return (
    <div class="messages">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard */}
      <section ref={scroller} class="scroller" tabIndex={0} aria-label={text('messages.list')}>
        {history.state === 'failed' && (
          <button class="button more" type="button" onClick={() => void room.earlier()}>
            {text('messages.earlierFailed')}
          </button>
        )}
        <ol style={{ height: `${list.getTotalSize()}px` }} aria-busy={history.state === 'loading'}>
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
                  isFound={row.key === found}
                  onGoTo={goToMessage}
                />
              </li>
            );
          })}
        </ol>
        {rows.length === 0 && <NoMessages talk={talk} />}
      </section>
      <JumpButtons
        talk={talk}
        unread={unread}
        seen={isAway ? seen : undefined}
        firstSeen={rows[visible?.startIndex ?? 0]}
        onGoTo={onGoTo}
        onNewest={() => follower.follow()}
      />
      <Announcement entry={entries.at(-1)} talk={talk} />
    </div>
  );
}

function useRows({ view, happenings, viewer }: Talk, unreadAfter: number | undefined): readonly Row[] {
  const { entries, history } = view;
  const isComplete = history.state === 'complete';
  const myId = viewer.me.userId;
  const [rowsOf] = useState(viewRows);
  return useMemo(
    () => rowsOf({ entries, happenings, isComplete, myId, unreadAfter }),
    [entries, happenings, isComplete, myId, unreadAfter],
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
      next.isFound !== props.isFound
    );
  }

  override render({ talk, row, quotedId, quoted, isFound, onGoTo }: ListRowProps) {
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
