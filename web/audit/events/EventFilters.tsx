import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import { TimeField } from '../../console/TimeField.js';
import { UserName } from '../../console/userNames.js';
import { useMedia, useTyped } from '../../ui/hooks.js';
import { Icon } from '../../ui/icons.js';
import { titleOfType } from '../eventWords.js';
import { RoomName } from '../RoomName.js';
import { wholeStream } from '../seenStreams.js';
import { type EventFilter, filterInAddress, typesByTopic } from './eventFilter.js';
import { type FilterForm, isActor, isStream, suggestStreams } from './filterForm.js';
import { NameField, suggestPeople } from './NameField.js';

const HOUR_MS = 3_600_000;

interface Props {
  readonly filter: EventFilter;
  readonly form: FilterForm;
  readonly onChange: (filter: EventFilter) => void;
}

/** The search form. Rooms and people are found by name; the filter holds their ids, with the names below. */
export function EventFilters({ filter, form, onChange }: Props) {
  const search = (event: Event): void => {
    event.preventDefault();
    void form.change((typed) => typed);
  };
  const searchLastHours = (hours: number): void => {
    const since = new Date(Date.now() - hours * HOUR_MS).toISOString();
    void form.change(({ until: _, ...rest }) => ({ ...rest, since }), ['since', 'until']);
  };
  const clear = (): void => {
    setTimesCleared(timesCleared + 1);
    onChange(filterInAddress({}));
  };
  const [timesCleared, setTimesCleared] = useState(0);
  const isWide = useMedia('(min-width: 48.01rem)');
  const [isOpen, setOpen] = useState(false);
  return (
    <details
      class="panel filter-panel"
      open={isWide || isOpen}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary hidden={isWide}>Filters: {namesOf(filter)}</summary>
      <form ref={form.element} class="filters" onSubmit={search} aria-label="Event filters">
        {/* What was typed without a search is cleared too. */}
        <Fragment key={timesCleared}>
          <TypeField value={filter.type} />
          <NameField
            {...{
              name: 'stream',
              label: labels.stream,
              value: filter.stream,
              hint: 'a name, or room:… or user:…',
            }}
            isValue={isStream}
            suggest={suggestStreams}
            refused={form.refused.stream}
            nameOf={(stream) => <StreamName stream={wholeStream(stream)} />}
          />
          <NameField
            {...{ name: 'actor', label: labels.actor, value: filter.actor, hint: 'a name, an ID, or system' }}
            isValue={isActor}
            suggest={(found) => suggestPeople(found)}
            refused={form.refused.actor}
            nameOf={(id) => <UserName id={id} />}
          />
          <TimeField name="since" label="Since" value={filter.since} />
          <TimeField name="until" label="Until" value={filter.until} />
          <PartitionField value={filter.partition} />
        </Fragment>
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
          <button class="button" type="button" onClick={clear}>
            Clear filters
          </button>
        </div>
      </form>
    </details>
  );
}

function TypeField({ value = '' }: { readonly value: string | undefined }) {
  const [chosen, choose] = useTyped(value);
  return (
    <div class="field">
      <label for="type">{labels.type}</label>
      <select
        class="input"
        id="type"
        name="type"
        value={chosen}
        onChange={({ currentTarget }) => choose(currentTarget.value)}
      >
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
      <span class="hint">{chosen}</span>
    </div>
  );
}

function PartitionField({ value = '' }: { readonly value: string | undefined }) {
  const [text, type] = useTyped(value);
  return (
    <div class="field">
      <label for="partition">{labels.partition}</label>
      <input
        class="input"
        id="partition"
        name="partition"
        value={text}
        onInput={({ currentTarget }) => type(currentTarget.value)}
        placeholder="any"
        inputMode="numeric"
        autocomplete="off"
      />
    </div>
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

/** The name of the user or of the room whose stream it is. */
function StreamName({ stream }: { readonly stream: string }) {
  const [kind, id = ''] = stream.toLowerCase().split(':');
  if (kind === 'user') return <UserName id={id} />;
  return kind === 'room' ? <RoomName id={id} /> : <>The server</>;
}
