import { useLayoutEffect, useState } from 'preact/hooks';

/** What a store, a room or anything else that changes shows of itself. */
export interface Source<T> {
  get(): T;
  subscribe(listener: () => void): () => void;
}

/** The present view of a source, drawn again when it changes. A component is given one source for its life. */
export function useView<T>(source: Source<T>): T {
  const [view, show] = useState<T>(() => source.get());
  useLayoutEffect(() => {
    const look = (): void => show(() => source.get());
    // It may have changed since it was first drawn.
    look();
    return source.subscribe(look);
  }, [source]);
  return view;
}
