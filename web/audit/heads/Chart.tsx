import { useEffect, useRef } from 'preact/hooks';
import type { Growth } from './growth.js';

/** Growth of all partitions over time, a line each; the table beside it says the same. */
export function Chart({ growth }: { readonly growth: readonly Growth[] }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    let isOver = false;
    let remove = (): void => {};
    // The library is loaded when there is something to draw; the table is enough where it does not come.
    const loading = import('./drawn.js').catch(() => undefined);
    void loading.then((drawn) => {
      if (drawn && !isOver) remove = drawn.draw(element, growth);
    });
    return () => {
      isOver = true;
      remove();
    };
  }, [growth]);
  return (
    <div
      ref={place}
      class="chart"
      role="img"
      aria-label="Events in each partition over time; the table has the numbers"
    />
  );
}
