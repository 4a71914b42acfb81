import { useContext, useLayoutEffect, useState } from 'preact/hooks';
import { Field } from '../../console/Field.js';
import { shortId, UserName, UsersContext } from '../../console/userNames.js';
import { formatUtc, formatUtcMs } from '../../ui/format.js';
import type { EventRow } from '../auditTypes.js';
import { useConsole } from '../consoleContext.js';
import { titleOfType } from '../eventWords.js';
import { rememberEvent } from '../proof/fetchProof.js';
import { KnownRoomName, RoomName } from '../RoomName.js';
import { hrefOf } from '../route.js';
import { rememberStream } from '../seenStreams.js';
import { EventSummary } from './EventSummary.js';
import { addressOfFilter, type EventFilter, leaveOut, leftOutBy } from './eventFilter.js';

interface Props {
  readonly events: readonly EventRow[];
  /** The filter by which they were found. */
  readonly filter: EventFilter;
}

/** One line for each event. A click opens the event's details. */
export function EventList({ events, filter }: Props) {
  const { names } = useConsole();
  const users = useContext(UsersContext);
  useLayoutEffect(() => {
    names.learn(events);
    for (const { type, data } of events) if (type === 'UserErased') users?.learnErased(String(data.userId));
  }, [events, names, users]);
  return (
    <ol class="list events">
      {events.map((event) => (
        <EventLine key={`${event.partition}/${event.offset}`} event={event} filter={filter} />
      ))}
    </ol>
  );
}

interface EventProps {
  readonly event: EventRow;
  readonly filter: EventFilter;
}

function EventLine({ event, filter }: EventProps) {
  const [isOpen, setOpen] = useState(false);
  const [kind = '', id = ''] = event.stream.split(':');
  rememberStream(event.stream);
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
          <span class="type" title={event.type}>
            {titleOfType(event.type)}
          </span>
          <span class="actor">
            <UserName id={event.actor} />
          </span>
          <span class="what" dir="auto">
            <EventSummary event={event} />
          </span>
          <span class="stream" title={event.stream}>
            {kind === 'user' ? (
              <>
                user <UserName id={id} />
              </>
            ) : kind === 'policy' ? (
              'the server'
            ) : kind === 'room' ? (
              <KnownRoomName id={id} />
            ) : (
              <span class="mono">
                {kind}:{shortId(id)}
              </span>
            )}
          </span>
        </summary>
        {isOpen ? <EventDetails event={event} filter={filter} /> : null}
      </details>
    </li>
  );
}

const withoutTypes = ({ topic: _, except: __, ...filter }: EventFilter): EventFilter => filter;

function EventDetails({ event, filter }: EventProps) {
  const { stream, type, actor, recordedAt } = event;
  const [kind, id = ''] = stream.split(':');
  const only = (text: string, change: EventFilter) => (
    <a class="only" href={hrefOf('events', addressOfFilter({ ...filter, ...change }))}>
      {text}
    </a>
  );
  return (
    <div class="details">
      <dl class="fields">
        <Field name="Type">
          {type}{' '}
          <a class="only" href={hrefOf('events', addressOfFilter({ ...withoutTypes(filter), type }))}>
            Only this type
          </a>
          {filter.type === undefined ? (
            <a
              class="only"
              href={hrefOf('events', addressOfFilter(leaveOut(filter, [...leftOutBy(filter), type])))}
            >
              Not this type
            </a>
          ) : null}
        </Field>
        <Field name="Recorded">
          {formatUtcMs(recordedAt)} {only('From this time on', { since: recordedAt })}{' '}
          {only('Before this time', { until: recordedAt })}
        </Field>
        <Field name="Done by">
          <UserName id={actor} /> {actor === 'system' ? null : <span class="mono">{actor}</span>}{' '}
          {only(actor === 'system' ? 'Only by the system' : 'Only by this user', { actor })}
        </Field>
        <Field name="Stream">
          {kind === 'user' ? <UserName id={id} /> : kind === 'room' ? <RoomName id={id} /> : null}{' '}
          <span class="mono">{stream}</span>, version {event.version} {only(`Only this ${kind}`, { stream })}
        </Field>
        <Field name="Position">
          partition {event.partition}, offset {event.offset}
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
      <EventLinks event={event} room={kind === 'room' ? id : undefined} />
    </div>
  );
}

function EventLinks({ event, room }: { readonly event: EventRow; readonly room: string | undefined }) {
  const { data, actor, recordedAt: at, partition, offset } = event;
  const isSent = event.type === 'MessageSent';
  return (
    <div class="row">
      <a class="button" href={hrefOf('proof', { partition: String(partition), offset: String(offset) })}>
        Verify proof
      </a>
      {room !== undefined && typeof data.seq === 'number' ? (
        <a
          class="button"
          href={hrefOf('message', { room, seq: String(data.seq), since: isSent ? at : undefined })}
        >
          History of this message
        </a>
      ) : null}
      {room === undefined ? null : (
        <a class="button" href={hrefOf('past', { room, at })}>
          Room at this time
        </a>
      )}
      {actor === 'system' ? null : (
        <a class="button" href={hrefOf('past', { user: actor, at })}>
          Actor at this time
        </a>
      )}
    </div>
  );
}
