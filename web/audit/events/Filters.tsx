import { useRef } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';
import { fieldHint, fromField, toField } from '../times.js';
import { eventTypes, type Filter, filterOf } from './filter.js';

interface Props {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

const HOUR_MS = 3_600_000;

/** The form of what to search. */
export function Filters({ filter, onChange }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const search = (event: Event): void => {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(form.current ?? undefined));
    const text = (name: string): string => String(data[name] ?? '');
    onChange(
      filterOf({
        stream: text('stream'),
        type: text('type'),
        actor: text('actor'),
        partition: text('partition'),
        since: fromField(text('since')) ?? text('since'),
        until: fromField(text('until')) ?? text('until'),
      }),
    );
  };
  const lastHours = (hours: number): void => {
    const { until: _, ...rest } = filter;
    onChange({ ...rest, since: new Date(Date.now() - hours * HOUR_MS).toISOString() });
  };
  return (
    <form ref={form} class="panel filters" onSubmit={search} aria-label="Events">
      <div class="field">
        <label for="type">Type</label>
        <select class="input" id="type" name="type" value={filter.type ?? ''}>
          <option value="">any</option>
          {eventTypes.map((type) => (
            <option key={type} value={type}>
              {type}
            </option>
          ))}
        </select>
      </div>
      <Text name="stream" label="Stream" value={filter.stream} hint="room:… or user:…" />
      <Text name="actor" label="Actor" value={filter.actor} hint="id or system" />
      <Text name="partition" label="Partition" value={filter.partition} hint="any" />
      <Text name="since" label="Since (UTC)" value={filter.since && toField(filter.since)} hint={fieldHint} />
      <Text name="until" label="Until (UTC)" value={filter.until && toField(filter.until)} hint={fieldHint} />
      <div class="row">
        <button class="button primary" type="submit">
          <Icon name="search" />
          Search
        </button>
        <button class="button" type="button" onClick={() => lastHours(1)}>
          Last hour
        </button>
        <button class="button" type="button" onClick={() => lastHours(24)}>
          Last day
        </button>
        <button class="button" type="button" onClick={() => onChange({})}>
          All
        </button>
      </div>
    </form>
  );
}

interface TextProps {
  readonly name: keyof Filter;
  readonly label: string;
  readonly value: string | undefined;
  readonly hint: string;
}

function Text({ name, label, value, hint }: TextProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        class="input"
        id={name}
        name={name}
        defaultValue={value ?? ''}
        placeholder={hint}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="none"
      />
    </div>
  );
}
