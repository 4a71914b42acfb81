import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '../ui/tokens.css';
import '../ui/controls.css';
import './chat.css';
import type { Store } from '@parley/client';
import { SignIn } from '../ui/SignIn.js';
import {
  endSession,
  forgetChatsOfOthers,
  loadSession,
  noteEndCause,
  onSessionChange,
  profile,
  type Session,
} from '../ui/session.js';
import { loadTexts, text } from '../ui/texts.js';
import { applyTheme } from '../ui/theme.js';
import { UpdateNotice } from './app/UpdateNotice.js';
import { checkForUpdate, checkForUpdateIfDue, reloadForNewBuild } from './app/worker.js';
import { ChatPage } from './ChatPage.js';
import { openDevice, rest } from './device.js';

/** The sign-in form, or the chats of the signed-in user. */
function ChatApp() {
  const [session, setSession] = useState(loadSession);
  useEffect(() => onSessionChange(session, setSession), [session]);
  if (!session)
    return (
      <SignIn
        rest={rest}
        purpose={text(profile === '' ? 'app.purpose' : 'app.secondUser')}
        initialMode="sign up"
        onSignedIn={setSession}
      />
    );
  return <OpenDevice key={session.token} session={session} />;
}

interface DeviceProps {
  readonly session: Session;
}

/** Opens the device of a session, and closes it when the session changes. */
function OpenDevice({ session }: DeviceProps) {
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

applyTheme();
reloadForNewBuild();
void forgetChatsOfOthers();
const root = document.getElementById('app');
void loadTexts().then(() => root && render(<ChatApp />, root));
