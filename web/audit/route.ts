import { useEffect, useState } from 'preact/hooks';

/** The console's views. Each has its own address. */
export const views = ['events', 'past', 'proof', 'heads'] as const;
export type View = (typeof views)[number];

/** The open view and its parameters. The address holds both, so that a link reproduces what an auditor sees. */
export interface Route {
  readonly view: View;
  readonly query: Readonly<Record<string, string>>;
}

/** The address of a view. Leaves out parameters without a value. */
export function hrefOf(view: View, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${view}${text === '' ? '' : `?${text}`}`;
}

/** Parses an address; an unknown one opens the events. */
function routeOf(hash: string): Route {
  const [, name, query] = /^#\/([a-z]+)(?:\?(.*))?$/.exec(hash) ?? [];
  return {
    view: views.find((view) => view === name) ?? 'events',
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** Opens an address and adds a step for Back. */
export const goTo = (href: string): void => {
  location.hash = href;
};

/** Changes the address without a step for Back. */
export function replaceAddress(href: string): void {
  history.replaceState(null, '', href);
}

/** The current route; renders again when it changes. */
export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const update = (): void => setRoute(routeOf(location.hash));
    addEventListener('hashchange', update);
    return () => removeEventListener('hashchange', update);
  }, []);
  return route;
}
