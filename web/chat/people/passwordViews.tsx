import { ClientError } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { PASSWORD_CHARACTERS } from '../../../src/domain/limits.js';
import { chatName } from '../../ui/displayName.js';
import { errorText } from '../../ui/errorText.js';
import { PasswordField } from '../../ui/PasswordField.js';
import { endSession, finishBeforeEnd, noteEndCause, type Session, tokenOf } from '../../ui/session.js';
import { text } from '../../ui/texts.js';
import { nextOwnerText } from '../chatActions.js';
import { useChatPage } from '../chatContext.js';
import { deleteDevice, rest } from '../device.js';
import { allChats } from '../PeopleSearch.js';
import { failureText } from './failureText.js';

/** What only the owner of an account may do: each of these asks for the password. */

/**
 * Ends the session in this browser after the request. The server ends the connection too, which must not end the page
 * before the unsent messages are deleted.
 */
export function leaveAfter(session: Session, request: Promise<void>): Promise<void> {
  const leaving = finishBeforeEnd(request.then(() => deleteDevice(session)));
  return leaving.then(() => endSession(session));
}

export function ChangePasswordView() {
  const { session, dialogs } = useChatPage();
  const [isDone, setDone] = useState(false);
  if (isDone)
    return (
      <>
        <p role="status">{text('account.passwordChanged')}</p>
        <div class="sheet-actions">
          <button class="button primary" type="button" onClick={dialogs.back}>
            {text('dialog.done')}
          </button>
        </div>
      </>
    );
  return (
    <PasswordForm
      action={text('account.changePassword')}
      isNew
      onSubmit={async (password, newPassword) => {
        await rest.changePassword(tokenOf(session), password, newPassword);
        setDone(true);
      }}
    />
  );
}

export function DeleteAccountView() {
  const { session } = useChatPage();
  const { user } = session;
  return (
    <PasswordForm
      action={text('account.deleteForEver')}
      isDangerous
      onSubmit={(password) =>
        leaveAfter(
          session,
          rest.erase(tokenOf(session), user.userId, password).then(() => noteEndCause('deleted')),
        )
      }
    >
      <p class="notice">{text('account.deleteWarning')}</p>
      <OwnedGroups />
    </PasswordForm>
  );
}

/** Who owns more groups than this is told of these. */
const MOST_GROUPS = 20;

/** Who becomes the owner of each group that has only this one. */
function OwnedGroups() {
  const page = useChatPage();
  const [texts, setTexts] = useState<ReadonlyMap<string, string>>(new Map());
  const owned = allChats(page.snapshot)
    .filter(({ role, isMember }) => role === 'owner' && isMember)
    .slice(0, MOST_GROUPS);
  useEffect(() => {
    let isOver = false;
    for (const chat of owned)
      nextOwnerText(page, chat)
        .catch(() => text('group.leaveUnknownOwnerText'))
        .then((told) => {
          if (!isOver && told) setTexts((before) => new Map(before).set(chat.roomId, told));
        });
    return () => {
      isOver = true;
    };
  }, [owned.map(({ roomId }) => roomId).join()]);
  const shown = owned.filter(({ roomId }) => texts.has(roomId));
  if (shown.length === 0) return null;
  return (
    <ul class="reasons">
      {shown.map((chat) => (
        <li key={chat.roomId}>
          <b>
            <bdi>{chatName(chat)}</bdi>
          </b>
          {': '}
          {texts.get(chat.roomId)}
        </li>
      ))}
    </ul>
  );
}

interface FormProps {
  readonly action: string;
  readonly isDangerous?: boolean;
  /** Asks for a new password too. */
  readonly isNew?: boolean;
  /** May reject with a `ClientError`, which the form shows. */
  readonly onSubmit: (password: string, newPassword: string) => Promise<void>;
  readonly children?: ComponentChildren;
}

/** The texts of an error, each at the field that it is about. */
interface ErrorTexts {
  readonly password?: string;
  readonly newPassword?: string;
  readonly form?: string;
}

function PasswordForm({ action, isDangerous = false, isNew = false, onSubmit, children }: FormProps) {
  const { dialogs } = useChatPage();
  const [error, setError] = useState<ErrorTexts>({});
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    setBusy(true);
    setError({});
    try {
      await onSubmit(String(data.get('password')), String(data.get('new-password')));
    } catch (reason) {
      setError(errorTexts(reason));
      setBusy(false);
    }
  }
  return (
    <form ref={form} class="fields" onSubmit={(event) => void submit(event)}>
      {children}
      <PasswordField
        id="password"
        label={text('account.yourPassword')}
        autocomplete="current-password"
        error={error.password}
      />
      {isNew && (
        <PasswordField
          id="new-password"
          label={text('signIn.newPassword')}
          hint={text('signIn.passwordRule', { min: PASSWORD_CHARACTERS.min })}
          autocomplete="new-password"
          error={error.newPassword}
        />
      )}
      <p class="error" role="alert">
        {error.form}
      </p>
      <div class="sheet-actions">
        <button class="button" type="button" onClick={dialogs.back}>
          {text('dialog.cancel')}
        </button>
        <button class={`button ${isDangerous ? 'danger' : 'primary'}`} type="submit" disabled={isBusy}>
          {action}
        </button>
      </div>
    </form>
  );
}

function errorTexts(reason: unknown): ErrorTexts {
  if (!(reason instanceof ClientError)) return { form: failureText(reason) };
  if (reason.reason === 'wrong_password') return { password: errorText(reason) };
  if (reason.fields.some(({ path }) => path === 'newPassword'))
    return { newPassword: text('signIn.passwordWeak', { min: PASSWORD_CHARACTERS.min }) };
  return { form: failureText(reason) };
}
