import type { ClientState, Store } from '@parley/client';
import { useEffect, useRef, useState } from 'preact/hooks';

/**
 * Whether the connection is lost, from its loss until it is live again. The first try to connect does not count: mostly
 * it succeeds at once.
 */
export function useIsLost(store: Store, { state }: ClientState): boolean {
  const isLost = useRef(false);
  const isDoubtful = useIsDoubtful(store);
  if (state === 'waiting') isLost.current = true;
  if (state === 'live' || state === 'ended') isLost.current = false;
  return isLost.current || isDoubtful;
}

/**
 * Whether the browser has lost its network and the server has not answered since. A socket notices that only after some
 * time. A server on this computer still answers, whatever the browser says.
 */
function useIsDoubtful(store: Store): boolean {
  const [isDoubtful, setDoubtful] = useState(false);
  useEffect(() => {
    let asked = 0;
    const ask = (): void => {
      const { me } = store.get();
      if (!me) return;
      const id = ++asked;
      setDoubtful(true);
      // An unanswered request ends the connection too, which is then known to be lost.
      const request = store.request('get online info', { recipientId: me.userId });
      void request.catch(() => {}).then(() => id === asked && setDoubtful(false));
    };
    addEventListener('offline', ask);
    return () => {
      asked++;
      removeEventListener('offline', ask);
    };
  }, [store]);
  return isDoubtful;
}
