import { useEffect, useRef, useState } from 'preact/hooks';
import { ClientError } from '../../src/client/index.js';
import { clearSession, type Session } from '../ui/session.js';
import { ThemeChoice } from '../ui/ThemeChoice.js';
import { forgetDevice, rest } from './device.js';
import { notices } from './news.js';
import { PasswordForm } from './PasswordForm.js';

interface Props {
  readonly session: Session;
  readonly onClose: () => void;
}

type Part = 'menu' | 'password' | 'erase';

/** What somebody can do about their account, in a dialog. */
export function Account({ session, onClose }: Props) {
  const { token, user } = session;
  const dialog = useRef<HTMLDialogElement>(null);
  const [part, setPart] = useState<Part>('menu');
  const [said, setSaid] = useState('');
  useEffect(() => dialog.current?.showModal(), []);

  const out = (): void => {
    clearSession();
    void forgetDevice(session).then(() => location.reload());
  };
  const signOut = (): void => {
    // A session that the server does not end now ends by itself; here it is over.
    rest.signOut(token).then(out, out);
  };

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="account-title" onClose={onClose}>
      <h2 id="account-title">{user.username}</h2>
      <p role="status" class="hint">
        {said}
      </p>
      {part === 'menu' && (
        <div class="choices">
          <ThemeChoice />
          {notices.state === 'default' && (
            <button
              class="button"
              type="button"
              onClick={() => void notices.ask().then((answer) => setSaid(`Notifications: ${answer}`))}
            >
              Notify me of messages
            </button>
          )}
          <button class="button" type="button" onClick={() => setPart('password')}>
            Change password
          </button>
          <button class="button" type="button" onClick={() => void download(session).then(setSaid)}>
            Download my data
          </button>
          <button class="button" type="button" onClick={signOut}>
            Sign out
          </button>
          <button class="button danger" type="button" onClick={() => setPart('erase')}>
            Erase my account
          </button>
        </div>
      )}
      {part === 'password' && (
        <PasswordForm
          action="Change password"
          isNew
          onSubmit={async (password, newPassword) => {
            await rest.changePassword(token, password, newPassword);
            setPart('menu');
            setSaid('The password is changed; all your other sign-ins have ended.');
          }}
          onCancel={() => setPart('menu')}
        />
      )}
      {part === 'erase' && (
        <PasswordForm
          action="Erase for ever"
          warning="Your name and the text of everything you wrote are destroyed, for you and for everybody else. Nobody can undo this, and the name can never be used again."
          onSubmit={async (password) => {
            await rest.erase(token, user.userId, password);
            out();
          }}
          onCancel={() => setPart('menu')}
        />
      )}
      {part === 'menu' && (
        <form method="dialog">
          <button class="button primary" type="submit">
            Close
          </button>
        </form>
      )}
    </dialog>
  );
}

/** Saves all that the server has about somebody; resolves with what to say of it. */
async function download({ token, user }: Session): Promise<string> {
  try {
    const answer = await fetch(`/user/${user.userId}/export`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (!answer.ok) throw new ClientError({ code: 'internal', message: `HTTP ${answer.status}` });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `parley-${user.username}.jsonl`;
    link.click();
    URL.revokeObjectURL(link.href);
    return 'Your data has been saved.';
  } catch {
    return 'Your data could not be fetched: try again.';
  }
}
