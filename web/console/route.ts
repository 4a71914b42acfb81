import { useEffect, useState } from 'preact/hooks';

/** The open view and its parameters. The address holds both, so that a link reproduces what the page shows. */
interface Route<V extends string> {
  readonly view: V;
  readonly query: Query;
}

/** The parameters of a view. */
export type Query = Readonly<Record<string, string>>;

/** The address of a view. Leaves out parameters without a value. */
export function addressOf(view: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${view}${text === '' ? '' : `?${text}`}`;
}

/** Opens an address and adds a step for Back. */
export function goTo(href: string): void {
  location.hash = href;
  reportAddress();
}

/** Changes the address, and with it the route, without a step for Back. */
export function replaceAddress(href: string): void {
  history.replaceState(null, '', href);
  reportAddress();
}

/** Browsers report an address that a link or `location` opens, but later; and others not at all. */
const reportAddress = (): boolean => dispatchEvent(new Event('hashchange'));

/** The current route; renders again when it changes. An unknown address opens the first view. */
export function useRoute<V extends string>(views: readonly [V, ...V[]]): Route<V> {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const update = (): void => setHash(location.hash);
    addEventListener('hashchange', update);
    return () => removeEventListener('hashchange', update);
  }, []);
  const [, name, query] = /^#\/([a-z]+)(?:\?(.*))?$/.exec(hash) ?? [];
  return {
    view: views.find((view) => view === name) ?? views[0],
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}
