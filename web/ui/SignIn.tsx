import { ClientError, type Rest } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { PASSWORD_CHARACTERS } from '../../src/domain/limits.js';
import { hasWebCrypto } from './browser.js';
import { errorText } from './errorText.js';
import {
  drawnOptions,
  findSignInOptions,
  finishSignIn,
  goToIssuer,
  hostOf,
  type IssuerClient,
} from './issuer.js';
import { PasswordField } from './PasswordField.js';
import { type EndCause, lastEndCause, type Session, saveSession } from './session.js';
import { text } from './texts.js';

const toClientError = (reason: unknown): ClientError =>
  reason instanceof ClientError ? reason : new ClientError({ code: 'internal' }, { cause: reason });

/** `reset` sets a new password with the code of an administrator. */
type Mode = 'sign in' | 'sign up' | 'reset';

interface Props {
  readonly rest: Rest;
  /** One sentence below the title. */
  readonly purpose: string;
  readonly initialMode: Mode;
  readonly onSignedIn: (session: Session) => void;
  /** Stands below the forms. */
  readonly children?: ComponentChildren;
}

const endTexts = {
  signedOut: 'signIn.signedOut',
  suspended: 'reason.suspended',
  password_changed: 'reason.password_changed',
  deleted: 'signIn.deleted',
  lapsed: 'signIn.signedOut',
} as const satisfies Record<EndCause, string>;

/** All ways to sign in or to sign up that the server has. */
export function SignIn({ rest, purpose, initialMode, onSignedIn, children }: Props) {
  const [options, setOptions] = useState(drawnOptions);
  const [endCause, setEndCause] = useState(lastEndCause);
  const [issuerError, setIssuerError] = useState<ClientError>();
  useEffect(() => {
    if (!options)
      void findSignInOptions().then((found) => {
        setOptions(found);
        // Whom the issuer still knows goes on without being asked.
        if (endCause === 'lapsed' && found.issuer) void goToIssuer(found.issuer, 'none');
      });
    finishSignIn().then(
      (signedIn) => signedIn && onSignedIn(saveSession(signedIn)),
      (reason: unknown) => setIssuerError(toClientError(reason)),
    );
  }, []);
  return (
    <main class="sign-in">
      <h1>Parley</h1>
      <p class="purpose">{purpose}</p>
      {endCause && (
        <p class="notice" role="status">
          {text(endTexts[endCause])}
        </p>
      )}
      {options?.password && (
        <PasswordSignIn
          rest={rest}
          initialMode={options.signUp && endCause === undefined ? initialMode : 'sign in'}
          canSignUp={options.signUp}
          onSignedIn={onSignedIn}
          onForgotten={() => setEndCause(undefined)}
        />
      )}
      {options?.issuer && (
        <IssuerSignIn issuer={options.issuer} isOnly={!options.password} error={issuerError} />
      )}
      {options && children}
    </main>
  );
}

interface PasswordProps extends Omit<Props, 'purpose' | 'children'> {
  /** The user wants a new password. */
  readonly onForgotten: () => void;
  readonly canSignUp: boolean;
}

/** The form for a name and a password. An error that is about a field is shown at that field. */
function PasswordSignIn({ rest, initialMode, canSignUp, onSignedIn, onForgotten }: PasswordProps) {
  const [mode, setMode] = useState(initialMode);
  const [error, setError] = useState<ErrorTexts>({});
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const isNew = mode !== 'sign in';
  const show = (next: Mode) => () => {
    setMode(next);
    setError({});
    if (next === 'reset') onForgotten();
  };

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    const [username, password, code] = ['username', 'password', 'code'].map((name) =>
      String(data.get(name) ?? ''),
    );
    if (!username || !password || (mode === 'reset' && !code))
      return setError({ form: text('signIn.missing') });
    setBusy(true);
    setError({});
    try {
      if (mode === 'sign up') await rest.signUp(username, password);
      if (mode === 'reset') await rest.resetPassword(username, (code ?? '').trim(), password);
      onSignedIn(saveSession(await rest.signIn(username, password)));
    } catch (reason) {
      setError(errorTexts(toClientError(reason), mode));
      setBusy(false);
    }
  }

  return (
    <>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        {mode === 'reset' && <p>{text('signIn.forgotHelp')}</p>}
        <UserNameField error={error.username} isNew={mode === 'sign up'} />
        {mode === 'reset' && <CodeField />}
        <PasswordField
          id="password"
          label={text(mode === 'reset' ? 'signIn.newPassword' : 'signIn.password')}
          autocomplete={isNew ? 'new-password' : 'current-password'}
          error={error.password}
          hint={isNew ? text('signIn.passwordRule', { min: PASSWORD_CHARACTERS.min }) : undefined}
        />
        <p class="error" role="alert">
          {error.form}
        </p>
        <button class="button primary" type="submit" disabled={isBusy}>
          {text(SUBMIT[mode])}
        </button>
      </form>
      {mode === 'reset' ? (
        <button class="button plain" type="button" onClick={show('sign in')}>
          {text('signIn.back')}
        </button>
      ) : canSignUp ? (
        <p class="other">
          {text(isNew ? 'signIn.hasAccount' : 'signIn.newHere')}
          <button class="button plain" type="button" onClick={show(isNew ? 'sign in' : 'sign up')}>
            {text(isNew ? 'signIn.signIn' : 'signIn.signUp')}
          </button>
        </p>
      ) : (
        <p class="other">{text('signIn.closed')}</p>
      )}
      {mode === 'sign in' && (
        <button class="button plain" type="button" onClick={show('reset')}>
          {text('signIn.forgot')}
        </button>
      )}
    </>
  );
}

const SUBMIT = {
  'sign in': 'signIn.signIn',
  'sign up': 'signIn.signUp',
  reset: 'signIn.reset',
} as const satisfies Record<Mode, string>;

interface ErrorTexts {
  readonly username?: string;
  readonly password?: string;
  readonly form?: string;
}

/** The error's text, at the field that it is about or else for the whole form. */
function errorTexts(error: ClientError, mode: Mode): ErrorTexts {
  const isAbout = (field: string): boolean => error.fields.some(({ path }) => path === field);
  if (mode === 'reset' && error.code === 'unauthenticated') return { form: text('signIn.wrongCode') };
  if (mode === 'sign up' && error.code === 'conflict') return { username: text('signIn.taken') };
  if (!isAbout('username') && !isAbout('password')) return { form: describeError(error) };
  return {
    ...(isAbout('username') && { username: text('signIn.usernameRule') }),
    ...(isAbout('password') && {
      password: text('signIn.passwordWeak', { min: PASSWORD_CHARACTERS.min }),
    }),
  };
}

function describeError(error: ClientError): string {
  const { code, reason, retryAfterMs } = error;
  if (reason) return errorText(error);
  switch (code) {
    case 'unauthenticated':
      return text('signIn.wrong');
    case 'rate_limited':
      return text('signIn.tooManyAttempts', { seconds: Math.ceil((retryAfterMs ?? 1000) / 1000) });
    case 'disconnected':
    case 'overloaded':
      return errorText(error);
    case 'unknown':
      return text('signIn.unknown');
    default:
      return text('signIn.failed');
  }
}

interface FieldProps {
  readonly error: string | undefined;
  readonly isNew: boolean;
}

function UserNameField({ error, isNew }: FieldProps) {
  return (
    <div class="field">
      <label for="username">{text('signIn.username')}</label>
      <input
        class="input"
        id="username"
        name="username"
        type="text"
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        required
        aria-invalid={error !== undefined}
        aria-describedby="username-hint"
      />
      <span id="username-hint" class={error === undefined ? 'hint' : 'error'}>
        {error ?? (isNew && text('signIn.usernameRule'))}
      </span>
    </div>
  );
}

function CodeField() {
  return (
    <div class="field">
      <label for="code">{text('signIn.code')}</label>
      <input
        class="input"
        id="code"
        name="code"
        type="text"
        dir="ltr"
        autocomplete="one-time-code"
        autocapitalize="none"
        spellcheck={false}
        required
        aria-describedby="code-hint"
      />
      <span id="code-hint" class="hint">
        {text('signIn.codeHint')}
      </span>
    </div>
  );
}

interface IssuerProps {
  readonly issuer: IssuerClient;
  readonly isOnly: boolean;
  readonly error: ClientError | undefined;
}

/** Leads to the issuer, and says why it has not signed the user in. */
function IssuerSignIn({ issuer, isOnly, error }: IssuerProps) {
  const host = hostOf(issuer);
  if (!hasWebCrypto()) return <p class="other">{text('signIn.needsHttps')}</p>;
  const isRefused = error?.code === 'unauthenticated' && !error.reason;
  return (
    <div class="issuer">
      {!isOnly && <p class="or">{text('signIn.or')}</p>}
      <p class="error" role="alert">
        {error && (isRefused ? text('signIn.issuerRefused', { host }) : describeError(error))}
      </p>
      <button
        class={`button ${isOnly ? 'primary' : ''}`}
        type="button"
        onClick={() => void goToIssuer(issuer)}
      >
        {text('signIn.withIssuer', { host })}
      </button>
    </div>
  );
}
