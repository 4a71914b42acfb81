import type { User } from '../../src/client/index.js';

interface Props {
  readonly user: User;
  readonly onAgain: () => void;
  readonly onSignOut: () => void;
}

/** Tells who is no auditor how one becomes one. */
export function NotAnAuditor({ user, onAgain, onSignOut }: Props) {
  return (
    <main class="alone panel">
      <h1>You are no auditor yet</h1>
      <p>
        Auditors see what everybody did and wrote; each of their looks is itself recorded. Whoever runs this
        server gives the role, with this command beside it:
      </p>
      <pre class="block">
        <code>npx parley role auditor {user.username}</code>
      </pre>
      <div class="row">
        <button class="button primary" type="button" onClick={onAgain}>
          It is done: look again
        </button>
        <button class="button" type="button" onClick={onSignOut}>
          Sign out
        </button>
      </div>
    </main>
  );
}
