import { useState } from 'preact/hooks';
import { ClientError } from '../../src/client/index.js';

interface Props {
  readonly action: string;
  readonly warning?: string;
  /** Whether a new password is asked for too. */
  readonly isNew?: boolean;
  /** May reject with a `ClientError`, which is shown. */
  readonly onSubmit: (password: string, newPassword: string) => Promise<void>;
  readonly onCancel: () => void;
}

/** Asks for the password before something that only its owner may do. */
export function PasswordForm({ action, warning, isNew = false, onSubmit, onCancel }: Props) {
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  async function submit(form: HTMLFormElement): Promise<void> {
    const data = new FormData(form);
    setBusy(true);
    try {
      await onSubmit(String(data.get('password')), String(data.get('new-password')));
    } catch (reason) {
      setError(why(reason));
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
          The new one, at least 8 characters
          <input
            class="input"
            type="password"
            name="new-password"
            autocomplete="new-password"
            minLength={8}
            required
          />
        </label>
      )}
      <p class="error" role="alert">
        {error}
      </p>
      <button class={`button ${warning === undefined ? 'primary' : 'danger'}`} type="submit" disabled={busy}>
        {action}
      </button>
      <button class="button" type="button" onClick={onCancel}>
        Cancel
      </button>
    </form>
  );
}

function why(reason: unknown): string {
  if (!(reason instanceof ClientError)) return 'This did not work: try again.';
  if (reason.code === 'forbidden') return 'This is not your password.';
  return reason.fields[0]?.message ?? reason.message;
}
