import { useEffect, useState } from 'preact/hooks';
import { tokenOf } from '../ui/session.js';
import { text } from '../ui/texts.js';
import { changeAddress } from './backStep.js';
import { type ChatActions, useChatPage } from './chatContext.js';
import { rest } from './device.js';
import { copyText } from './messages/clipboard.js';
import { attempt } from './notices.js';

const PREFIX = '#user=';

/** The address that opens the profile of this user. It works for a new user too: the profile opens after the sign-up. */
const invitationOf = (userId: string): string => `${location.origin}/${PREFIX}${userId}`;

/** Shows the user whose invitation the page was opened with. */
export function useInvitation({ session, dialogs }: ChatActions): void {
  useEffect(() => {
    const open = (): void => {
      if (!location.hash.startsWith(PREFIX)) return;
      const userId = location.hash.slice(PREFIX.length);
      // A reload must not show it again.
      changeAddress(location.pathname + location.search, false);
      if (userId === session.user.userId) return dialogs.open({ name: 'myProfile' });
      const asked = rest.user(tokenOf(session), userId);
      attempt(
        text('chat.profile'),
        asked.then(({ user }) => dialogs.open({ name: 'profile', user })),
      );
    };
    open();
    addEventListener('hashchange', open);
    return () => removeEventListener('hashchange', open);
  }, [session, dialogs]);
}

/** Shares the link to the user's own profile as phones do, or else copies it. */
export function InviteButton() {
  const { me } = useChatPage();
  const [isCopied, setCopied] = useState(false);
  const invite = async (): Promise<void> => {
    const url = invitationOf(me.userId);
    const isPhone = matchMedia('(pointer: coarse)').matches && 'share' in navigator;
    if (isPhone) return navigator.share({ title: 'Parley', url }).catch(ignoreCancel);
    await copyText(url);
    setCopied(true);
  };
  return (
    <div class="invite">
      <button class="button" type="button" onClick={() => attempt(text('invite.action'), invite())}>
        {text('invite.action')}
      </button>
      <p class="hint" role="status">
        {isCopied ? text('invite.copied') : ''}
      </p>
    </div>
  );
}

/** A user who closes the list of applications has not met an error. */
function ignoreCancel(error: unknown): void {
  if (!(error instanceof DOMException && error.name === 'AbortError')) throw error;
}
