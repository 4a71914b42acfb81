import { ClientError } from '@parley/client';
import { useState } from 'preact/hooks';
import { PASSWORD_CHARACTERS } from '../../../src/domain/limits.js';
import { downloadFile, within } from '../../ui/browser.js';
import { errorText } from '../../ui/errorText.js';
import {
  endSession,
  finishBeforeEnd,
  noteEndCause,
  type Session,
  SIGN_OUT_WAIT_MS,
} from '../../ui/session.js';
import { text } from '../../ui/texts.js';
import { ThemeSelect } from '../../ui/theme.js';
import { AlertSettings } from '../alerts/AlertSettings.js';
import { useChatPage } from '../chatContext.js';
import { deleteDevice, rest } from '../device.js';
import { RoleLinks } from './RoleLinks.js';

type View = 'menu' | 'password' | 'delete';

/** Settings, sign-out, and what a user can do with their account. */
export function AccountView() {
  const { session } = useChatPage();
  const { token, user } = session;
  const [view, setView] = useState<View>('menu');
  const [status, setStatus] = useState('');

  const showMenu = (): void => setView('menu');
  // The server ends the connection too, which must not end the page before the unsent messages are deleted.
  const leaveAfter = (request: Promise<void>): Promise<void> => {
    const leaving = finishBeforeEnd(request.then(() => deleteDevice(session)));
    return leaving.then(() => endSession(session));
  };
  const changePassword = async (password: string, newPassword: string): Promise<void> => {
    await rest.changePassword(token, password, newPassword);
    showMenu();
    setStatus(text('account.passwordChanged'));
  };
  const deleteAccount = (password: string): Promise<void> =>
    leaveAfter(rest.erase(token, user.userId, password).then(() => noteEndCause('deleted')));
  return (
    <>
      <p role="status" class="hint">
        {status}
      </p>
      {view === 'menu' && (
        <AccountMenu
          onStatus={setStatus}
          onOpen={setView}
          // If the server cannot be reached, the session ends there when it expires; on this device it ends now.
          onSignOut={() => void leaveAfter(within(SIGN_OUT_WAIT_MS, rest.signOut(token)).catch(() => {}))}
        />
      )}
      {view === 'password' && (
        <PasswordForm
          action={text('account.changePassword')}
          isNew
          onSubmit={changePassword}
          onCancel={showMenu}
        />
      )}
      {view === 'delete' && (
        <PasswordForm
          action={text('account.deleteForEver')}
          warning={text('account.deleteWarning')}
          onSubmit={deleteAccount}
          onCancel={showMenu}
        />
      )}
    </>
  );
}

interface MenuProps {
  readonly onStatus: (text: string) => void;
  readonly onOpen: (view: View) => void;
  readonly onSignOut: () => void;
}

function AccountMenu({ onStatus, onOpen, onSignOut }: MenuProps) {
  const { session, dialogs } = useChatPage();
  const button = (label: string, onClick: () => void, more = '') => (
    <button class={`button ${more}`} type="button" onClick={onClick}>
      {label}
    </button>
  );
  return (
    <div class="choices">
      {button(text('profile.mine'), () => dialogs.open({ name: 'myProfile' }))}
      {button(text('privacy.title'), () => dialogs.open({ name: 'privacy' }))}
      {button(text('blocked.title'), () => dialogs.open({ name: 'blocked' }))}
      <ThemeSelect />
      <AlertSettings />
      <RoleLinks session={session} />
      {button(text('account.changePassword'), () => onOpen('password'))}
      {button(text('account.download'), () => void downloadMyData(session).then(onStatus))}
      {button(text('account.signOut'), onSignOut)}
      {button(text('account.delete'), () => onOpen('delete'), 'danger')}
    </div>
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
    return text('account.downloaded');
  } catch {
    return text('account.downloadFailed');
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
        {text('account.yourPassword')}
        <input class="input" type="password" name="password" autocomplete="current-password" required />
      </label>
      {isNew && (
        <label class="field">
          {text('account.newPassword', { min: PASSWORD_CHARACTERS.min })}
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
        {text('dialog.cancel')}
      </button>
    </form>
  );
}

function describeError(reason: unknown): string {
  if (!(reason instanceof ClientError)) return text('failure.any');
  if (reason.code === 'forbidden') return text('account.wrongPassword');
  return errorText(reason);
}
