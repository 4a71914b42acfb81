import { ClientError, type Rest } from '@parley/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { PASSWORD_CHARACTERS } from '../../src/domain/limits.js';
import { findIssuer, finishSignIn, goToIssuer, type IssuerClient } from './issuer.js';
import { type Session, saveSession } from './session.js';

type Mode = 'sign in' | 'sign up';

interface Props {
  readonly rest: Rest;
  /** One sentence below the title. */
  readonly purpose: string;
  readonly initialMode: Mode;
  readonly onSignedIn: (session: Session) => void;
}

const texts = {
  'sign in': { action: 'Sign in', question: 'New here?', otherAction: 'Sign up' },
  'sign up': { action: 'Sign up', question: 'Already have an account?', otherAction: 'Sign in' },
} as const;

/** A form to sign in or to sign up. An error that the server reports for a field is shown at that field. */
export function SignIn({ rest, purpose, initialMode, onSignedIn }: Props) {
  const [mode, setMode] = useState(initialMode);
  const [error, setError] = useState<ClientError>();
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const { action, question, otherAction } = texts[mode];
  const isNew = mode === 'sign up';
  const issuer = useIssuer(onSignedIn, setError);

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

  const { username: nameError, password: passwordError, form: formError } = errorTexts(error, isNew);
  return (
    <main class="sign-in">
      <h1>Parley</h1>
      <p class="purpose">{purpose}</p>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <Field name="username" label="User name" error={nameError} autocomplete="username">
          {isNew ? '3 to 32 characters: a–z, A–Z, 0–9, _ . or -' : undefined}
        </Field>
        <Field
          name="password"
          label="Password"
          error={passwordError}
          autocomplete={isNew ? 'new-password' : 'current-password'}
        >
          {isNew ? `At least ${PASSWORD_CHARACTERS.min} characters` : undefined}
        </Field>
        <p class="error" role="alert">
          {formError}
        </p>
        <button class="button primary" type="submit" disabled={isBusy}>
          {action}
        </button>
      </form>
      <p class="other">
        {question}
        <button
          class="button plain"
          type="button"
          onClick={() => {
            setMode(isNew ? 'sign in' : 'sign up');
            setError(undefined);
          }}
        >
          {otherAction}
        </button>
      </p>
      {issuer ? (
        <p class="other">
          <button class="button" type="button" onClick={() => void goToIssuer(issuer)}>
            Sign in with your account elsewhere
          </button>
        </p>
      ) : null}
    </main>
  );
}

/** The issuer by which users sign in, if the server has one. Finishes a sign-in that the issuer has sent this page back with. */
function useIssuer(
  onSignedIn: Props['onSignedIn'],
  onError: (error: ClientError) => void,
): IssuerClient | undefined {
  const [issuer, setIssuer] = useState<IssuerClient>();
  useEffect(() => {
    void findIssuer().then(setIssuer);
    finishSignIn().then(
      (signedIn) => signedIn && onSignedIn(saveSession(signedIn)),
      (reason) => onError(reason instanceof ClientError ? reason : new ClientError({ code: 'internal' })),
    );
  }, []);
  return issuer;
}

/** The error's text, at the field that it is about or else for the whole form. */
function errorTexts(
  error: ClientError | undefined,
  isNew: boolean,
): { readonly [place in 'username' | 'password' | 'form']?: string | undefined } {
  if (!error) return {};
  const textOf = (field: string): string | undefined =>
    error.fields.find(({ path }) => path === field)?.message;
  const isTaken = isNew && error.code === 'conflict';
  const username = textOf('username') ?? (isTaken ? 'This user name is taken.' : undefined);
  const password = textOf('password');
  return { username, password, form: username || password ? undefined : describeError(error) };
}

function describeError({ code, retryAfterMs }: ClientError): string {
  switch (code) {
    case 'unauthenticated':
      return 'Wrong user name or password.';
    case 'rate_limited':
      return `Too many attempts. Try again in ${Math.ceil((retryAfterMs ?? 1000) / 1000)} s.`;
    case 'disconnected':
      return 'Cannot reach the server. Check your connection.';
    case 'unknown':
      return 'The server did not answer in time. Try to sign in.';
    default:
      return 'Something went wrong. Try again in a moment.';
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
