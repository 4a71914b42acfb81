import type { Room, RoomView } from '@parley/client';
import { useEffect, useRef, useState } from 'preact/hooks';

/** The line above the first message that was new when this user came to look. */
export interface UnreadLine {
  /** It stands behind this `seq`; `undefined`: nothing was new. */
  readonly after: number | undefined;
  /** How many messages were new. */
  readonly count: number;
}

const NOTHING: UnreadLine = { after: undefined, count: 0 };

/** The newest `seq` among the entries; 0 if there is none. */
function newestOf({ entries }: Pick<RoomView, 'entries'>): number {
  const newest = entries.findLast((entry) => entry.state === 'stored');
  return newest?.state === 'stored' ? newest.message.seq : 0;
}

/** The newest message that is still to be read, and whether this user has written behind it. */
function lineOf(view: RoomView, myId: string): UnreadLine {
  const { myMark, entries } = view;
  const theirs = entries.filter(
    (entry) => entry.state === 'stored' && entry.message.seq > myMark && entry.message.senderId !== myId,
  );
  if (theirs.length === 0) return NOTHING;
  return { after: myMark, count: newestOf(view) - myMark };
}

/**
 * The line of new messages. It is drawn when the room is opened or the page is looked at again, and goes when this user
 * writes a message.
 */
export function useUnreadLine(view: RoomView, myId: string): UnreadLine {
  const [line, setLine] = useState<UnreadLine>();
  const latest = useRef(view);
  latest.current = view;
  const { chat, entries, history } = view;
  const isKnown = chat !== undefined && (entries.length > 0 || history.state === 'complete');
  if (line === undefined && isKnown) setLine(lineOf(view, myId));
  useEffect(() => {
    const onVisible = (): void => {
      if (document.visibilityState !== 'visible' || !latest.current.isAtEnd) return;
      const next = lineOf(latest.current, myId);
      if (next !== NOTHING) setLine(next);
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => document.removeEventListener('visibilitychange', onVisible);
  }, [myId]);
  const isWriting = entries.at(-1)?.state === 'sending';
  useEffect(() => {
    if (isWriting) setLine(NOTHING);
  }, [isWriting]);
  return line ?? NOTHING;
}

/** Marks messages as read up to `seq` while the page is visible. The mark that the server has must be known before. */
export function useReadMark(room: Room, { myMark, chat }: RoomView, seq: number): void {
  const isKnown = chat !== undefined;
  useEffect(() => {
    if (seq <= myMark || !isKnown) return;
    const markRead = (): void => {
      if (document.visibilityState === 'visible') room.read(seq);
    };
    markRead();
    document.addEventListener('visibilitychange', markRead);
    return () => document.removeEventListener('visibilitychange', markRead);
  }, [room, seq, myMark, isKnown]);
}
