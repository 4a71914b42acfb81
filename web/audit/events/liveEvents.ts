import { useEffect, useState } from 'preact/hooks';
import type { ConsoleApi } from '../../console/consoleApi.js';
import type { EventRow } from '../auditTypes.js';
import { useConsole } from '../consoleContext.js';
import type { EventFilter } from './eventFilter.js';

/** Older rows are dropped; the search still finds them. */
const MAX_ROWS = 500;
/** Starts this far in the past: the server's clock has moved on since the answer that `serverTime` comes from. */
const LOOKBACK_MS = 60_000;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 15_000;

/** The events received so far. */
export interface LiveEvents {
  readonly connection: 'connecting' | 'live' | 'waiting';
  /** Newest first. */
  readonly rows: readonly EventRow[];
  /** The number of events received, including the rows that were dropped. */
  readonly count: number;
}

const none: LiveEvents = { connection: 'connecting', rows: [], count: 0 };
const keyOf = ({ partition, offset }: EventRow): string => `${partition}/${offset}`;

/** Follows the log from now or from the filter's `since`. Reconnects without a limit and skips duplicates. */
export function useLiveEvents(filter: EventFilter): LiveEvents {
  const { api } = useConsole();
  const [events, setEvents] = useState<LiveEvents>(none);
  useEffect(() => {
    const abort = new AbortController();
    setEvents(none);
    void follow(api, filter, {
      signal: abort.signal,
      onConnection: (connection) => setEvents((before) => ({ ...before, connection })),
      onEvents: (received) => setEvents((before) => addEvents(before, received)),
    });
    return () => abort.abort();
  }, [api, JSON.stringify(filter)]);
  return events;
}

function addEvents({ rows, count }: LiveEvents, received: readonly EventRow[]): LiveEvents {
  const known = new Set(rows.map(keyOf));
  const added = received.filter((row) => !known.has(keyOf(row)));
  const erased = new Set(added.flatMap(({ type, data }) => (type === 'UserErased' ? [data.userId] : [])));
  return {
    connection: 'live',
    rows: [...added.reverse(), ...rows.map((row) => withoutErased(row, erased))].slice(0, MAX_ROWS),
    count: count + added.length,
  };
}

/** Hides the text and the names in a row that was received before its user was erased. */
function withoutErased(row: EventRow, erased: ReadonlySet<unknown>): EventRow {
  const { actor, stream, data } = row;
  const hidden = ['text', 'username', 'displayName'].filter((name) => typeof data[name] === 'string');
  const isOfErased = erased.has(actor) || erased.has(stream.split(':')[1]);
  if (!isOfErased || hidden.length === 0) return row;
  return {
    ...row,
    erased: true,
    data: { ...data, ...Object.fromEntries(hidden.map((name) => [name, null])) },
  };
}

interface FollowOptions {
  readonly signal: AbortSignal;
  readonly onConnection: (connection: LiveEvents['connection']) => void;
  readonly onEvents: (events: readonly EventRow[]) => void;
}

async function follow(
  api: ConsoleApi,
  filter: EventFilter,
  { signal, onConnection, onEvents }: FollowOptions,
): Promise<void> {
  let since = filter.since ?? new Date(api.serverTime - LOOKBACK_MS).toISOString();
  let failures = 0;
  while (!signal.aborted) {
    try {
      const query = { ...filter, until: undefined, since, follow: 'true' };
      const lines = api.lines<EventRow>('/audit/events/stream', query, signal, () => onConnection('live'));
      for await (const events of lines) {
        failures = 0;
        const newest = events.at(-1)?.recordedAt;
        if (newest !== undefined && newest > since) since = newest;
        onEvents(events);
      }
    } catch {
      // The view shows the lost connection; the next attempt is below.
    }
    if (signal.aborted) return;
    onConnection('waiting');
    await wait(Math.min(FIRST_RETRY_MS * 2 ** failures++, MAX_RETRY_MS), signal);
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
