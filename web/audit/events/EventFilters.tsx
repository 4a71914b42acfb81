import { useRef } from 'preact/hooks';
import { formatTimeField, parseTimeField, TIME_FIELD_HINT } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';

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

/** The search form. */
export function EventFilters({ filter, onChange }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const search = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    const values = Object.fromEntries(FILTER_NAMES.map((name) => [name, String(data.get(name) ?? '')]));
    // Text that is not a time goes to the server as it is, and the server's error explains it.
    const time = (name: string): string => parseTimeField(values[name] ?? '', 9) ?? values[name] ?? '';
    onChange(filterOf({ ...values, since: time('since'), until: time('until') }));
  };
  const searchLastHours = (hours: number): void => {
    const { until: _, ...rest } = filter;
    onChange({ ...rest, since: new Date(Date.now() - hours * HOUR_MS).toISOString() });
  };
  const timeField = (iso: string | undefined) => iso && formatTimeField(iso);
  return (
    <form ref={form} class="panel filters" onSubmit={search} aria-label="Event filters">
      <div class="field">
        <label for="type">Type</label>
        <select class="input" id="type" name="type" value={filter.type ?? ''}>
          <option value="">any</option>
          {EVENT_TYPES.map((type) => (
            <option key={type} value={type}>
              {type}
            </option>
          ))}
        </select>
      </div>
      <TextField name="stream" label="Stream" value={filter.stream} hint="room:… or user:…" />
      <TextField name="actor" label="Actor" value={filter.actor} hint="ID or system" />
      <TextField name="partition" label="Partition" value={filter.partition} hint="any" />
      <TextField name="since" label="Since (UTC)" value={timeField(filter.since)} hint={TIME_FIELD_HINT} />
      <TextField name="until" label="Until (UTC)" value={timeField(filter.until)} hint={TIME_FIELD_HINT} />
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

interface TextFieldProps {
  readonly name: keyof EventFilter;
  readonly label: string;
  readonly value: string | undefined;
  readonly hint: string;
}

function TextField({ name, label, value, hint }: TextFieldProps) {
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
