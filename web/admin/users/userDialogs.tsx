import { ClientError, type User } from '@parley/client';
import { useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { Question } from '../../console/Dialog.js';
import { displayName } from '../../ui/displayName.js';
import { formatUtc, formatUtcMs } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import { useVisitor } from '../adminContext.js';
import { ShownOnce } from '../ShownOnce.js';

interface Props {
  readonly user: User;
  readonly onClose: () => void;
  /** Called when the user has changed. */
  readonly onDone: () => void;
}

/** Asks for the reason of a suspension, or of its end. */
export function SuspensionQuestion({ user, onClose, onDone }: Props) {
  const { api } = useVisitor();
  const isSuspended = user.suspended === true;
  return (
    <Question
      title={isSuspended ? `End the suspension of ${displayName(user)}` : `Suspend ${displayName(user)}`}
      action={isSuspended ? 'End suspension' : 'Suspend'}
      isDangerous={!isSuspended}
      onClose={onClose}
      onConfirm={async (fields) => {
        const reason = String(fields.get('reason')).trim();
        await api.send(isSuspended ? 'DELETE' : 'PUT', `/admin/users/${user.userId}/suspension`, { reason });
        onDone();
      }}
    >
      <p>
        {isSuspended
          ? 'The user can sign in again.'
          : 'All sessions end within a second, and the user cannot sign in. Their messages stay.'}
      </p>
      <div class="field">
        <label for="reason">Reason</label>
        <textarea class="input" id="reason" name="reason" required maxlength={1000} dir="auto" />
        <span class="hint">Kept in the log.</span>
      </div>
    </Question>
  );
}

/** Issues a code with which the user sets a new password, and shows it once. */
export function ResetCode({ user, onClose }: Props) {
  const { api } = useVisitor();
  const [issued, setIssued] = useState<{ readonly code: string; readonly expiresAt: string }>();
  const title = `Reset the password of ${displayName(user)}`;
  if (!issued)
    return (
      <Question
        title={title}
        action="Issue a code"
        onClose={onClose}
        staysOpen
        onConfirm={async () => setIssued(await api.send('POST', `/admin/users/${user.userId}/password`))}
      >
        <p>
          You get a code with which the user sets a new password once, within 24 hours. Until then the old
          password works. An earlier code stops working.
        </p>
      </Question>
    );
  return (
    <ShownOnce title={title} secret={issued.code} onClose={onClose}>
      <p>
        Give this code only to the user, and only if you are sure who they are. It is shown only once, and
        expires at {formatUtcMs(issued.expiresAt)}.
      </p>
    </ShownOnce>
  );
}

interface OpenSessions {
  readonly sessions: readonly { readonly createdAt: string; readonly expiresAt: string }[];
}

/** The open sessions of a user, and the button that ends them. */
export function SessionsDialog({ user, onClose, onDone }: Props) {
  const { api } = useVisitor();
  const path = `/admin/users/${user.userId}/sessions`;
  const request = useRequest('', (signal) => api.json<OpenSessions>(path, {}, signal));
  const sessions = request.value?.sessions ?? [];
  return (
    <Question
      title={`Sessions of ${displayName(user)}`}
      action="End all sessions"
      isDangerous
      isDisabled={sessions.length === 0}
      onClose={onClose}
      onConfirm={async () => {
        await api.send('DELETE', path);
        onDone();
      }}
    >
      {request.state === 'failed' ? <p role="alert">{describeError(request.error)}</p> : null}
      {request.state === 'loading' ? <p role="status">Loading…</p> : null}
      {request.state === 'ready' && sessions.length === 0 ? <p role="status">No session is open.</p> : null}
      <ul class="sessions-open">
        {sessions.map(({ createdAt, expiresAt }) => (
          <li key={createdAt}>
            <span>Since {formatUtc(createdAt)} UTC</span>
            <span class="quiet">until {formatUtc(expiresAt)} UTC at the latest</span>
          </li>
        ))}
      </ul>
    </Question>
  );
}

/** Asks for the user's name before the account is erased. */
export function EraseQuestion({ user, onClose, onDone }: Props) {
  const { api } = useVisitor();
  const name = user.username ?? '';
  return (
    <Question
      title={`Erase ${name}`}
      action="Erase permanently"
      isDangerous
      onClose={onClose}
      onConfirm={async (fields) => {
        if (String(fields.get('name')).trim() !== name)
          throw new ClientError({ code: 'bad_request', message: `This is not the user name ${name}.` });
        await api.send('DELETE', `/admin/users/${user.userId}`);
        onDone();
      }}
    >
      <p>
        The keys of all texts and names of this user are destroyed. Nobody can read them any more. You cannot
        undo this.
      </p>
      <div class="field">
        <label for="name">Type the user name {name} to confirm</label>
        <input
          class="input"
          id="name"
          name="name"
          required
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
        />
      </div>
    </Question>
  );
}
