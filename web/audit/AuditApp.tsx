import { render } from 'preact';
import '../ui/tokens.css';
import '../ui/controls.css';
import '../console/console.css';
import { type Closed, Gate } from '../console/Gate.js';
import { applyTheme } from '../ui/theme.js';
import { ConsoleLayout } from './ConsoleLayout.js';

/** The sign-in form, or the console of the signed-in auditor. */
const AuditApp = () => (
  <Gate
    title="Parley audit"
    purpose="The audit console. You need the auditor role."
    needs="auditor"
    closed={(closed) => <MissingRole {...closed} />}
    open={(visitor) => <ConsoleLayout visitor={visitor} />}
  />
);

/** Explains how to get the auditor role. */
function MissingRole({ user, checkAgain, signOut }: Closed) {
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
        <button class="button primary" type="button" onClick={checkAgain}>
          Check again
        </button>
        <button class="button" type="button" onClick={signOut}>
          Sign out
        </button>
      </div>
    </main>
  );
}

applyTheme();
const root = document.getElementById('app');
if (root) render(<AuditApp />, root);
