import { render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import '../ui/tokens.css';
import '../ui/controls.css';
import './audit.css';
import { ClientError, Rest, type User } from '@parley/client';
import { within } from '../ui/browser.js';
import { useRequest } from '../ui/hooks.js';
import { SignIn } from '../ui/SignIn.js';
import {
  endSession,
  finishBeforeEnd,
  loadSession,
  onSessionChange,
  type Session,
  SIGN_OUT_WAIT_MS,
} from '../ui/session.js';
import { applyTheme } from '../ui/theme.js';
import { AuditApi, describeError } from './auditApi.js';
import { ConsoleLayout } from './ConsoleLayout.js';

const rest = new Rest('');
const purpose = 'The audit console. You need the auditor role.';

/** The sign-in form, or the console of the signed-in auditor. */
function AuditApp() {
  const [session, setSession] = useState(loadSession);
  useEffect(() => onSessionChange(session, setSession), [session]);
  if (!session) return <SignIn rest={rest} purpose={purpose} initialMode="sign in" onSignedIn={setSession} />;
  return <RoleCheck key={session.token} session={session} />;
}

/** Shows the console if the user has the auditor role. */
function RoleCheck({ session }: { readonly session: Session }) {
  const [attempt, setAttempt] = useState(0);
  const leave = (): void => endSession(session);
  const api = useMemo(() => new AuditApi(session.token, leave), [session]);
  // Only auditors can get the key, and the server does not record this request in the log.
  const request = useRequest(String(attempt), (signal) => api.text('/audit/log/key', {}, signal));
  const signOut = (): void => {
    // If the server cannot be reached, the session ends there when it expires; in this browser it ends now.
    void finishBeforeEnd(within(SIGN_OUT_WAIT_MS, rest.signOut(session.token)).catch(() => {}));
    leave();
  };
  const checkAgain = (): void => setAttempt(attempt + 1);

  if (request.value !== undefined) return <ConsoleLayout api={api} user={session.user} onSignOut={signOut} />;
  if (request.state !== 'failed') return <p class="alone">Loading…</p>;
  const { error } = request;
  if (error instanceof ClientError && error.code === 'forbidden')
    return <MissingRole user={session.user} onCheckAgain={checkAgain} onSignOut={signOut} />;
  return (
    <main class="alone">
      <h1>Parley audit</h1>
      <p role="alert">{describeError(error)}</p>
      <button class="button" type="button" onClick={checkAgain}>
        Try again
      </button>
    </main>
  );
}

interface MissingRoleProps {
  readonly user: User;
  readonly onCheckAgain: () => void;
  readonly onSignOut: () => void;
}

/** Explains how to get the auditor role. */
function MissingRole({ user, onCheckAgain, onSignOut }: MissingRoleProps) {
  return (
    <main class="alone panel">
      <h1>You don't have the auditor role yet</h1>
      <p>
        Auditors can read every user's messages and actions. The log records every query of an auditor. Ask
        the operator of this server to run this command on the server:
      </p>
      <pre class="block">
        <code>npx parley role auditor {user.username}</code>
      </pre>
      <div class="row">
        <button class="button primary" type="button" onClick={onCheckAgain}>
          Check again
        </button>
        <button class="button" type="button" onClick={onSignOut}>
          Sign out
        </button>
      </div>
    </main>
  );
}

applyTheme();
const root = document.getElementById('app');
if (root) render(<AuditApp />, root);
