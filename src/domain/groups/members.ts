import { z } from 'zod';
import { forbidden, notFound, type ParleyError } from '../../base/errors.js';
import { clientCommand, request } from '../defineCommand.js';
import type { Topic } from '../defineEvent.js';
import { Id, Limit, Revision, Seq } from '../fields.js';
import type { UserId } from '../ids.js';
import { changed, roomStream, unchanged } from '../streams.js';
import { User } from '../userMessageChat.js';
import { MemberRoleChanged } from './groupEvents.js';
import { isAdminRole, membersOf, RoleName } from './groupState.js';
import { forAdmins, forOwners, groupOf, isOnlyOwner, lastOwner, leave } from './groups.js';

/** The members of a group: who removes them, their roles, and the lists of them. */

export const topic: Topic = 'groups';

export const noMember = (userId: UserId): ParleyError => notFound(`the group has no member ${userId}`);

export const removeMember = clientCommand('remove member', roomStream, {
  data: { roomId: Id, userId: Id },
  answer: z.strictObject({ revision: Revision }),
  note: 'For admins. Only another owner can remove an owner.',
  streamId: ({ roomId }) => roomId,
  decide(command, state) {
    const found = groupOf(state, command);
    if ('refused' in found) return found;
    const { actor, userId } = command;
    const { group } = found;
    if (isOnlyOwner(group, userId)) return { refused: lastOwner() };
    const members = membersOf(group);
    const mine = members.roleOf(actor);
    if (!isAdminRole(mine)) return { refused: forAdmins() };
    const member = members.get(userId);
    if (!member) return { refused: noMember(userId) };
    if (member.role === undefined) return unchanged;
    if (member.role === 'owner' && mine !== 'owner')
      return { refused: forbidden('only another owner can remove an owner', 'owners_only') };
    return changed(...leave(group, userId, actor));
  },
  reply: (_, __, revision) => ({ revision }),
});

export const changeRole = clientCommand('change role', roomStream, {
  data: { roomId: Id, userId: Id, role: RoleName },
  answer: z.strictObject({ revision: Revision }),
  note: 'For owners. The role of the only owner cannot change.',
  streamId: ({ roomId }) => roomId,
  decide(command, state) {
    const found = groupOf(state, command);
    if ('refused' in found) return found;
    const { actor, roomId, userId, role } = command;
    const { group } = found;
    const members = membersOf(group);
    if (role !== 'owner' && isOnlyOwner(group, userId)) return { refused: lastOwner() };
    const mine = members.roleOf(actor);
    if (mine !== 'owner') return { refused: mine === 'admin' ? forOwners() : forAdmins() };
    const before = members.roleOf(userId);
    if (before === undefined) return { refused: noMember(userId) };
    if (before === role) return unchanged;
    return changed(MemberRoleChanged.of(roomId, { roomId, by: actor, at: group.lastSeq, userId, role }));
  },
  reply: (_, __, revision) => ({ revision }),
});

const page = {
  roomId: Id,
  limit: Limit,
  next: z.string().min(1).max(256).exactOptional(),
  revision: Revision.exactOptional(),
};

export const getMembers = request('get members', {
  data: z.strictObject(page),
  answer: z.strictObject({
    members: z.array(z.strictObject({ user: User, role: RoleName, since: z.string() })),
    next: z.string().exactOptional(),
  }),
  note: 'For members; the oldest member is first. `since` is the time of joining. Send the `next` of the answer to get the next page; the last page has none.',
});

export const getReaders = request('get readers', {
  data: z.strictObject({ ...page, seq: Seq.min(1) }),
  answer: z.strictObject({
    readers: z.array(z.strictObject({ userId: z.string(), upTo: z.int().min(0) })),
    next: z.string().exactOptional(),
  }),
  note: 'The members who could see this message and whose mark has reached it, its sender included.',
});
