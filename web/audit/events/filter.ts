/** What events are picked by; all of it as the server takes it. */
export interface Filter {
  readonly stream?: string;
  readonly type?: string;
  readonly actor?: string;
  readonly since?: string;
  readonly until?: string;
  readonly partition?: string;
}

const fields = ['stream', 'type', 'actor', 'since', 'until', 'partition'] as const;

/** Put in by the build from the declared events: see `vite.config.ts`. */
declare const EVENT_TYPES: readonly string[];

/** Every type of event that there is, by name. */
export const eventTypes = EVENT_TYPES;

/** The filter in an address or a form; what is empty is left out. */
export function filterOf(given: Readonly<Record<string, string | undefined>>): Filter {
  const pairs = fields.flatMap((name) => {
    const value = given[name]?.trim();
    return value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}
