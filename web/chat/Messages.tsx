import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Message, Room, RoomView, User } from '../../src/client/index.js';
import { Icon } from '../ui/icons.js';
import { Bubble } from './Bubble.js';
import { nameOf } from './names.js';
import { idOf, rowsOf } from './rows.js';
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
  const rows = useMemo(() => rowsOf(entries), [entries]);
  const index = useMemo(() => new Map(rows.map(({ key }, i) => [key, i])), [rows]);
  const byId = useMemo(() => new Map(entries.map((entry) => [idOf(entry), entry])), [entries]);
  const scroller = useRef<HTMLElement>(null);
  const list = useVirtual({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (i) => (rows[i]?.kind === 'day' ? 48 : 60),
    getItemKey: (i) => rows[i]?.key ?? i,
  });
  const seen = list.range;

  const isEmpty = rows.length === 0;
  useEffect(() => {
    if (!isEmpty) list.scrollToEnd();
  }, [list, isEmpty]);

  useEffect(() => {
    if (history.state === 'more' && !isEmpty && (seen?.startIndex ?? NEAR) < NEAR) void room.earlier();
  }, [room, history, seen?.startIndex, isEmpty]);

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
          {list.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <li
                key={row.key}
                data-index={item.index}
                ref={(element) => list.measureElement(element)}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                {row.kind === 'day' ? (
                  <p class="day">{dayName(row.time)}</p>
                ) : (
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
                )}
              </li>
            );
          })}
        </ol>
        {isEmpty && history.state === 'whole' && <p class="empty">Nothing said yet.</p>}
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

type Rows = ReturnType<typeof rowsOf>;

/** The newest stored message up to this row. */
function newestSeq(rows: Rows, upTo = -1): number {
  for (let i = Math.min(upTo, rows.length - 1); i >= 0; i--) {
    const row = rows[i];
    if (row?.kind === 'entry' && row.entry.state === 'stored') return row.entry.message.seq;
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
