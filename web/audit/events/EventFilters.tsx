import type { User } from '@parley/client';
import { useRef } from 'preact/hooks';
import { TimeField } from '../../console/TimeField.js';
import { UserName } from '../../console/userNames.js';
import { displayName } from '../../ui/displayName.js';
import { parseTimeField } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { titleOfType } from '../eventWords.js';
import type { Found } from '../names.js';
import { RoomName } from '../RoomName.js';
import { wholeStream } from '../seenStreams.js';
import { NameField } from './NameField.js';

/** The parameters of an event search, in the server's format. */
export interface EventFilter {
  readonly stream?: string;
  readonly type?: string;
  readonly actor?: string;
  readonly since?: string;
  readonly until?: string;
  readonly partition?: string;
}

// The build defines these constants, see `vite.config.ts`.
/** The fields of the server's filter. */
declare const FILTER_NAMES: readonly string[];
/** All event types by name. */
declare const EVENT_TYPES: readonly string[];

const HOUR_MS = 3_600_000;

/** The filter in an address or in a form. Leaves out empty and unknown values. */
export function filterOf(values: Readonly<Record<string, string | undefined>>): EventFilter {
  const pairs = FILTER_NAMES.flatMap((name) => {
    const value = values[name]?.trim();
    return value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}

interface Props {
  readonly filter: EventFilter;
  readonly onChange: (filter: EventFilter) => void;
}

/** The search form. Rooms and people are found by name; the filter holds their ids, with the names below. */
export function EventFilters({ filter, onChange }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const search = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    const values = Object.fromEntries(FILTER_NAMES.map((name) => [name, String(data.get(name) ?? '')]));
    // Text that is not a time goes to the server as it is, and the server's error explains it.
    const time = (name: string): string => parseTimeField(values[name] ?? '', 9) ?? values[name] ?? '';
    const stream = wholeStream(values.stream ?? '');
    onChange(filterOf({ ...values, stream, since: time('since'), until: time('until') }));
  };
  const searchLastHours = (hours: number): void => {
    const { until: _, ...rest } = filter;
    onChange({ ...rest, since: new Date(Date.now() - hours * HOUR_MS).toISOString() });
  };
  return (
    <form ref={form} class="panel filters" onSubmit={search} aria-label="Event filters">
      <div class="field">
        <label for="type">Type</label>
        <select class="input" id="type" name="type" value={filter.type ?? ''}>
          <option value="">any</option>
          {EVENT_TYPES.map((type) => (
            <option key={type} value={type}>
              {titleOfType(type)}
            </option>
          ))}
        </select>
        <span class="hint">{filter.type}</span>
      </div>
      <NameField
        {...{
          name: 'stream',
          label: 'Room or user',
          value: filter.stream,
          hint: 'a name, or room:… or user:…',
        }}
        isValue={(text) => STREAM.test(wholeStream(text))}
        suggest={suggestStreams}
        nameOf={(stream) => <StreamName stream={wholeStream(stream)} />}
      />
      <NameField
        {...{ name: 'actor', label: 'Done by', value: filter.actor, hint: 'a name, an ID, or system' }}
        isValue={(text) => text === 'system' || UUID.test(text)}
        suggest={({ people }) => suggestPeople(people, '')}
        nameOf={(id) => <UserName id={id} />}
      />
      <TimeField name="since" label="Since" value={filter.since} />
      <TimeField name="until" label="Until" value={filter.until} />
      <div class="field">
        <label for="partition">Partition</label>
        <input
          class="input"
          id="partition"
          name="partition"
          defaultValue={filter.partition ?? ''}
          placeholder="any"
          inputMode="numeric"
          autocomplete="off"
        />
      </div>
      <div class="row">
        <button class="button primary" type="submit">
          <Icon name="search" />
          Search
        </button>
        <button class="button" type="button" onClick={() => searchLastHours(1)}>
          Last hour
        </button>
        <button class="button" type="button" onClick={() => searchLastHours(24)}>
          Last 24 hours
        </button>
        <button class="button" type="button" onClick={() => onChange({})}>
          Clear filters
        </button>
      </div>
    </form>
  );
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const STREAM = /^[a-z]+:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const suggestPeople = (people: readonly User[], prefix: string) =>
  people.map((user) => ({ value: prefix + user.userId, name: displayName(user), about: 'user' }));

const suggestStreams = ({ people, groups }: Found) => [
  ...groups.map(({ roomId, names: [name = '', ...former] }) => ({
    ...{ value: `room:${roomId}`, name },
    about: former.length === 0 ? 'group' : `group, once ${former.join(', ')}`,
  })),
  ...suggestPeople(people, 'user:'),
];

/** The name of the user or of the room whose stream it is. */
function StreamName({ stream }: { readonly stream: string }) {
  const [kind, id = ''] = stream.toLowerCase().split(':');
  if (kind === 'user') return <UserName id={id} />;
  return kind === 'room' ? <RoomName id={id} /> : <>The server</>;
}
