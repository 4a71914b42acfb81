import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { shortId, UserName } from '../../console/userNames.js';
import { formatUtc, formatUtcMs } from '../../ui/format.js';
import type { EventRow } from '../auditTypes.js';
import { rememberEvent } from '../proof/fetchProof.js';
import { hrefOf } from '../route.js';

/** One line for each event. A click opens the event's details. */
export function EventList({ events }: { readonly events: readonly EventRow[] }) {
  return (
    <ol class="list events">
      {events.map((event) => (
        <EventLine key={`${event.partition}/${event.offset}`} event={event} />
      ))}
    </ol>
  );
}

function EventLine({ event }: { readonly event: EventRow }) {
  const [isOpen, setOpen] = useState(false);
  const [kind = '', id = ''] = event.stream.split(':');
  return (
    <li>
      <details
        onToggle={({ currentTarget }) => {
          setOpen(currentTarget.open);
          rememberEvent(event);
        }}
      >
        <summary>
          <time dateTime={event.recordedAt}>{formatUtc(event.recordedAt)}</time>
          <span class="type">{event.type}</span>
          <span class="actor">
            <UserName id={event.actor} />
          </span>
          <span class="what" dir="auto">
            {summaryOf(event)}
          </span>
          <span class="stream mono" title={event.stream}>
            {kind}:{shortId(id)}
          </span>
        </summary>
        {isOpen ? <EventDetails event={event} /> : null}
      </details>
    </li>
  );
}

/** The part of the data that tells this event from others of its type. */
function summaryOf({ data, erased }: EventRow): string {
  if (erased) return 'erased';
  if (typeof data.text === 'string') return data.text;
  if (typeof data.username === 'string') return data.username;
  if (typeof data.upTo === 'number') return `read up to message ${data.upTo}`;
  return typeof data.resource === 'string' ? `read ${data.resource}` : '';
}

function EventDetails({ event }: { readonly event: EventRow }) {
  const [kind, id = ''] = event.stream.split(':');
  const position = { partition: String(event.partition), offset: String(event.offset) };
  const at = event.recordedAt;
  return (
    <div class="details">
      <dl class="fields">
        <Field name="Recorded">{formatUtcMs(event.recordedAt)}</Field>
        <Field name="Position">
          partition {event.partition}, offset {event.offset}
        </Field>
        <Field name="Stream">
          <span class="mono">{event.stream}</span>, version {event.version}
        </Field>
        <Field name="Actor">
          <UserName id={event.actor} /> <span class="mono">{event.actor}</span>
        </Field>
        <Field name="Command ID">
          <span class="mono">{event.commandId}</span>
        </Field>
        {event.via === undefined ? null : (
          <Field name="Server key">
            <span class="mono">{event.via}</span>
          </Field>
        )}
      </dl>
      <pre class="block">{JSON.stringify(event.data, null, 2)}</pre>
      <div class="row">
        <a class="button" href={hrefOf('proof', position)}>
          Verify proof
        </a>
        {kind === 'room' ? (
          <a class="button" href={hrefOf('past', { room: id, at })}>
            Room at this time
          </a>
        ) : null}
        {event.actor === 'system' ? null : (
          <a class="button" href={hrefOf('past', { user: event.actor, at })}>
            Actor at this time
          </a>
        )}
        <a class="button" href={hrefOf('events', { stream: event.stream })}>
          All events of this stream
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
