import type { ChatView } from '@parley/client';
import { useState } from 'preact/hooks';
import { chatName, displayName } from '../../ui/displayName.js';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { askToLeave } from '../chatActions.js';
import { type ChatPageContext, useChatPage } from '../chatContext.js';
import { MenuButton, type MenuItem } from '../Menu.js';
import { allChats, contains } from '../PeopleSearch.js';
import { hintOf, PersonRow } from '../people/PersonRow.js';
import { useAction } from '../people/useAction.js';
import { GroupAvatar } from './GroupAvatar.js';
import { closeGroup, memberMenu } from './groupActions.js';
import { type Member, useMembers } from './members.js';

/** Fewer than these are seen at once, without a search. */
const SEARCHED_MEMBERS = 12;

/** A group: what it is about, who is in it, and what the user may do in it. */
export function GroupView({ roomId }: { readonly roomId: string }) {
  const page = useChatPage();
  const chat = allChats(page.snapshot).find((one) => one.roomId === roomId);
  if (!chat) return <p class="hint">{text('room.unavailable')}</p>;
  const { about, isMember, role } = chat;
  const { dialogs } = page;
  return (
    <>
      <div class="card">
        <GroupAvatar roomId={roomId} name={chatName(chat)} />
        <p class="big">
          <bdi>{chatName(chat)}</bdi>
        </p>
        <p class="hint">
          {isMember ? text('group.count', { count: chat.members ?? 0 }) : text('reason.not_member')}
        </p>
      </div>
      {about !== undefined && (
        <p class="about" dir="auto">
          {about}
        </p>
      )}
      {isMember ? (
        <>
          <div class="choices">
            {mayAdd(chat) && (
              <button
                class="button"
                type="button"
                onClick={() => dialogs.open({ name: 'addMembers', roomId })}
              >
                {text('group.addMembers')}
              </button>
            )}
            {role !== 'member' && (
              <button
                class="button"
                type="button"
                onClick={() => dialogs.open({ name: 'groupSettings', roomId })}
              >
                {text('group.settings')}
              </button>
            )}
          </div>
          <Members chat={chat} />
          <GroupEnd chat={chat} page={page} />
        </>
      ) : (
        <p class="notice">{text('messages.leftGroup')}</p>
      )}
    </>
  );
}

const mayAdd = ({ whoAdds, role }: ChatView): boolean => whoAdds !== 'admins' || role !== 'member';

function Members({ chat }: { readonly chat: ChatView }) {
  const { members, error, refresh } = useMembers(chat.roomId);
  const action = useAction();
  const [query, setQuery] = useState('');
  const run = (request: () => Promise<unknown>): void => void action.run(request, refresh);
  const isOnlyOwner = members?.filter(({ role }) => role === 'owner').length === 1;
  const shown = members?.filter(({ user }) => contains(query.trim(), user.username, user.displayName));
  return (
    <>
      <h3>{text('group.membersTitle')}</h3>
      <p class="error" role="alert">
        {action.error || error}
      </p>
      {members && members.length >= SEARCHED_MEMBERS && (
        <input
          class="input"
          type="search"
          dir="auto"
          aria-label={text('group.searchMembers')}
          placeholder={text('group.searchMembers')}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
      )}
      {shown ? (
        <ul class="people" aria-label={text('group.membersTitle')}>
          {shown.map((member) => (
            <MemberRow key={member.user.userId} {...{ member, chat, isOnlyOwner }} onRun={run} />
          ))}
        </ul>
      ) : (
        error === '' && <p class="hint">{text('list.loading')}</p>
      )}
    </>
  );
}

interface MemberRowProps {
  readonly member: Member;
  readonly chat: ChatView;
  readonly isOnlyOwner: boolean;
  readonly onRun: (request: () => Promise<unknown>) => void;
}

function MemberRow({ member, chat, isOnlyOwner, onRun }: MemberRowProps) {
  const page = useChatPage();
  const { user, role } = member;
  const isMe = user.userId === page.me.userId;
  const name = displayName(user);
  const items: readonly MenuItem[] = memberMenu(member, chat, { page, isOnlyOwner, run: onRun });
  return (
    <PersonRow
      user={user}
      label={text('group.memberProfile', { name, role: text(`role.${role}`) })}
      hint={isMe ? text('group.you') : hintOf(user)}
      onPress={() => page.dialogs.open(isMe ? { name: 'myProfile' } : { name: 'profile', user })}
    >
      {role !== 'member' && <span class="tag">{text(`role.${role}`)}</span>}
      {items.length > 0 && (
        <MenuButton label={text('group.memberMenu', { name })} items={() => items}>
          <Icon name="more" />
        </MenuButton>
      )}
    </PersonRow>
  );
}

/** What ends the group for the user, or for all. */
function GroupEnd({ chat, page }: { readonly chat: ChatView; readonly page: ChatPageContext }) {
  const { roomId, role } = chat;
  const { dialogs, store, me } = page;
  const name = chatName(chat);
  const askToClose = (): void =>
    dialogs.open({
      name: 'question',
      question: {
        title: text('group.closeTitle', { name }),
        text: text('group.closeText'),
        action: text('group.close'),
        run: () => closeGroup(store, roomId, me.userId),
        onDone: dialogs.close,
      },
    });
  return (
    <div class="choices">
      <button
        class="button danger"
        type="button"
        onClick={() => dialogs.open({ name: 'report', about: { roomId }, who: name })}
      >
        {text('report.action')}
      </button>
      <button class="button danger" type="button" onClick={() => void askToLeave(page, chat)}>
        {text('group.leave')}
      </button>
      {role === 'owner' && (
        <button class="button danger" type="button" onClick={askToClose}>
          {text('group.close')}
        </button>
      )}
    </div>
  );
}
