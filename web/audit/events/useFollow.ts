import { useEffect, useState } from 'preact/hooks';
import { useConsole } from '../console.js';
import type { EventRow } from '../types.js';
import type { Filter } from './filter.js';

/** Rows that are kept; what came before them can be searched. */
const MOST = 500;
/** What the server's clock may have gone on since its last answer was begun. */
const BEFORE_MS = 60_000;
const LONGEST_WAIT_MS = 15_000;

/** What has come so far, newest first. */
export interface Followed {
  readonly state: 'connecting' | 'live' | 'waiting';
  readonly rows: readonly EventRow[];
  /** All that came, with those no longer kept. */
  readonly count: number;
}

const idOf = ({ partition, offset }: EventRow): string => `${partition}/${offset}`;

/** Follows the log live from about now (or the filter's `since`) on, over outages and without an end. */
export function useFollow(filter: Filter): Followed {
  const { api } = useConsole();
  const [followed, setFollowed] = useState<Followed>({ state: 'connecting', rows: [], count: 0 });
  useEffect(() => {
    const over = new AbortController();
    setFollowed({ state: 'connecting', rows: [], count: 0 });
    const setState = (state: Followed['state']): void => setFollowed((before) => ({ ...before, state }));
    let since = filter.since ?? new Date(api.serverTime - BEFORE_MS).toISOString();
    let failures = 0;
    const add = (come: readonly EventRow[]): void => {
      const newest = come.at(-1)?.recordedAt;
      if (newest !== undefined && newest > since) since = newest;
      setFollowed(({ rows, count }) => {
        const known = new Set(rows.map(idOf));
        const fresh = come.filter((row) => !known.has(idOf(row)));
        return {
          state: 'live',
          rows: [...fresh.reverse(), ...rows].slice(0, MOST),
          count: count + fresh.length,
        };
      });
    };
    const follow = async (): Promise<void> => {
      while (!over.signal.aborted) {
        try {
          const query = { ...filter, until: undefined, since, follow: 'true' };
          for await (const come of api.lines<EventRow>('/audit/events/stream', query, over.signal, () =>
            setState('live'),
          )) {
            failures = 0;
            add(come);
          }
        } catch {
          // Said by its state; tried again below.
        }
        if (over.signal.aborted) return;
        setState('waiting');
        await pause(Math.min(1000 * 2 ** failures++, LONGEST_WAIT_MS), over.signal);
      }
    };
    void follow();
    return () => over.abort();
  }, [api, JSON.stringify(filter)]);
  return followed;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
