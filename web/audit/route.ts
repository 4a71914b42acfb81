import { useEffect, useState } from 'preact/hooks';

/** The console's views, each at a hash of its own. */
export const views = ['events', 'past', 'proof', 'heads'] as const;
export type View = (typeof views)[number];

/** Where the console is: a view and what it shows, all of it in the address. */
export interface Route {
  readonly view: View;
  readonly query: Readonly<Record<string, string>>;
}

/** The address of a view, for a link; parameters without a value are left out. */
export function hrefOf(view: View, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${view}${text === '' ? '' : `?${text}`}`;
}

/** Reads an address; what is none of ours is the events. */
function routeOf(hash: string): Route {
  const [, name, query] = /^#\/([a-z]+)(?:\?(.*))?$/.exec(hash) ?? [];
  return {
    view: views.find((view) => view === name) ?? 'events',
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** Goes to an address as a link does. */
export const goTo = (href: string): void => {
  location.hash = href;
};

/** Says in the address what is shown by now, without a step to go back by. */
export function replaceWith(href: string): void {
  history.replaceState(null, '', href);
}

/** Where the console is, as it changes. */
export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const changed = (): void => setRoute(routeOf(location.hash));
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
