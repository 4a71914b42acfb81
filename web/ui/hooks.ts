import { useEffect, useLayoutEffect, useState } from 'preact/hooks';

/** An object with a current value that tells its subscribers about changes. */
interface Source<T> {
  get(): T;
  subscribe(listener: () => void): () => void;
}

/** The current value of a source; renders again when it changes. */
export function useSource<T>(source: Source<T>): T {
  const [value, setValue] = useState<T>(() => source.get());
  useLayoutEffect(() => {
    const update = (): void => setValue(() => source.get());
    // The source may have changed between the first render and this subscription.
    update();
    return source.subscribe(update);
  }, [source]);
  return value;
}

/**
 * The text of a field, and the function that keeps what is typed. The field begins with `value`, and again whenever
 * that changes; until then it keeps what is typed, however often its form is rendered.
 */
export function useTyped(value: string): readonly [text: string, type: (text: string) => void] {
  const [typed, setTyped] = useState({ value, text: value });
  if (typed.value !== value) setTyped({ value, text: value });
  return [typed.value === value ? typed.text : value, (text) => setTyped({ value, text })];
}

/** Whether a media query holds; renders again when that changes. */
export function useMedia(query: string): boolean {
  const [doesMatch, setMatch] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const update = (): void => setMatch(list.matches);
    list.addEventListener('change', update);
    return () => list.removeEventListener('change', update);
  }, [query]);
  return doesMatch;
}

/** The state of a request. A reload and a failure keep the value of the request before. */
export type RequestState<T> =
  | { readonly state: 'loading'; readonly value: T | undefined }
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'failed'; readonly value: T | undefined; readonly error: unknown };

/**
 * Sends a request whenever `key` changes, after `delayMs`; none while `key` is undefined. A change of `key` aborts
 * the request before it, whose answer is then ignored.
 */
export function useRequest<T>(
  key: string | undefined,
  send: (signal: AbortSignal) => Promise<T>,
  delayMs = 0,
): RequestState<T> {
  const [request, setRequest] = useState<RequestState<T>>({ state: 'loading', value: undefined });
  useEffect(() => {
    if (key === undefined) return;
    const abort = new AbortController();
    const { signal } = abort;
    setRequest(({ value }) => ({ state: 'loading', value }));
    const timer = setTimeout(() => {
      send(signal).then(
        (value) => signal.aborted || setRequest({ state: 'ready', value }),
        (error: unknown) => signal.aborted || setRequest(({ value }) => ({ state: 'failed', value, error })),
      );
    }, delayMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [key]);
  return request;
}

/** A request that is sent at once, and again by each call of `reload`. */
export function useReloadable<T>(send: (signal: AbortSignal) => Promise<T>) {
  const [attempt, setAttempt] = useState(0);
  return { request: useRequest(String(attempt), send), reload: (): void => setAttempt(attempt + 1) };
}
