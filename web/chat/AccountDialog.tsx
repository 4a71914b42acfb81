import { ClientError } from '@parley/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { PASSWORD_CHARACTERS } from '../../src/domain/limits.js';
import { downloadFile, within } from '../ui/browser.js';
import { errorText } from '../ui/errorText.js';
import { endSession, finishBeforeEnd, type Session, SIGN_OUT_WAIT_MS } from '../ui/session.js';
import { ThemeSelect } from '../ui/theme.js';
import { AlertSettings } from './alerts/AlertSettings.js';
import { deleteDevice, rest } from './device.js';

const GENERAL_ERROR = 'Something went wrong. Try again.';

interface Props {
  readonly session: Session;
  readonly onClose: () => void;
}

type View = 'menu' | 'password' | 'delete';

/** Settings, sign-out, and what a user can do with their account. */
export function AccountDialog({ session, onClose }: Props) {
  const { token, user } = session;
  const dialog = useRef<HTMLDialogElement>(null);
  const [view, setView] = useState<View>('menu');
  const [status, setStatus] = useState('');
  useEffect(() => dialog.current?.showModal(), []);

  const showMenu = (): void => setView('menu');
  // The server ends the connection too, which must not end the page before the unsent messages are deleted.
  const leaveAfter = (request: Promise<void>): Promise<void> => {
    const leaving = finishBeforeEnd(request.then(() => deleteDevice(session)));
    return leaving.then(() => endSession(session));
  };
  const changePassword = async (password: string, newPassword: string): Promise<void> => {
    await rest.changePassword(token, password, newPassword);
    showMenu();
    setStatus('Password changed. All your other devices are signed out.');
  };
  const deleteAccount = (password: string): Promise<void> =>
    leaveAfter(rest.erase(token, user.userId, password));
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="account-title" onClose={onClose}>
      <h2 id="account-title">{user.username}</h2>
      <p role="status" class="hint">
        {status}
      </p>
      {view === 'menu' && (
        <Menu
          session={session}
          onStatus={setStatus}
          onOpen={setView}
          // If the server cannot be reached, the session ends there when it expires; on this device it ends now.
          onSignOut={() => void leaveAfter(within(SIGN_OUT_WAIT_MS, rest.signOut(token)).catch(() => {}))}
        />
      )}
      {view === 'password' && (
        <PasswordForm action="Change password" isNew onSubmit={changePassword} onCancel={showMenu} />
      )}
      {view === 'delete' && (
        <PasswordForm
          action="Delete account permanently"
          warning="This deletes your user name and the text of every message you sent, for you and for everyone else. You cannot undo this. Nobody can use this user name again."
          onSubmit={deleteAccount}
          onCancel={showMenu}
        />
      )}
    </dialog>
  );
}

interface MenuProps {
  readonly session: Session;
  readonly onStatus: (text: string) => void;
  readonly onOpen: (view: View) => void;
  readonly onSignOut: () => void;
}

function Menu({ session, onStatus, onOpen, onSignOut }: MenuProps) {
  return (
    <>
      <div class="choices">
        <ThemeSelect />
        <AlertSettings />
        <button class="button" type="button" onClick={() => onOpen('password')}>
          Change password
        </button>
        <button class="button" type="button" onClick={() => void downloadMyData(session).then(onStatus)}>
          Download my data
        </button>
        <button class="button" type="button" onClick={onSignOut}>
          Sign out
        </button>
        <button class="button danger" type="button" onClick={() => onOpen('delete')}>
          Delete my account
        </button>
      </div>
      <form method="dialog">
        <button class="button primary" type="submit">
          Close
        </button>
      </form>
    </>
  );
}

/** Downloads all data that the server has about the user; resolves with a text for the user. */
async function downloadMyData({ token, user }: Session): Promise<string> {
  try {
    const response = await fetch(`/user/${user.userId}/export`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (!response.ok) throw new ClientError({ code: 'internal', message: `HTTP ${response.status}` });
    downloadFile(`parley-${user.username}.jsonl`, await response.blob());
    return 'Your data was downloaded.';
  } catch {
    return 'The download failed. Try again.';
  }
}

interface PasswordFormProps {
  readonly action: string;
  readonly warning?: string;
  /** Asks for a new password too. */
  readonly isNew?: boolean;
  /** May reject with a `ClientError`, which the form shows. */
  readonly onSubmit: (password: string, newPassword: string) => Promise<void>;
  readonly onCancel: () => void;
}

/** Asks for the password before an action that only the account's owner may do. */
function PasswordForm({ action, warning, isNew = false, onSubmit, onCancel }: PasswordFormProps) {
  const [error, setError] = useState('');
  const [isBusy, setBusy] = useState(false);
  async function submit(form: HTMLFormElement): Promise<void> {
    const data = new FormData(form);
    setBusy(true);
    try {
      await onSubmit(String(data.get('password')), String(data.get('new-password')));
    } catch (reason) {
      setError(describeError(reason));
      setBusy(false);
    }
  }
  return (
    <form
      class="choices"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(event.currentTarget);
      }}
    >
      {warning !== undefined && <p class="notice">{warning}</p>}
      <label class="field">
        Your password
        <input class="input" type="password" name="password" autocomplete="current-password" required />
      </label>
      {isNew && (
        <label class="field">
          New password (at least {PASSWORD_CHARACTERS.min} characters)
          <input
            class="input"
            type="password"
            name="new-password"
            autocomplete="new-password"
            minLength={PASSWORD_CHARACTERS.min}
            required
          />
        </label>
      )}
      <p class="error" role="alert">
        {error}
      </p>
      <button
        class={`button ${warning === undefined ? 'primary' : 'danger'}`}
        type="submit"
        disabled={isBusy}
      >
        {action}
      </button>
      <button class="button" type="button" onClick={onCancel}>
        Cancel
      </button>
    </form>
  );
}

function describeError(reason: unknown): string {
  if (!(reason instanceof ClientError)) return GENERAL_ERROR;
  if (reason.code === 'forbidden') return 'Wrong password.';
  return errorText(reason);
}
