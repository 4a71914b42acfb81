import type { User } from '@parley/client';
import { useRef, useState } from 'preact/hooks';
import { TimeField } from '../../console/TimeField.js';
import { UserName } from '../../console/userNames.js';
import { displayName } from '../../ui/displayName.js';
import { parseTimeField } from '../../ui/format.js';
import { useMedia } from '../../ui/hooks.js';
import { Icon } from '../../ui/icons.js';
import { titleOfType } from '../eventWords.js';
import type { Found } from '../names.js';
import { RoomName } from '../RoomName.js';
import { wholeStream } from '../seenStreams.js';
import { type EventFilter, filterInAddress, filterNames, filterOf, typesByTopic } from './eventFilter.js';
import { NameField, suggestGroups } from './NameField.js';

const HOUR_MS = 3_600_000;

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
    const values = Object.fromEntries(filterNames.map((name) => [name, String(data.get(name) ?? '')]));
    // Text that is not a time goes to the server as it is, and the server's error explains it.
    const time = (name: string): string => parseTimeField(values[name] ?? '', 9) ?? values[name] ?? '';
    const stream = wholeStream(values.stream ?? '');
    const { topic, except } = filter;
    // A type says more than a topic, and than the types that are left out.
    const others = values.type ? {} : { topic, except };
    onChange(filterOf({ ...values, ...others, stream, since: time('since'), until: time('until') }));
  };
  const searchLastHours = (hours: number): void => {
    const { until: _, ...rest } = filter;
    onChange({ ...rest, since: new Date(Date.now() - hours * HOUR_MS).toISOString() });
  };
  const isWide = useMedia('(min-width: 48.01rem)');
  const [isOpen, setOpen] = useState(false);
  return (
    <details
      class="panel filter-panel"
      open={isWide || isOpen}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary hidden={isWide}>Filters: {namesOf(filter)}</summary>
      <form ref={form} class="filters" onSubmit={search} aria-label="Event filters">
        <div class="field">
          <label for="type">Type</label>
          <select class="input" id="type" name="type" value={filter.type ?? ''}>
            <option value="">any</option>
            {Object.entries(typesByTopic).map(([topic, types]) => (
              <optgroup key={topic} label={titleOfType(topic)}>
                {types.map((type) => (
                  <option key={type} value={type}>
                    {titleOfType(type)}
                  </option>
                ))}
              </optgroup>
            ))}
          </select>
          <span class="hint">{filter.type}</span>
        </div>
        <NameField
          {...{
            name: 'stream',
            label: labels.stream,
            value: filter.stream,
            hint: 'a name, or room:… or user:…',
          }}
          isValue={(text) => STREAM.test(wholeStream(text))}
          suggest={suggestStreams}
          nameOf={(stream) => <StreamName stream={wholeStream(stream)} />}
        />
        <NameField
          {...{ name: 'actor', label: labels.actor, value: filter.actor, hint: 'a name, an ID, or system' }}
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
          <button class="button" type="button" onClick={() => onChange(filterInAddress({}))}>
            Clear filters
          </button>
        </div>
      </form>
    </details>
  );
}

const labels: Readonly<Record<Exclude<keyof EventFilter, 'topic' | 'except'>, string>> = {
  type: 'Type',
  stream: 'Room or user',
  actor: 'Done by',
  since: 'Since',
  until: 'Until',
  partition: 'Partition',
};

/** The names of the fields that are filled in. */
function namesOf({ topic: _, except: __, ...fields }: EventFilter): string {
  const names = Object.entries(labels).flatMap(([name, label]) => (name in fields ? [label] : []));
  return names.length === 0 ? 'none' : names.join(', ');
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const STREAM = /^[a-z]+:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const suggestPeople = (people: readonly User[], prefix: string) =>
  people.map((user) => ({ value: prefix + user.userId, name: displayName(user), about: 'user' }));

const suggestStreams = (found: Found) => [
  ...suggestGroups(found, 'room:'),
  ...suggestPeople(found.people, 'user:'),
];

/** The name of the user or of the room whose stream it is. */
function StreamName({ stream }: { readonly stream: string }) {
  const [kind, id = ''] = stream.toLowerCase().split(':');
  if (kind === 'user') return <UserName id={id} />;
  return kind === 'room' ? <RoomName id={id} /> : <>The server</>;
}
