import { Rest } from '@parley/client';
import { type ComponentType, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '../ui/tokens.css';
import '../ui/controls.css';
import { LanguageSelect } from '../ui/LanguageSelect.js';
import { SignIn } from '../ui/SignIn.js';
import { forgetChatsOfOthers, loadSession, onSessionChange, profile, type Session } from '../ui/session.js';
import { loadChatTexts, loadFirstTexts, text } from '../ui/texts.js';
import { applyTheme } from '../ui/theme.js';
import { reloadForNewBuild } from './app/worker.js';

interface DeviceProps {
  readonly session: Session;
}

type Device = ComponentType<DeviceProps>;

let loading: Promise<Device> | undefined;

/** Loads what only a signed-in user needs: most of the code, and of the texts. */
function loadDevice(): Promise<Device> {
  loading ??= Promise.all([import('./ChatDevice.js'), loadChatTexts()]).then(
    ([{ ChatDevice }]) => ChatDevice,
  );
  return loading;
}

/** The sign-in form, or the chats of the signed-in user. */
function ChatApp() {
  const [session, setSession] = useState(loadSession);
  // A renewed token is no other session: the device stays connected.
  useEffect(
    () => onSessionChange(session, (next) => setSession((shown) => (next && shown) ?? next)),
    [session],
  );
  if (session) return <SignedIn session={session} />;
  return (
    // Whoever fills in the form needs the rest soon. If it cannot be loaded now, the sign-in tries again.
    <div onFocusIn={() => void loadDevice().catch(() => (loading = undefined))}>
      <SignIn
        rest={new Rest(location.origin)}
        purpose={text(profile === '' ? 'app.purpose' : 'app.secondUser')}
        initialMode="sign up"
        onSignedIn={setSession}
      >
        <LanguageSelect />
      </SignIn>
    </div>
  );
}

type State = Device | 'loading' | 'failed';

function SignedIn({ session }: DeviceProps) {
  const [Shown, setShown] = useState<State>('loading');
  useEffect(
    () =>
      void loadDevice().then(
        (device) => setShown(() => device),
        (error: unknown) => {
          console.error(error);
          setShown('failed');
        },
      ),
    [],
  );
  if (typeof Shown === 'function') return <Shown key={session.user.userId} session={session} />;
  return Shown === 'failed' ? <LoadFailure /> : null;
}

function LoadFailure() {
  return (
    <main class="sign-in">
      <h1>Parley</h1>
      <p class="notice" role="alert">
        {text('error.disconnected')}
      </p>
      <p class="other">
        <button class="button plain" type="button" onClick={() => location.reload()}>
          {text('connection.tryNow')}
        </button>
      </p>
    </main>
  );
}

applyTheme();
reloadForNewBuild(import.meta.url);
void forgetChatsOfOthers();
const root = document.getElementById('app');
if (loadSession()) {
  // Beside the texts, not after them. Its failure is told when it is shown.
  loadDevice().catch(() => {});
  // The page may have come with the form for somebody new, which would stay above the chats.
  root?.replaceChildren();
}
const draw = (): void => {
  if (root) render(<ChatApp />, root);
};
// Where the form is shown, a slow phone answers between reading the scripts and taking it over.
void loadFirstTexts().then(() => (root?.firstChild ? setTimeout(draw) : draw()));
