import type { Entry, Room } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { text } from '../../ui/texts.js';
import { tell } from '../notices.js';
import type { Talk } from './talk.js';

/** A message of the room: by its id, or by its place. */
export type Target = { readonly messageId: string } | { readonly seq: number };

/** The largest page of the server. */
const PAGE_ROWS = 200;
/** For how long a message that was led to is marked. */
const MARKED_MS = 2000;

/** The place of the message among the entries; of a `seq` that is not there, the first message behind it. */
function indexOf(entries: readonly Entry[], target: Target): number {
  return entries.findIndex((entry) =>
    'seq' in target
      ? entry.state === 'stored' && entry.message.seq >= target.seq
      : (entry.state === 'stored' ? entry.message : entry).messageId === target.messageId,
  );
}

/** Whether the message is loaded, as far as can be said without what is before the first entry. */
function isLoaded(entries: readonly Entry[], target: Target): boolean {
  const [first] = entries;
  if (!('seq' in target)) return indexOf(entries, target) >= 0;
  return first?.state === 'stored' && first.message.seq <= target.seq;
}

/** Loads the room's history back to a message. False if it is not there, or cannot be loaded. */
async function loadBackTo(room: Room, target: Target, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const { entries, history } = room.get();
    if (isLoaded(entries, target)) return true;
    if (history.state === 'complete') return indexOf(entries, target) >= 0;
    await room.earlier(PAGE_ROWS);
    if (room.get().history.state === 'failed') return false;
  }
  return false;
}

/**
 * Leads to a message, however far back it is: loads the history up to it, and scrolls there. Gives the id of the message
 * for as long as it is to be marked.
 */
export function useGoTo(
  { room }: Talk,
  target: Target | undefined,
  scrollTo: (index: number) => void,
): string | undefined {
  const [loaded, setLoaded] = useState<Target>();
  const [found, setFound] = useState<string>();
  useEffect(() => {
    if (!target) return;
    const abort = new AbortController();
    void loadBackTo(room, target, abort.signal).then((isThere) => {
      if (abort.signal.aborted) return;
      if (isThere) return setLoaded(target);
      const hasFailed = room.get().history.state === 'failed';
      tell({ kind: 'failed', text: text(hasFailed ? 'messages.earlierFailed' : 'messages.notThere') });
    });
    return () => abort.abort();
  }, [room, target]);
  useEffect(() => {
    if (!loaded) return;
    const { entries } = room.get();
    const index = indexOf(entries, loaded);
    const entry = entries[index];
    if (!entry) return;
    scrollTo(index);
    setFound((entry.state === 'stored' ? entry.message : entry).messageId);
    const timer = setTimeout(() => setFound(undefined), MARKED_MS);
    return () => clearTimeout(timer);
  }, [loaded]);
  return found;
}
