/**
 * The browser's `localStorage`, `sessionStorage` and list of databases, used here only. It may be blocked, full or cleared, and anybody may have changed what it
 * holds: nothing here throws, and no value is trusted before it was checked.
 */

/** Values that the browser did not take. They live as long as the page. */
const memory = new Map<string, string>();

function attempt<T>(use: (store: Storage) => T): T | undefined {
  try {
    return use(localStorage);
  } catch {
    return undefined;
  }
}

/** The stored text; `undefined` if there is none. */
export const readText = (key: string): string | undefined =>
  memory.get(key) ?? attempt((store) => store.getItem(key)) ?? undefined;

/** The value that is stored as JSON, of any type; `undefined` if there is none or it is no JSON. */
export function readJson(key: string): unknown {
  try {
    return JSON.parse(readText(key) ?? '');
  } catch {
    return undefined;
  }
}

/** Stores a text for all tabs; if the browser does not take it, for this page. */
export function writeText(key: string, text: string): void {
  memory.delete(key);
  attempt((store) => store.setItem(key, text));
  if (readText(key) === text) return;
  // An older value must not come back with the next page.
  removeStored(key);
  memory.set(key, text);
}

/** Stores a text for this tab only, if the browser takes it. */
export const writeTabText = (key: string, text: string): void =>
  void attempt(() => sessionStorage.setItem(key, text));

/** Removes what this tab has stored as JSON, and gives it; `undefined` if there is none or it is no JSON. */
export const takeTabJson = (key: string): unknown =>
  attempt(() => {
    const text = sessionStorage.getItem(key);
    sessionStorage.removeItem(key);
    return text === null ? undefined : JSON.parse(text);
  });

export function removeStored(key: string): void {
  memory.delete(key);
  attempt((store) => store.removeItem(key));
}

/** The stored keys that begin so. */
export const storedKeys = (prefix: string): readonly string[] =>
  [...(attempt((store) => Object.keys(store)) ?? []), ...memory.keys()].filter((key) =>
    key.startsWith(prefix),
  );

/** The names of this origin's databases. Rejects where the browser does not tell. */
export const databaseNames = async (): Promise<readonly string[]> =>
  (await indexedDB.databases()).flatMap(({ name }) => name ?? []);

/** Calls `listener` when another tab changes this key, or clears all. Returns a function that unsubscribes. */
export function onStoredChange(key: string, listener: () => void): () => void {
  const onStorage = (event: StorageEvent): void => {
    // The event has no key when the whole store was cleared.
    if (event.key !== key && event.key !== null) return;
    memory.delete(key);
    listener();
  };
  addEventListener('storage', onStorage);
  return () => removeEventListener('storage', onStorage);
}

/** Whether a value is an object in which each of these fields is a text. */
export function hasTexts<N extends string>(
  value: unknown,
  ...names: readonly N[]
): value is { readonly [name in N]: string } {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return names.every((name) => typeof fields.get(name) === 'string');
}

/** Whether a text is a time that can be shown. */
export const isTime = (text: string): boolean => !Number.isNaN(Date.parse(text));
