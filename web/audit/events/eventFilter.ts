/** The parameters of an event search, in the server's format. */
export interface EventFilter {
  readonly stream?: string;
  readonly type?: string;
  readonly topic?: string;
  /** Types that are left out, separated by commas. */
  readonly except?: string;
  readonly actor?: string;
  readonly since?: string;
  readonly until?: string;
  readonly partition?: string;
}

// The build defines these constants, see `vite.config.ts`.
/** The fields of the server's filter. */
declare const FILTER_NAMES: readonly string[];
/** All event types by name, by their topic. */
declare const EVENT_TOPICS: Readonly<Record<string, readonly string[]>>;

export const filterNames = FILTER_NAMES;
export const typesByTopic = EVENT_TOPICS;

/** What auditors read: left out unless they ask for it, because each look of theirs adds one. */
export const READS = 'AuditRead';
/** In an address: nothing is left out. */
const NOTHING = 'none';

/** The non-empty values that are fields of the server's filter. */
export function filterOf(values: Readonly<Record<string, string | undefined>>): EventFilter {
  const pairs = filterNames.flatMap((name) => {
    const value = values[name]?.trim();
    return value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** Whether a filter selects types: then nothing is left out by default. */
const isSelecting = ({ type, topic }: EventFilter): boolean => type !== undefined || topic !== undefined;

/** The filter that an address asks for. Without `except`, it leaves out what auditors read. */
export function filterInAddress(query: Readonly<Record<string, string | undefined>>): EventFilter {
  const { except, ...filter } = filterOf(query);
  if (except === NOTHING) return filter;
  if (except !== undefined) return { ...filter, except };
  return isSelecting(filter) ? filter : { ...filter, except: READS };
}

/** The parameters of an address that asks for this filter. */
export function addressOfFilter({
  except,
  ...filter
}: EventFilter): Readonly<Record<string, string | undefined>> {
  const usual = isSelecting(filter) ? undefined : READS;
  return { ...filter, except: except === usual ? undefined : (except ?? NOTHING) };
}

/** The types that a filter leaves out. */
export const leftOutBy = ({ except }: EventFilter): readonly string[] => except?.split(',') ?? [];

/** The filter that leaves out these types. */
export function leaveOut({ except: _, ...filter }: EventFilter, types: readonly string[]): EventFilter {
  return types.length === 0 ? filter : { ...filter, except: types.join(',') };
}
