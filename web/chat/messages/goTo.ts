import { ClientError, type Entry, type Room } from '@parley/client';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { text } from '../../ui/texts.js';
import { tell } from '../notices.js';
import type { Talk } from './talk.js';

/** A message of the room: by its id, or by its place. */
export type Target = { readonly messageId: string } | { readonly seq: number };

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

/** The way forward in an earlier part of the history. */
interface Later {
  readonly state: 'idle' | 'loading' | 'failed';
  /** Shows one more page. Never rejects. */
  readonly show: () => Promise<void>;
}

export function useLater(room: Room): Later {
  const [state, setState] = useState<Later['state']>('idle');
  const show = async (): Promise<void> => {
    const last = room.get().entries.at(-1);
    if (last?.state !== 'stored') return;
    setState('loading');
    try {
      await room.show(last.message.seq + 1);
      setState('idle');
    } catch {
      setState('failed');
    }
  };
  return { state, show };
}

/** Where the user is led. */
interface Led {
  /** The id of the message, for as long as it is to be marked. */
  readonly found: string | undefined;
  /** Whether the view is still on its way. */
  readonly isOnItsWay: boolean;
}

/** Leads to a message, however far back it is: shows the part of the history around it, and scrolls there. */
export function useGoTo({ room }: Talk, target: Target | undefined, scrollTo: (index: number) => void): Led {
  const [shown, setShown] = useState<Target>();
  const [arrived, setArrived] = useState<Target>();
  const [found, setFound] = useState<string>();
  useEffect(() => {
    if (!target) return;
    let isWanted = true;
    const show = async (): Promise<void> => {
      const isHere = 'messageId' in target && indexOf(room.get().entries, target) >= 0;
      if (!isHere) await room.show('seq' in target ? target.seq : target.messageId);
      if (isWanted) setShown(target);
    };
    show().catch((error: unknown) => {
      const isThere = !(error instanceof ClientError && error.code === 'not_found');
      if (isWanted)
        tell({ kind: 'failed', text: text(isThere ? 'messages.earlierFailed' : 'messages.notThere') });
    });
    return () => {
      isWanted = false;
    };
  }, [room, target]);
  // Before anything is drawn: the list has other rows than at its place until then.
  useLayoutEffect(() => {
    if (!shown) return;
    const { entries } = room.get();
    const index = indexOf(entries, shown);
    const entry = entries[index];
    // The list measures its new rows in the first frame.
    const frame = requestAnimationFrame(() => requestAnimationFrame(() => setArrived(shown)));
    if (!entry) return;
    scrollTo(index);
    setFound((entry.state === 'stored' ? entry.message : entry).messageId);
    const timer = setTimeout(() => setFound(undefined), MARKED_MS);
    return () => {
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    };
  }, [shown]);
  return { found, isOnItsWay: shown !== arrived };
}
