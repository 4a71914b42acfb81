import './events.css';
import { useState } from 'preact/hooks';
import { sayWhy } from '../api.js';
import { useConsole } from '../console.js';
import { goTo, hrefOf } from '../route.js';
import { counted } from '../times.js';
import type { EventRow } from '../types.js';
import { useAnswer } from '../useAnswer.js';
import { EventList } from './EventList.js';
import { Filters } from './Filters.js';
import { type Filter, filterOf } from './filter.js';
import { useFollow } from './useFollow.js';

interface Props {
  readonly query: Readonly<Record<string, string>>;
}

/** Every event that there is, by filters, page by page or live. */
export function EventsView({ query }: Props) {
  const filter = filterOf(query);
  const isLive = query.follow === 'true';
  const show = (next: Filter, follow = isLive): void =>
    goTo(hrefOf('events', { ...next, follow: follow ? 'true' : undefined }));
  return (
    <>
      <Filters key={JSON.stringify(filter)} filter={filter} onChange={show} />
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
      {isLive ? <Live filter={filter} /> : <Pages key={JSON.stringify(filter)} filter={filter} />}
    </>
  );
}

interface Page {
  readonly events: readonly EventRow[];
  readonly next?: string;
}

/** A page may hold nothing although there is more behind it: so many are gone on from at once. */
const MOST_EMPTY = 10;

function Pages({ filter }: { readonly filter: Filter }) {
  const { api } = useConsole();
  /** How the pages up to this one were come to; the first by no cursor. */
  const [path, setPath] = useState<readonly (string | undefined)[]>([undefined]);
  const from = path.at(-1);
  const load = async (signal: AbortSignal): Promise<Page> => {
    let page = await api.json<Page>('/audit/events', { ...filter, from }, signal);
    for (let n = 1; n < MOST_EMPTY && page.events.length === 0 && page.next !== undefined; n++)
      page = await api.json<Page>('/audit/events', { ...filter, from: page.next }, signal);
    return page;
  };
  const answer = useAnswer(`${path.length}`, load);
  const { value: page } = answer;
  if (answer.state === 'failed')
    return (
      <p class="notice bad" role="alert">
        {sayWhy(answer.error)}
      </p>
    );
  if (!page) return <p role="status">Searching…</p>;
  return (
    <section aria-label="Found events" aria-busy={answer.state === 'loading'}>
      <p class="quiet" role="status">
        {page.events.length === 0 && page.next === undefined
          ? 'No event matches.'
          : `Page ${path.length}: ${counted(page.events.length, 'event')}, oldest first${page.next === undefined ? '; the last page' : ''}.`}
      </p>
      <EventList events={page.events} />
      <div class="row pages">
        <button
          class="button"
          type="button"
          disabled={path.length === 1}
          onClick={() => setPath(path.slice(0, -1))}
        >
          Previous page
        </button>
        <button
          class="button"
          type="button"
          disabled={page.next === undefined}
          onClick={() => setPath([...path, page.next])}
        >
          Next page
        </button>
      </div>
    </section>
  );
}

const states = {
  connecting: 'Connecting…',
  live: 'Live: what happens appears at the top.',
  waiting: 'The connection is gone; it is tried again.',
} as const;

function Live({ filter }: { readonly filter: Filter }) {
  const { state, rows, count } = useFollow(filter);
  const dropped = count - rows.length;
  return (
    <section aria-label="Events as they happen">
      <p class="live" role="status" data-state={state}>
        {states[state]}
      </p>
      {dropped > 0 ? <p class="quiet">{dropped} earlier ones are no longer shown.</p> : null}
      <EventList events={rows} />
    </section>
  );
}
