import { useRef, useState } from 'preact/hooks';
import { ClientError, type Rest } from '../../src/client/index.js';
import { type Session, saveSession } from './session.js';

type Mode = 'sign in' | 'sign up';

interface Props {
  readonly rest: Rest;
  /** What signing in is for, in a sentence. */
  readonly purpose: string;
  /** What most who come here want. */
  readonly first: Mode;
  readonly onSignedIn: (session: Session) => void;
}

const said = {
  'sign in': { action: 'Sign in', other: 'New here?', change: 'Sign up' },
  'sign up': { action: 'Sign up', other: 'You have an account?', change: 'Sign in' },
} as const;

/** One form to sign in and to sign up with; what the server has against a field is said at the field. */
export function SignIn({ rest, purpose, first, onSignedIn }: Props) {
  const [mode, setMode] = useState(first);
  const [error, setError] = useState<ClientError>();
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const { action, other, change } = said[mode];
  const isNew = mode === 'sign up';

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    const [username, password] = ['username', 'password'].map((name) => String(data.get(name)));
    if (!username || !password) return;
    setBusy(true);
    setError(undefined);
    try {
      if (isNew) await rest.signUp(username, password);
      onSignedIn(saveSession(await rest.signIn(username, password)));
    } catch (reason) {
      setError(reason instanceof ClientError ? reason : new ClientError({ code: 'internal' }));
      setBusy(false);
    }
  }

  const wrong = (field: string): string | undefined =>
    error?.fields.find(({ path }) => path === field)?.message ??
    (field === 'username' && isNew && error?.code === 'conflict' ? 'This name is taken.' : undefined);
  const general = error && !wrong('username') && !wrong('password') ? sayWhy(error) : undefined;

  return (
    <main class="sign-in">
      <h1>Parley</h1>
      <p class="purpose">{purpose}</p>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <Field name="username" label="User name" error={wrong('username')} autocomplete="username">
          {isNew ? '3–32 letters, digits, _ . or -' : undefined}
        </Field>
        <Field
          name="password"
          label="Password"
          error={wrong('password')}
          autocomplete={isNew ? 'new-password' : 'current-password'}
        >
          {isNew ? 'At least 8 characters' : undefined}
        </Field>
        <p class="error" role="alert">
          {general}
        </p>
        <button class="button primary" type="submit" disabled={busy}>
          {action}
        </button>
      </form>
      <p class="other">
        {other}
        <button
          class="button plain"
          type="button"
          onClick={() => {
            setMode(isNew ? 'sign in' : 'sign up');
            setError(undefined);
          }}
        >
          {change}
        </button>
      </p>
    </main>
  );
}

function sayWhy({ code, retryAfterMs }: ClientError): string {
  switch (code) {
    case 'unauthenticated':
      return 'No user has this name and password.';
    case 'rate_limited':
      return `Too many tries: wait ${Math.ceil((retryAfterMs ?? 1000) / 1000)} s.`;
    case 'disconnected':
      return 'The server cannot be reached.';
    case 'unknown':
      return 'The server did not answer in time: try to sign in.';
    default:
      return 'This did not work: try again in a moment.';
  }
}

interface FieldProps {
  readonly name: 'username' | 'password';
  readonly label: string;
  readonly autocomplete: string;
  readonly error: string | undefined;
  readonly children: string | undefined;
}

function Field({ name, label, autocomplete, error, children }: FieldProps) {
  const common = {
    class: 'input',
    id: name,
    name,
    autocomplete,
    required: true,
    'aria-invalid': error !== undefined,
    'aria-describedby': `${name}-hint`,
  } as const;
  return (
    <div class="field">
      <label for={name}>{label}</label>
      {name === 'password' ? (
        <input {...common} type="password" />
      ) : (
        <input {...common} type="text" autocapitalize="none" spellcheck={false} />
      )}
      <span id={`${name}-hint`} class={error === undefined ? 'hint' : 'error'}>
        {error ?? children}
      </span>
    </div>
  );
}
