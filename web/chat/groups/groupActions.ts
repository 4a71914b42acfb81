import type { ChatView, Store } from '@parley/client';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import type { ChatPageContext } from '../chatContext.js';
import type { MenuItem } from '../Menu.js';
import { fetchMembers, type Member } from './members.js';

interface Acting {
  readonly page: ChatPageContext;
  /** Whether the group has one owner. */
  readonly isOnlyOwner: boolean;
  /** Sends a request, and shows its failure or the members as they are then. */
  readonly run: (request: () => Promise<unknown>) => void;
}

/** What the user may do about a member. Owners change roles; admins remove members and admins. */
export function memberMenu(
  { user, role }: Member,
  chat: ChatView,
  { page, isOnlyOwner, run }: Acting,
): readonly MenuItem[] {
  const { store, dialogs, me } = page;
  const { roomId } = chat;
  const { userId } = user;
  const isMe = userId === me.userId;
  const name = displayName(user);
  const setRole = (label: string, wanted: Member['role']): MenuItem => ({
    label,
    run: () => run(() => store.request('change role', { roomId, userId, role: wanted })),
  });
  const ask = (
    label: string,
    question: { readonly title: string; readonly text: string },
    request: () => Promise<unknown>,
  ): MenuItem => ({
    label,
    isDanger: true,
    run: () => dialogs.open({ name: 'question', question: { ...question, action: label, run: request } }),
  });
  const isOwner = chat.role === 'owner';
  // There is always an owner: who is the only one can only leave.
  if (isMe && isOnlyOwner) return [];
  const canRemove = !isMe && (isOwner || (chat.role === 'admin' && role !== 'owner'));
  return [
    ...(isOwner && role !== 'admin' ? [setRole(text('role.makeAdmin'), 'admin')] : []),
    ...(isOwner && role !== 'member' ? [setRole(text('role.makeMember'), 'member')] : []),
    ...(isOwner && role !== 'owner'
      ? [
          ask(
            text('role.makeOwner'),
            { title: text('role.ownerTitle', { name }), text: text('role.ownerText') },
            () => store.request('change role', { roomId, userId, role: 'owner' }),
          ),
        ]
      : []),
    ...(canRemove
      ? [
          ask(
            text('group.remove'),
            { title: text('group.removeTitle', { name }), text: text('group.removeText') },
            () => store.request('remove member', { roomId, userId }),
          ),
        ]
      : []),
  ];
}

/** Somebody may be added while a group is closed: it looks for others this often. */
const CLOSING_ROUNDS = 5;

/** Removes all others from a group, then leaves it: nobody can read on or come back. */
export async function closeGroup(store: Store, roomId: string, myUserId: string): Promise<void> {
  for (let round = 0; round < CLOSING_ROUNDS; round++) {
    const members = await fetchMembers(store, roomId);
    const others = members.filter(({ user }) => user.userId !== myUserId);
    if (others.length === 0) break;
    for (const { user } of others) await store.request('remove member', { roomId, userId: user.userId });
  }
  await store.request('leave group', { roomId });
}
