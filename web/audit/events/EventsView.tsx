import './events.css';
import { useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { goTo } from '../../console/route.js';
import { pluralize } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import type { EventRow } from '../auditTypes.js';
import { useConsole } from '../consoleContext.js';
import { hrefOf } from '../route.js';
import { type EventFilter, EventFilters, filterOf } from './EventFilters.js';
import { EventList } from './EventList.js';
import { useLiveEvents } from './liveEvents.js';

/** The server may answer with an empty page before the last one. This many are skipped without the auditor's click. */
const MAX_EMPTY_PAGES = 10;

interface Props {
  readonly query: Readonly<Record<string, string>>;
}

/** All events that match the filters, page by page or live. */
export function EventsView({ query }: Props) {
  const filter = filterOf(query);
  const isLive = query.follow === 'true';
  const show = (next: EventFilter, follow = isLive): void =>
    goTo(hrefOf('events', { ...next, follow: follow ? 'true' : undefined }));
  return (
    <>
      <EventFilters key={JSON.stringify(filter)} filter={filter} onChange={show} />
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          checked={isLive}
          aria-checked={isLive}
          onChange={() => show(filter, !isLive)}
        />
        Follow live
      </label>
      {isLive ? <LiveEvents filter={filter} /> : <EventPages key={JSON.stringify(filter)} filter={filter} />}
    </>
  );
}

interface Page {
  readonly events: readonly EventRow[];
  readonly next?: string;
}

function EventPages({ filter }: { readonly filter: EventFilter }) {
  const { api } = useConsole();
  /** The cursors of all pages up to this one. The first page has none. */
  const [cursors, setCursors] = useState<readonly (string | undefined)[]>([undefined]);
  const from = cursors.at(-1);
  const load = async (signal: AbortSignal): Promise<Page> => {
    let page = await api.json<Page>('/audit/events', { ...filter, from }, signal);
    for (let n = 1; n < MAX_EMPTY_PAGES && page.events.length === 0 && page.next !== undefined; n++)
      page = await api.json<Page>('/audit/events', { ...filter, from: page.next }, signal);
    return page;
  };
  const request = useRequest(`${cursors.length}`, load);
  const { value: page } = request;
  if (request.state === 'failed')
    return (
      <p class="notice bad" role="alert">
        {describeError(request.error)}
      </p>
    );
  if (!page) return <p role="status">Searching…</p>;
  return (
    <section aria-label="Events found" aria-busy={request.state === 'loading'}>
      <p class="quiet" role="status">
        {pageText(page, cursors.length)}
      </p>
      <EventList events={page.events} />
      <div class="row pages">
        <button
          class="button"
          type="button"
          disabled={cursors.length === 1}
          onClick={() => setCursors(cursors.slice(0, -1))}
        >
          Previous page
        </button>
        <button
          class="button"
          type="button"
          disabled={page.next === undefined}
          onClick={() => setCursors([...cursors, page.next])}
        >
          Next page
        </button>
      </div>
    </section>
  );
}

function pageText({ events, next }: Page, number: number): string {
  const isLast = next === undefined;
  if (events.length === 0 && isLast) return 'No events match.';
  const count = `Page ${number}: ${pluralize(events.length, 'event')}, oldest first.`;
  return isLast ? `${count} This is the last page.` : count;
}

const connectionTexts = {
  connecting: 'Connecting…',
  live: 'Live: new events appear at the top.',
  waiting: 'Connection lost. Reconnecting…',
} as const;

function LiveEvents({ filter }: { readonly filter: EventFilter }) {
  const { connection, rows, count } = useLiveEvents(filter);
  const dropped = count - rows.length;
  return (
    <section aria-label="Live events">
      <p class="live" role="status" data-state={connection}>
        {connectionTexts[connection]}
      </p>
      {dropped > 0 ? (
        <p class="quiet">No longer shown: {pluralize(dropped, 'earlier event')}. Search to find them.</p>
      ) : null}
      <EventList events={rows} />
    </section>
  );
}
