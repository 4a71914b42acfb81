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

interface Props {
  readonly filter: EventFilter;
  /** The address's parameters that are no part of the filter: how events are shown. */
  readonly shown: Readonly<Record<string, string | undefined>>;
}

/** One link for each topic that events have. It keeps the place, the person and the time that are searched for. */
export function Presets({ filter, shown }: Props) {
  const { type, topic, except: _, ...rest } = filter;
  const link = (each: string | undefined, title: string) => {
    const next = filterInAddress(each === undefined ? { ...rest } : { ...rest, topic: each });
    return (
      <li key={title}>
        <a
          class="button"
          href={hrefOf('events', { ...addressOfFilter(next), ...shown })}
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
export function LeftOut({
  filter,
  onChange,
}: Pick<Props, 'filter'> & { readonly onChange: (filter: EventFilter) => void }) {
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
            onClick={() =>
              onChange(
                leaveOut(
                  filter,
                  types.filter((each) => each !== type),
                ),
              )
            }
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
          <button
            class="button plain"
            type="button"
            onClick={() => onChange(leaveOut(filter, [...types, READS]))}
          >
            Leave out what auditors read
          </button>
        </li>
      ) : null}
    </ul>
  );
}
