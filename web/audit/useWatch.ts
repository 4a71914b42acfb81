import { useEffect, useState } from 'preact/hooks';
import { useConsole } from './console.js';
import type { Watch } from './witness/witness.js';

/** What the witness of this console tells, as it changes. */
export function useWatch(): Watch {
  const { witness } = useConsole();
  const [watch, setWatch] = useState(witness.get());
  useEffect(() => {
    const told = (): void => setWatch(witness.get());
    told();
    return witness.subscribe(told);
  }, [witness]);
  return watch;
}
