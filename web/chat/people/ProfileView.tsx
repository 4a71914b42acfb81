import type { User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { formatClock, formatDay } from '../../ui/format.js';
import { Avatar } from '../../ui/icons.js';
import { tokenOf } from '../../ui/session.js';
import { text } from '../../ui/texts.js';
import { addFriend, askToBlock, unblock } from '../chatActions.js';
import { type ChatPageContext, useChatPage } from '../chatContext.js';
import { rest } from '../device.js';
import { allChats } from '../PeopleSearch.js';
import { UserName } from './PersonRow.js';
import { useAction } from './useAction.js';

/** The profile of somebody else, and what can be done about them. */
export function ProfileView({ user: given }: { readonly user: User }) {
  const page = useChatPage();
  const user = useFresh(given);
  const { about } = user;
  return (
    <>
      <PersonCard user={user} />
      {about !== undefined && (
        <>
          <h3>{text('profile.about')}</h3>
          <p class="about" dir="auto">
            {about}
          </p>
        </>
      )}
      {user.userId !== page.me.userId && !user.erased && <ProfileActions user={user} />}
    </>
  );
}

/** The picture, names and status of a user, and whether they are online. */
function PersonCard({ user }: { readonly user: User }) {
  const { snapshot, isLost } = useChatPage();
  const { username, status, bot, suspended } = user;
  const chat = allChats(snapshot).find(({ other }) => other?.userId === user.userId);
  const presence = isLost ? undefined : chat?.presence;
  return (
    <div class="card">
      <Avatar user={user} />
      <p class="big">
        <bdi>{displayName(user)}</bdi>
      </p>
      {username !== null && user.displayName !== undefined && <UserName name={username} />}
      {bot && <p class="tag">{text('profile.bot')}</p>}
      {suspended && <p class="tag">{text('profile.suspended')}</p>}
      {status !== undefined && (
        <p>
          <bdi>{status}</bdi>
        </p>
      )}
      {presence?.state === 'online' && <p class="hint">{text('presence.online')}</p>}
      {presence?.state === 'offline' && (
        <p class="hint">
          {text('presence.lastSeen', {
            day: formatDay(presence.lastSeen),
            clock: formatClock(presence.lastSeen),
          })}
        </p>
      )}
    </div>
  );
}

/** The user as the store or the server knows them now: changes of profiles are pushed to some only. */
function useFresh(given: User): User {
  const { snapshot, session } = useChatPage();
  const [fetched, setFetched] = useState<User>();
  useEffect(() => {
    let isOver = false;
    rest.user(tokenOf(session), given.userId).then(
      ({ user }) => {
        if (!isOver) setFetched(user);
      },
      // What is known is shown.
      () => {},
    );
    return () => {
      isOver = true;
    };
  }, [given.userId, session]);
  const known = allChats(snapshot).flatMap(({ other }) => other ?? []);
  const pushed = [...snapshot.friends, ...known].find(({ userId }) => userId === given.userId);
  return pushed ?? fetched ?? given;
}

function ProfileActions({ user }: { readonly user: User }) {
  const page = useChatPage();
  const { store, snapshot, dialogs } = page;
  const { run, error } = useAction();
  const { userId } = user;
  const name = displayName(user);
  const isIn = (users: readonly User[]): boolean => users.some((one) => one.userId === userId);
  const isBlocked = isIn(snapshot.blocked);
  const button = (label: string, onClick: () => void, more = '') => (
    <button class={`button ${more}`} type="button" onClick={onClick}>
      {label}
    </button>
  );
  return (
    <>
      <p class="error" role="alert">
        {error}
      </p>
      <div class="choices">
        {!isBlocked &&
          button(
            text('profile.message'),
            () => void run(() => openChat(page, user), dialogs.close),
            'primary',
          )}
        {!isBlocked &&
          (isIn(snapshot.friends)
            ? button(text('friends.remove'), () => askToPart(page, user))
            : button(text('friends.add'), () => void run(() => addFriend(page, user))))}
        {isBlocked
          ? button(text('block.undo'), () => void run(() => unblock(store, userId)))
          : button(text('block.action'), () => askToBlock(page, userId, name), 'danger')}
        {button(
          text('report.action'),
          () => dialogs.open({ name: 'report', about: { userId }, who: name }),
          'danger',
        )}
      </div>
    </>
  );
}

async function openChat({ store, snapshot, openRoom }: ChatPageContext, { userId }: User): Promise<void> {
  const known = allChats(snapshot).find(({ other }) => other?.userId === userId);
  openRoom((known ?? (await store.openChat(userId))).roomId);
}

function askToPart({ store, dialogs }: ChatPageContext, user: User): void {
  dialogs.open({
    name: 'question',
    question: {
      title: text('friends.removeTitle', { name: displayName(user) }),
      text: text('friends.removeText'),
      action: text('friends.remove'),
      run: () => store.request('remove friend', { friendId: user.userId }),
    },
  });
}
