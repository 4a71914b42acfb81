import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Person, shortId } from '../Person.js';
import { remember } from '../proof/shownEvents.js';
import { hrefOf } from '../route.js';
import { exactly, momentOf } from '../times.js';
import type { EventRow } from '../types.js';

/** Events, a line each; one that is opened shows all of it and what can be done with it. */
export function EventList({ events }: { readonly events: readonly EventRow[] }) {
  return (
    <ol class="events">
      {events.map((event) => (
        <Line key={`${event.partition}/${event.offset}`} event={event} />
      ))}
    </ol>
  );
}

function Line({ event }: { readonly event: EventRow }) {
  const [isOpen, setIsOpen] = useState(false);
  const [kind = '', id = ''] = event.stream.split(':');
  return (
    <li>
      <details
        onToggle={({ currentTarget }) => {
          setIsOpen(currentTarget.open);
          remember(event);
        }}
      >
        <summary>
          <time dateTime={event.recordedAt}>{momentOf(event.recordedAt)}</time>
          <span class="type">{event.type}</span>
          <span class="actor">
            <Person id={event.actor} />
          </span>
          <span class="what">{glimpse(event)}</span>
          <span class="stream mono" title={event.stream}>
            {kind}:{shortId(id)}
          </span>
        </summary>
        {isOpen ? <Whole event={event} /> : null}
      </details>
    </li>
  );
}

/** What tells this event from others of its type. */
function glimpse({ data, erased }: EventRow): string {
  if (erased) return 'erased';
  if (typeof data.text === 'string') return data.text;
  if (typeof data.username === 'string') return data.username;
  if (typeof data.upTo === 'number') return `up to ${data.upTo}`;
  return typeof data.resource === 'string' ? `read ${data.resource}` : '';
}

function Whole({ event }: { readonly event: EventRow }) {
  const [kind, id = ''] = event.stream.split(':');
  const place = { partition: String(event.partition), offset: String(event.offset) };
  const at = event.recordedAt;
  return (
    <div class="whole">
      <dl class="fields">
        <Field name="Recorded">{exactly(event.recordedAt)}</Field>
        <Field name="Place">
          partition {event.partition}, offset {event.offset}
        </Field>
        <Field name="Stream">
          <span class="mono">{event.stream}</span>, version {event.version}
        </Field>
        <Field name="Actor">
          <Person id={event.actor} /> <span class="mono">{event.actor}</span>
        </Field>
        <Field name="Command">
          <span class="mono">{event.commandId}</span>
        </Field>
      </dl>
      <pre class="block">{JSON.stringify(event.data, null, 2)}</pre>
      <div class="row">
        <a class="button" href={hrefOf('proof', place)}>
          Prove it
        </a>
        {kind === 'room' ? (
          <a class="button" href={hrefOf('past', { room: id, at })}>
            The room as of then
          </a>
        ) : null}
        {event.actor === 'system' ? null : (
          <a class="button" href={hrefOf('past', { user: event.actor, at })}>
            The actor as of then
          </a>
        )}
        <a class="button" href={hrefOf('events', { stream: event.stream })}>
          Its stream
        </a>
      </div>
    </div>
  );
}

function Field({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
