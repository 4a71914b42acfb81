import { useEffect, useRef, useState } from 'preact/hooks';
import { failureText } from './failureText.js';

/** Runs one request at a time for a view, and keeps the sentence about its failure. */
export function useAction() {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const isShown = useRef(true);
  useEffect(
    () => () => {
      isShown.current = false;
    },
    [],
  );
  const run = async (action: () => Promise<unknown>, then?: () => void): Promise<void> => {
    setBusy(true);
    setError('');
    try {
      await action();
      // What has been left meanwhile must not lead elsewhere.
      if (isShown.current) then?.();
    } catch (reason) {
      setError(failureText(reason));
    } finally {
      setBusy(false);
    }
  };
  return { run, isBusy, error };
}
