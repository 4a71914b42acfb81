import { useEffect, useState } from 'preact/hooks';
import type { Store } from '../../src/client/index.js';
import { SignIn } from '../ui/SignIn.js';
import { clearSession, loadSession, onSessionChange, persona, type Session } from '../ui/session.js';
import { Chats } from './Chats.js';
import { openDevice, rest } from './device.js';

/** The chat: a form to sign in with, or the conversations of whoever has. */
export function App() {
  const [session, setSession] = useState(loadSession);
  useEffect(() => onSessionChange(setSession), []);
  if (session) return <Device key={session.token} session={session} onEnd={() => setSession(undefined)} />;
  const purpose =
    persona === ''
      ? 'Private messages that are never lost.'
      : 'This window is somebody else: sign up under another name.';
  return <SignIn rest={rest} purpose={purpose} first="sign up" onSignedIn={setSession} />;
}

interface DeviceProps {
  readonly session: Session;
  readonly onEnd: () => void;
}

function Device({ session, onEnd }: DeviceProps) {
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
  return store ? <Signed store={store} session={session} onEnd={onEnd} /> : null;
}

function Signed({ store, session, onEnd }: DeviceProps & { readonly store: Store }) {
  useEffect(() => {
    store.start();
    // The server ends a session that was signed out of elsewhere.
    const stop = store.subscribe(() => {
      const { connection } = store.get();
      if (connection.state !== 'ended' || connection.why !== 'signed_out') return;
      clearSession();
      onEnd();
    });
    const retry = (): void => store.retry();
    const look = (): void => {
      const isSeen = document.visibilityState === 'visible';
      store.setActive(isSeen);
      if (isSeen) retry();
    };
    look();
    document.addEventListener('visibilitychange', look);
    window.addEventListener('online', retry);
    return () => {
      document.removeEventListener('visibilitychange', look);
      window.removeEventListener('online', retry);
      stop();
    };
  }, [store]);
  return <Chats store={store} session={session} />;
}
