import { ClientError } from '@parley/client';
import { useState } from 'preact/hooks';
import { downloadFile } from '../../ui/browser.js';
import { LanguageSelect } from '../../ui/LanguageSelect.js';
import { signOutOfServer } from '../../ui/renewal.js';
import { type Session, tokenOf } from '../../ui/session.js';
import { text } from '../../ui/texts.js';
import { ThemeSelect } from '../../ui/theme.js';
import { AlertSettings } from '../alerts/AlertSettings.js';
import { type Dialogs, useChatPage } from '../chatContext.js';
import { countUnsent, rest } from '../device.js';
import { countDrafts } from '../messages/drafts.js';
import { tell } from '../notices.js';
import { leaveAfter } from './passwordViews.js';
import { RoleLinks } from './RoleLinks.js';

/** Settings, sign-out, and what a user can do with their account. */
export function AccountView() {
  const { session, dialogs, store } = useChatPage();
  const [status, setStatus] = useState('');
  const button = (label: string, onClick: () => void, more = '') => (
    <button class={`button ${more}`} type="button" onClick={onClick}>
      {label}
    </button>
  );
  const opens = (label: string, name: AccountPart, more = '') =>
    button(label, () => dialogs.open({ name }), `opens ${more}`);
  return (
    <>
      <p role="status" class="hint">
        {status}
      </p>
      <div class="choices settings">
        {opens(text('profile.mine'), 'myProfile')}
        {opens(text('privacy.title'), 'privacy')}
        {opens(text('blocked.title'), 'blocked')}
        <LanguageSelect />
        <ThemeSelect />
        <AlertSettings />
        <RoleLinks session={session} />
        {opens(text('account.changePassword'), 'changePassword', 'apart')}
        {button(text('account.endOthers'), () => askToEndOthers(session, dialogs))}
        {button(text('account.download'), () => void downloadMyData(session).then(setStatus))}
        {button(text('account.signOut'), () => void signOut(session, dialogs, store.get().refused))}
        {opens(text('account.delete'), 'deleteAccount', 'danger')}
      </div>
    </>
  );
}

const leave = (session: Session): Promise<void> => leaveAfter(session, signOutOfServer(rest, session));

/**
 * Signs out of this browser. It asks first if that loses something that the user has written.
 *
 * @param refused how many messages the server has refused, which stand in their rooms
 */
async function signOut(session: Session, dialogs: Dialogs, refused: number): Promise<void> {
  const unsent = (await countUnsent()) + refused;
  const drafts = countDrafts(session.user.userId);
  if (unsent + drafts === 0) return leave(session);
  const lost = [
    unsent > 0 && text('account.unsent', { count: unsent }),
    drafts > 0 && text('account.drafts', { count: drafts }),
    text('account.signOutLoses'),
  ];
  dialogs.open({
    name: 'question',
    question: {
      title: text('account.signOutTitle'),
      text: lost.filter((sentence) => sentence !== false).join(' '),
      action: text('account.signOutAnyway'),
      run: () => leave(session),
      // The page ends.
      onDone: () => {},
    },
  });
}

/** Asks whether to end the user's sessions on all other devices. */
const askToEndOthers = (session: Session, dialogs: Dialogs): void =>
  dialogs.open({
    name: 'question',
    question: {
      title: text('account.endOthers'),
      text: text('account.endOthersText'),
      action: text('account.endOthers'),
      run: () => rest.signOut(tokenOf(session), { everywhere: 'others' }),
      onDone() {
        dialogs.close();
        tell({ kind: 'told', text: text('account.endedOthers') });
      },
    },
  });

type AccountPart = 'myProfile' | 'privacy' | 'blocked' | 'changePassword' | 'deleteAccount';

/** Downloads all data that the server has about the user; resolves with a text for the user. */
async function downloadMyData(session: Session): Promise<string> {
  const { user } = session;
  try {
    const response = await fetch(`/user/${user.userId}/export`, {
      headers: { authorization: `Bearer ${tokenOf(session)}` },
    });
    if (!response.ok) throw new ClientError({ code: 'internal', message: `HTTP ${response.status}` });
    downloadFile(`parley-${user.username}.jsonl`, await response.blob());
    return text('account.downloaded');
  } catch {
    return text('account.downloadFailed');
  }
}
