import { useEffect, useMemo, useState } from 'preact/hooks';
import { ClientError, Rest } from '../../src/client/index.js';
import { SignIn } from '../ui/SignIn.js';
import { clearSession, loadSession, onSessionChange, type Session } from '../ui/session.js';
import { Api, sayWhy } from './api.js';
import { Frame } from './Frame.js';
import { NotAnAuditor } from './NotAnAuditor.js';
import { useAnswer } from './useAnswer.js';

const rest = new Rest('');

/** The console: a form to sign in with, or the log for whoever is an auditor. */
export function App() {
  const [session, setSession] = useState(loadSession);
  useEffect(() => onSessionChange(setSession), []);
  if (!session)
    return (
      <SignIn
        rest={rest}
        purpose="The audit: for those who look after the log."
        first="sign in"
        onSignedIn={setSession}
      />
    );
  return <Signed key={session.token} session={session} onEnd={() => setSession(undefined)} />;
}

interface Props {
  readonly session: Session;
  readonly onEnd: () => void;
}

function Signed({ session, onEnd }: Props) {
  const [tries, setTries] = useState(0);
  const api = useMemo(() => {
    const ended = (): void => {
      clearSession();
      onEnd();
    };
    return new Api(session.token, ended);
  }, [session]);
  // What a witness asks for again and again is for auditors only, and not recorded.
  const { state, ...asked } = useAnswer(`${tries}`, (signal) => api.text('/audit/log/key', {}, signal));
  const signOut = (): void => {
    // The server forgets it by itself when this does not reach it.
    void rest.signOut(session.token).catch(() => {});
    clearSession();
    onEnd();
  };
  if (asked.value !== undefined) return <Frame api={api} user={session.user} onSignOut={signOut} />;
  if (state === 'loading') return <p class="alone">One moment…</p>;
  const error = 'error' in asked ? asked.error : undefined;
  const again = (): void => setTries(tries + 1);
  if (error instanceof ClientError && error.code === 'forbidden')
    return <NotAnAuditor user={session.user} onAgain={again} onSignOut={signOut} />;
  return (
    <main class="alone">
      <h1>Parley audit</h1>
      <p role="alert">{sayWhy(error)}</p>
      <button class="button" type="button" onClick={again}>
        Try again
      </button>
    </main>
  );
}
