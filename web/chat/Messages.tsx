import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Message, Room, RoomView, User } from '../../src/client/index.js';
import { Icon } from '../ui/icons.js';
import { Bubble } from './Bubble.js';
import { nameOf } from './names.js';
import { idOf, type Row, rowsOf } from './rows.js';
import { dayName } from './times.js';
import { useVirtual } from './useVirtual.js';

/** So near to the oldest message here, the ones before it are fetched. */
const NEAR = 10;

interface Props {
  readonly room: Room;
  readonly view: RoomView;
  readonly me: User;
  readonly onReply: ((message: Message) => void) | undefined;
}

/** What was said, the newest below; the past comes as one scrolls to it. */
export function Messages({ room, view, me, onReply }: Props) {
  const { entries, history, other, myMark } = view;
  const isWhole = history.state === 'whole';
  const rows = useMemo(() => rowsOf(entries, isWhole), [entries, isWhole]);
  const index = useMemo(() => new Map(rows.map(({ key }, i) => [key, i])), [rows]);
  const byId = useMemo(() => new Map(entries.map((entry) => [idOf(entry), entry])), [entries]);
  const scroller = useRef<HTMLElement>(null);
  const list = useVirtual({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 64,
    getItemKey: (i) => rows[i]?.key ?? i,
  });
  const items = list.getVirtualItems();
  const seen = list.range;
  const isEmpty = rows.length === 0;

  // A room is entered at its end; before it has been there, its beginning is in view by mere accident.
  const [hasEntered, setEntered] = useState(false);
  useLayoutEffect(() => {
    if (isEmpty || hasEntered) return;
    list.scrollToEnd();
    const look = (): void => {
      if (list.isAtEnd()) setEntered(true);
      else frame = requestAnimationFrame(look);
    };
    let frame = requestAnimationFrame(look);
    return () => cancelAnimationFrame(frame);
  }, [list, isEmpty, hasEntered]);

  const isNear = hasEntered && seen !== null && seen.startIndex < NEAR;
  useEffect(() => {
    if (isNear && history.state === 'more') void room.earlier();
  }, [room, history, isNear]);

  useReading(room, newestSeq(rows, seen?.endIndex), myMark);

  const last = entries.at(-1);
  const isTheirs = last?.state === 'stored' && last.message.senderId !== me.userId;
  return (
    <div class="messages">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section ref={scroller} class="scroller" tabIndex={0} aria-label="Messages">
        {history.state === 'failed' && (
          <button class="button more" type="button" onClick={() => void room.earlier()}>
            Earlier messages could not be loaded: try again
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
                {row.day !== undefined && <p class="day">{dayName(row.day)}</p>}
                <Bubble
                  entry={row.entry}
                  me={me}
                  other={other}
                  quoted={quotedIn(row.entry, byId)}
                  room={room}
                  onReply={onReply}
                  onGoTo={(id) => {
                    const at = index.get(id);
                    if (at !== undefined) list.scrollToIndex(at, { align: 'center' });
                  }}
                />
              </li>
            );
          })}
        </ol>
        {isEmpty && isWhole && <p class="empty">Nothing said yet.</p>}
      </section>
      {!isEmpty && !list.isAtEnd(120) && (
        <button
          class="button icon newest"
          type="button"
          aria-label="To the newest message"
          onClick={() => list.scrollToEnd()}
        >
          <Icon name="down" />
        </button>
      )}
      {/* The list itself is silent: scrolling puts old messages into the page as if they were new. */}
      <div role="log" class="hidden-visually" aria-label="New messages">
        {isTheirs && other && (
          <p key={idOf(last)}>{`${nameOf(other)}: ${last.message.message ?? 'erased'}`}</p>
        )}
      </div>
    </div>
  );
}

/** The newest stored message up to this row. */
function newestSeq(rows: readonly Row[], upTo = -1): number {
  for (let i = Math.min(upTo, rows.length - 1); i >= 0; i--) {
    const row = rows[i];
    if (row?.entry.state === 'stored') return row.entry.message.seq;
  }
  return 0;
}

/** Marks as read what has been in view of somebody who was looking. */
function useReading(room: Room, seq: number, myMark: number): void {
  useEffect(() => {
    if (seq <= myMark) return;
    const look = (): void => {
      if (document.visibilityState === 'visible') room.read(seq);
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [room, seq, myMark]);
}

function quotedIn(entry: Parameters<typeof idOf>[0], byId: ReadonlyMap<string, typeof entry>) {
  const id = entry.state === 'stored' ? entry.message.replyTo : entry.replyTo;
  return id === undefined ? undefined : { id, entry: byId.get(id) };
}
