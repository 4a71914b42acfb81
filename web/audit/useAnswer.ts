import { useEffect, useState } from 'preact/hooks';

/** Something that was asked for. While a new answer is on its way the one before stays. */
export type Answer<T> =
  | { readonly state: 'loading'; readonly value: T | undefined }
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'failed'; readonly value: T | undefined; readonly error: unknown };

/**
 * Asks anew whenever `key` changes, after `delayMs`; nothing is asked while it is undefined. What is overtaken is
 * aborted, and its answer not shown.
 */
export function useAnswer<T>(
  key: string | undefined,
  ask: (signal: AbortSignal) => Promise<T>,
  delayMs = 0,
): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ state: 'loading', value: undefined });
  useEffect(() => {
    if (key === undefined) return;
    const overtaken = new AbortController();
    const { signal } = overtaken;
    setAnswer(({ value }) => ({ state: 'loading', value }));
    const timer = setTimeout(() => {
      ask(signal).then(
        (value) => signal.aborted || setAnswer({ state: 'ready', value }),
        (error: unknown) => signal.aborted || setAnswer(({ value }) => ({ state: 'failed', value, error })),
      );
    }, delayMs);
    return () => {
      clearTimeout(timer);
      overtaken.abort();
    };
  }, [key]);
  return answer;
}
