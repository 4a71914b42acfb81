import type { Store } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { hasLapsed } from '../ui/renewal.js';
import { endSession, noteEndCause, type Session } from '../ui/session.js';
import { UpdateNotice } from './app/UpdateNotice.js';
import { checkForUpdate, checkForUpdateIfDue } from './app/worker.js';
import { ChatPage } from './ChatPage.js';
import { openDevice } from './device.js';
import './chat.css';

interface DeviceProps {
  readonly session: Session;
}

/** Opens the device of a session, and closes it when the session changes. */
export function ChatDevice({ session }: DeviceProps) {
  const [store, setStore] = useState<Store>();
  useEffect(() => {
    let isOver = false;
    const opening = openDevice(session);
    void opening.then((opened) => {
      if (!isOver) setStore(opened);
    });
    return () => {
      isOver = true;
      void opening.then((opened) => opened.close());
    };
  }, [session]);
  return store ? <ConnectedDevice store={store} session={session} /> : null;
}

/** Keeps the device connected while the page is open; reconnects at once when the page or the network comes back. */
function ConnectedDevice({ store, session }: DeviceProps & { readonly store: Store }) {
  useEffect(() => {
    store.start();
    let wasLost = false;
    // The server ends the connection when the user signs out on another device, or is suspended.
    const unsubscribe = store.subscribe(() => {
      const { connection } = store.get();
      if (connection.state === 'ended' && connection.why === 'signed_out') {
        if (connection.reason) noteEndCause(connection.reason);
        else if (hasLapsed(session)) noteEndCause('lapsed');
        endSession(session);
      }
      // A server that was away may have a new build.
      if (connection.state === 'live' && wasLost) checkForUpdate();
      wasLost = connection.state === 'waiting' || (wasLost && connection.state !== 'live');
    });
    const retry = (): void => store.retry();
    const onVisibility = (): void => {
      const isVisible = document.visibilityState === 'visible';
      store.setActive(isVisible);
      if (isVisible) {
        retry();
        checkForUpdateIfDue();
      }
    };
    onVisibility();
    document.addEventListener('visibilitychange', onVisibility);
    window.addEventListener('online', retry);
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      window.removeEventListener('online', retry);
      unsubscribe();
    };
  }, [store]);
  return (
    <>
      <UpdateNotice />
      <ChatPage store={store} session={session} />
    </>
  );
}
