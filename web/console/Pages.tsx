import { useState } from 'preact/hooks';
import { type RequestState, useRequest } from '../ui/hooks.js';

/** A page of an answer; `next` goes into the request of the page after it. */
interface Page {
  readonly next?: string;
}

/** The open page of a list, and how to turn over. */
export interface Pages<P extends Page> {
  readonly request: RequestState<P>;
  /** The number of the page that is shown, from 1. The next one may be loading. */
  readonly number: number;
  readonly turn: (by: 1 | -1) => void;
  readonly reload: () => void;
}

/** Loads a list page by page. Give the component another key when the list is another one. */
export function usePages<P extends Page>(
  load: (next: string | undefined, signal: AbortSignal) => Promise<P>,
): Pages<P> {
  /** The cursors of all pages up to this one. The first page has none. */
  const [cursors, setCursors] = useState<readonly (string | undefined)[]>([undefined]);
  const [attempt, setAttempt] = useState(0);
  const request = useRequest(`${cursors.length} ${attempt}`, async (signal) => {
    const page = await load(cursors.at(-1), signal);
    return { ...page, number: cursors.length };
  });
  const number = request.value?.number ?? cursors.length;
  const turn = (by: 1 | -1): void => {
    // Until the page is there, only the one before it says where the next begins.
    if (number !== cursors.length) return;
    setCursors(by === -1 ? cursors.slice(0, -1) : [...cursors, request.value?.next]);
  };
  return { request, number, turn, reload: () => setAttempt(attempt + 1) };
}

/** The buttons to turn over; none if there is one page only. */
export function PageButtons<P extends Page>({
  pages: { request, number, turn },
}: {
  readonly pages: Pages<P>;
}) {
  const hasNext = request.value?.next !== undefined;
  if (number === 1 && !hasNext) return null;
  return (
    <div class="row pages">
      <button class="button" type="button" disabled={number === 1} onClick={() => turn(-1)}>
        Previous page
      </button>
      <button class="button" type="button" disabled={!hasNext} onClick={() => turn(1)}>
        Next page
      </button>
    </div>
  );
}
