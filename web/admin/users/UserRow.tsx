import { useState } from 'preact/hooks';
import { Field } from '../../console/Field.js';
import { displayName } from '../../ui/displayName.js';
import { formatUtc, formatUtcMs, pluralize } from '../../ui/format.js';
import { Avatar } from '../../ui/icons.js';
import { type Administered, useVisitor } from '../adminContext.js';
import { SuspensionFacts } from './SuspensionFacts.js';
import { EraseQuestion, ResetCode, SessionsDialog, SuspensionQuestion } from './userDialogs.js';

interface Props {
  readonly administered: Administered;
  /** Loads the list again. */
  readonly onChanged: () => void;
}

/** One line of a user. A click opens what is known and what can be done. */
export function UserRow({ administered, onChanged }: Props) {
  const { user, isOnline, sessions, roles = [] } = administered;
  const name = user.displayName ?? displayName(user);
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <Avatar user={user} />
        <span class="who">
          <span class="name" dir="auto">
            {name}
          </span>
          <span class="quiet">{user.displayName && user.username ? user.username : ''}</span>
        </span>
        <span class="row badges">
          {user.suspended ? <span class="badge bad">suspended</span> : null}
          {user.erased ? <span class="badge">erased</span> : null}
          {user.bot ? <span class="badge">bot</span> : null}
          {roles.map((role) => (
            <span key={role} class="badge warning">
              {role}
            </span>
          ))}
          {isOnline ? <span class="badge good">online</span> : null}
        </span>
        <span class="seen quiet">{isOnline === false ? seenText(administered) : ''}</span>
        <span class="sessions quiet">{sessions === undefined ? '' : pluralize(sessions, 'session')}</span>
      </summary>
      <div class="details">
        <dl class="fields">
          <Field name="User ID">
            <span class="mono">{user.userId}</span>
          </Field>
          <Field name="Signed up">{formatUtcMs(user.createdAt)}</Field>
          <LastKnown administered={administered} />
          {user.about === undefined ? null : (
            <Field name="About">
              <span dir="auto">{user.about}</span>
            </Field>
          )}
        </dl>
        {isOpen && user.suspended ? <SuspensionFacts userId={user.userId} /> : null}
        {user.erased ? null : <UserActions {...{ administered, onChanged }} />}
      </div>
    </details>
  );
}

function seenText({ lastSeen, lastActive }: Administered): string {
  if (lastSeen) return `seen ${formatUtc(lastSeen)}`;
  return lastActive === undefined ? 'never connected' : `active ${formatUtc(lastActive)}`;
}

/** When the user was connected or active, for admins. */
function LastKnown({
  administered: { isOnline, lastSeen, lastActive },
}: {
  readonly administered: Administered;
}) {
  if (isOnline === undefined) return null;
  if (isOnline || lastSeen)
    return <Field name="Last seen">{lastSeen ? formatUtcMs(lastSeen) : 'online now'}</Field>;
  return (
    <>
      <Field name="Last seen">
        never: no device of this user was ever connected. The host application may write for them.
      </Field>
      {lastActive === undefined ? null : (
        <Field name="Last active">
          {formatUtcMs(lastActive)}, by a sign-in or by the newest message of a chat
        </Field>
      )}
    </>
  );
}

type OpenDialog = 'suspension' | 'code' | 'sessions' | 'erase';

function UserActions({ administered: { user, roles = [] }, onChanged }: Props) {
  const { isAdmin, roles: own } = useVisitor();
  const [open, setOpen] = useState<OpenDialog>();
  const close = (): void => setOpen(undefined);
  const common = { user, onClose: close, onDone: onChanged };
  const button = (dialog: OpenDialog, text: string, isDangerous = false) => (
    <button class={`button ${isDangerous ? 'danger' : ''}`} type="button" onClick={() => setOpen(dialog)}>
      {text}
    </button>
  );
  const isProtected = roles.length > 0;
  return (
    <>
      {isProtected ? (
        <p class="quiet">
          This user has a role. Only the command line can suspend or erase them, or reset their password.
        </p>
      ) : null}
      <div class="row">
        {isProtected ? null : button('suspension', user.suspended ? 'End suspension' : 'Suspend')}
        {isAdmin && !isProtected ? button('code', 'Reset password') : null}
        {isAdmin ? button('sessions', 'Sessions') : null}
        {own.includes('auditor') ? (
          <a class="button" href={`/audit${location.search}#/events?actor=${user.userId}`}>
            Events
          </a>
        ) : null}
        {isAdmin && !isProtected ? button('erase', 'Erase', true) : null}
      </div>
      {open === 'suspension' ? <SuspensionQuestion {...common} /> : null}
      {open === 'code' ? <ResetCode {...common} /> : null}
      {open === 'sessions' ? <SessionsDialog {...common} /> : null}
      {open === 'erase' ? <EraseQuestion {...common} /> : null}
    </>
  );
}
