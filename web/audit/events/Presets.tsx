import { Icon } from '../../ui/icons.js';
import { titleOfType } from '../eventWords.js';
import { hrefOf } from '../route.js';
import {
  addressOfFilter,
  type EventFilter,
  filterInAddress,
  leaveOut,
  leftOutBy,
  READS,
  typesByTopic,
} from './eventFilter.js';
import type { FilterForm } from './filterForm.js';

interface Props {
  readonly filter: EventFilter;
  /** The address's parameters that are no part of the filter: how events are shown. */
  readonly shown: Readonly<Record<string, string | undefined>>;
  readonly form: FilterForm;
}

/** The filter for all events of a topic, or of all topics. */
function filterOfTopic(
  { type: _, topic: __, except: ___, ...rest }: EventFilter,
  topic: string | undefined,
): EventFilter {
  return filterInAddress(topic === undefined ? { ...rest } : { ...rest, topic });
}

/** One link for each topic that events have. It keeps the place, the person and the time that are searched for or typed. */
export function Presets({ filter, shown, form }: Props) {
  const { type, topic } = filter;
  const open = (event: MouseEvent, each: string | undefined): void => {
    // A new tab has only what the address says.
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void form.change((typed) => filterOfTopic(typed, each));
  };
  const link = (each: string | undefined, title: string) => {
    return (
      <li key={title}>
        <a
          class="button"
          href={hrefOf('events', { ...addressOfFilter(filterOfTopic(filter, each)), ...shown })}
          onClick={(event) => open(event, each)}
          aria-current={type === undefined && topic === each ? 'true' : undefined}
        >
          {title}
        </a>
      </li>
    );
  };
  return (
    <nav aria-label="Events by topic">
      <ul class="row presets">
        {link(undefined, 'All topics')}
        {Object.keys(typesByTopic).map((each) => link(each, titleOfType(each)))}
      </ul>
    </nav>
  );
}

/** What the filter leaves out: a chip for each type, which brings it back. */
export function LeftOut({ filter, form }: Pick<Props, 'filter' | 'form'>) {
  const showWithout = (types: readonly string[]): void =>
    void form.change((typed) => (typed.type === undefined ? leaveOut(typed, types) : typed));
  const types = leftOutBy(filter);
  const canLeaveOutReads = filter.type === undefined && filter.topic === undefined && !types.includes(READS);
  if (types.length === 0 && !canLeaveOutReads) return null;
  return (
    <ul class="row chips" aria-label="Left out">
      {types.map((type) => (
        <li key={type}>
          <button
            class="chip"
            type="button"
            title={`Show ${titleOfType(type)} again`}
            onClick={() => showWithout(types.filter((each) => each !== type))}
          >
            <span>
              Not shown: <strong>{titleOfType(type)}</strong>
            </span>
            <Icon name="close" />
            <span class="hidden-visually">, show it again</span>
          </button>
        </li>
      ))}
      {canLeaveOutReads ? (
        <li>
          <button class="button plain" type="button" onClick={() => showWithout([...types, READS])}>
            Leave out what auditors read
          </button>
        </li>
      ) : null}
    </ul>
  );
}
