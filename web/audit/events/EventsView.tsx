import { FailureNotice } from '../../console/FailureNotice.js';
import './events.css';
import { PageButtons, usePages } from '../../console/Pages.js';
import { goTo, type Query } from '../../console/route.js';
import { pluralize } from '../../ui/format.js';
import type { EventRow } from '../auditTypes.js';
import { useConsole } from '../consoleContext.js';
import { ExportButtons } from '../ExportButtons.js';
import { sourceOf } from '../exportNames.js';
import { hrefOf } from '../route.js';
import { EventFilters } from './EventFilters.js';
import { EventList } from './EventList.js';
import { addressOfFilter, type EventFilter, filterInAddress } from './eventFilter.js';
import { useFilterForm } from './filterForm.js';
import { useLiveEvents } from './liveEvents.js';
import { LeftOut, Presets } from './Presets.js';

const PAGE_EVENTS = 50;
/** The server may answer with a short page before the last one. This many are asked for to fill a page. */
const MAX_ANSWERS = 10;

/** How the events found are shown. */
interface Shown {
  readonly isLive: boolean;
  readonly isOldestFirst: boolean;
}

const addressOf = ({ isLive, isOldestFirst }: Shown): Readonly<Record<string, string | undefined>> => ({
  order: isOldestFirst ? 'asc' : undefined,
  follow: isLive ? 'true' : undefined,
});

/** All events that match the filters, page by page or live. */
export function EventsView({ query }: { readonly query: Query }) {
  const filter = filterInAddress(query);
  const shown: Shown = { isLive: query.follow === 'true', isOldestFirst: query.order === 'asc' };
  const { isLive, isOldestFirst } = shown;
  const show = (next: EventFilter, change: Partial<Shown> = {}): void => {
    const as = { ...shown, ...change };
    goTo(hrefOf('events', { ...addressOfFilter(next), ...addressOf(as) }));
  };
  const form = useFilterForm(filter, show);
  return (
    <>
      <Presets filter={filter} shown={addressOf(shown)} form={form} />
      <EventFilters filter={filter} form={form} onChange={(next) => show(next)} />
      <div class="row">
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            checked={isLive}
            aria-checked={isLive}
            onChange={() => show(filter, { isLive: !isLive })}
          />
          Follow live
        </label>
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            checked={isOldestFirst}
            aria-checked={isOldestFirst}
            disabled={isLive}
            onChange={() => show(filter, { isOldestFirst: !isOldestFirst })}
          />
          Oldest first
        </label>
        <LeftOut filter={filter} form={form} />
      </div>
      {isLive ? (
        <LiveEvents filter={filter} />
      ) : (
        <EventPages
          key={`${JSON.stringify(filter)} ${isOldestFirst}`}
          filter={filter}
          order={isOldestFirst ? 'asc' : 'desc'}
        />
      )}
    </>
  );
}

interface Page {
  readonly events: readonly EventRow[];
  readonly next?: string;
}

interface EventPagesProps {
  readonly filter: EventFilter;
  readonly order: 'asc' | 'desc';
}

function EventPages({ filter, order }: EventPagesProps) {
  const { api } = useConsole();
  const pages = usePages<Page>(async (from, signal) => {
    const query = { ...filter, order };
    const events: EventRow[] = [];
    let next = from;
    for (let n = 0; n < MAX_ANSWERS && events.length < PAGE_EVENTS; n++) {
      const limit = PAGE_EVENTS - events.length;
      const page = await api.json<Page>('/audit/events', { ...query, limit, from: next }, signal);
      events.push(...page.events);
      next = page.next;
      if (next === undefined) return { events };
    }
    return next === undefined ? { events } : { events, next };
  });
  const { request, number } = pages;
  const { value: page } = request;
  if (request.state === 'failed') return <FailureNotice error={request.error} />;
  if (!page) return <p role="status">Searching…</p>;
  return (
    <section aria-label="Events found" aria-busy={request.state === 'loading'}>
      <div class="row found">
        <p class="quiet" role="status">
          {pageText(page, number, order)}
        </p>
        <ExportButtons of={fileOf(filter)} rows={page.events.map(sourceOf)} />
      </div>
      <EventList events={page.events} filter={filter} />
      <PageButtons pages={pages} />
    </section>
  );
}

const orderTexts = { asc: 'oldest first', desc: 'newest first' } as const;

function pageText({ events, next }: Page, number: number, order: EventPagesProps['order']): string {
  const isLast = next === undefined;
  if (events.length === 0 && isLast) return 'No events match.';
  const count = `Page ${number}: ${pluralize(events.length, 'event')}, ${orderTexts[order]}.`;
  return isLast ? `${count} This is the last page.` : count;
}

/** What a file of these events has: its name says the room or the user, and what else they were selected by. */
const fileOf = ({ stream, actor, type, topic }: EventFilter) => [
  'events',
  ...(stream === undefined ? [] : [{ stream }]),
  ...(actor === undefined ? [] : ['by', actor === 'system' ? actor : { stream: `user:${actor}` }]),
  ...[type, topic].flatMap((name) => name ?? []),
];

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
      <div class="row found">
        <p class="live" role="status" data-state={connection}>
          {connectionTexts[connection]}
        </p>
        <ExportButtons of={fileOf(filter)} rows={rows.map(sourceOf)} />
      </div>
      {dropped > 0 ? (
        <p class="quiet">No longer shown: {pluralize(dropped, 'earlier event')}. Search to find them.</p>
      ) : null}
      <EventList events={rows} filter={filter} />
    </section>
  );
}
