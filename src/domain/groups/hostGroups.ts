import { z } from 'zod';
import { badRequest, conflict, forbidden, notFound, type ParleyError } from '../../base/errors.js';
import { command, type Decision, type Facts } from '../defineCommand.js';
import type { NewEventOf, Topic } from '../defineEvent.js';
import type { UserId } from '../ids.js';
import { USER_GROUPS } from '../limits.js';
import { changed, isGroup, roomStream, unchanged } from '../streams.js';
import { GroupCreated, MemberRoleChanged } from './groupEvents.js';
import type { GroupRole } from './groupMembers.js';
import { checksumOf, type Group, membersOf, RoleName, SomeSettings, settingsIn } from './groupState.js';
import { changeTo, DEFAULT_SETTINGS, groupFull, isOnlyOwner, joinAll, lastOwner, leave } from './groups.js';
import { noMember } from './members.js';

/**
 * Groups as the host application makes them. It says what shall be so: a repeat changes nothing. It is no member, so that
 * neither rights nor blocks of members hold for it; limits do.
 */

export const topic: Topic = 'groups';

const HOST = 'system';

interface Wish {
  readonly userId: UserId;
  readonly role?: GroupRole | undefined;
}

type Refused = { readonly refused: ParleyError };

/**
 * Makes the group, or gives it these texts, settings, members and roles. Members who are not named stay. Without a name
 * the group must exist. A new group without an owner gets its first admin as owner, else its first member.
 */
export const putGroup = command('put group', roomStream, {
  fields: {
    roomId: z.string(),
    name: z.string().exactOptional(),
    about: z.string().exactOptional(),
    ...SomeSettings,
    members: z.array(z.object({ userId: z.string(), role: RoleName.exactOptional() })).readonly(),
  },
  actor: 'system',
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, name, about, members }) => {
    const users = members.map(({ userId }) => userId);
    const seals = name !== undefined || about !== undefined;
    return { users, groupsOf: users, ...(seals ? { groupKeys: [roomId] } : {}) };
  },
  text: 'name',
  decide(command, state, facts): Decision<{ readonly isNew: boolean }> {
    const { roomId, name, members } = command;
    const unknown = members.find(({ userId }) => !facts.exists(userId));
    if (unknown) return { refused: notFound(`there is no user ${unknown.userId}`) };
    if (isGroup(state)) {
      const events = changesOf(state, command, facts);
      return 'refused' in events ? events : { events, answer: { isNew: false } };
    }
    if (state.exists || name === undefined) return { refused: notFound(`there is no group ${roomId}`) };
    const events = creationOf({ ...command, name }, facts);
    return 'refused' in events ? events : { events, answer: { isNew: true } };
  },
});

type PutGroup = Parameters<typeof putGroup.decide>[0];

function creationOf(
  command: PutGroup & { readonly name: string },
  facts: Facts,
): readonly NewEventOf<string, object>[] | Refused {
  const { roomId, name, about } = command;
  const roles = new Map(command.members.map(({ userId, role = 'member' }) => [userId, role]));
  const users = [...roles.keys()];
  const refused = refusalToJoin(users, 0, facts);
  if (refused) return { refused };
  const withRole = (wanted: GroupRole) => users.find((user) => roles.get(user) === wanted);
  const owner = withRole('owner') ?? withRole('admin') ?? users[0];
  if (owner === undefined) {
    const message = 'must name at least one member';
    return { refused: badRequest(`members ${message}`, [{ path: 'members', message }]) };
  }
  roles.set(owner, 'owner');
  const settings = { ...DEFAULT_SETTINGS, ...settingsIn(command) };
  const texts = about ? { name, about } : { name };
  const created = GroupCreated.of(roomId, { roomId, ...texts, settings, named: checksumOf(users) });
  const roleOf = (user: UserId): GroupRole => roles.get(user) ?? 'member';
  return [created, ...joinAll(roomId, users, { by: HOST, from: 1, at: 0, roleOf })];
}

/** Why these cannot join a group that has `count` members. */
function refusalToJoin(users: readonly UserId[], count: number, facts: Facts): ParleyError | undefined {
  if (users.length > 0 && count + users.length > facts.limits.groupSize) return groupFull(facts);
  const full = users.find((user) => facts.groupsOf(user) >= USER_GROUPS);
  return full === undefined
    ? undefined
    : forbidden(`user ${full} is in ${USER_GROUPS} groups`, 'too_many_groups');
}

/** The events by which a group becomes what the command says. */
function changesOf(
  group: Group,
  command: PutGroup,
  facts: Facts,
): readonly NewEventOf<string, object>[] | Refused {
  const { roomId, lastSeq, settings } = group;
  const present = membersOf(group);
  if (present.count === 0) return { refused: conflict('the last member has left this group', 'gone') };
  const wishes = new Map(command.members.map((member) => [member.userId, member]));
  const joining = [...wishes.keys()].filter((user) => present.roleOf(user) === undefined);
  const refused = refusalToJoin(joining, present.count, facts);
  if (refused) return { refused };
  const turned = [...wishes.values()].filter(isChange(group));
  if (!hasOwner(group, wishes)) return { refused: lastOwner() };
  // Promoted before others are demoted, so that there is an owner at each place in the log.
  turned.sort((a, b) => Number(b.role === 'owner') - Number(a.role === 'owner'));
  return [
    ...changeTo(group, command, facts),
    ...joinAll(roomId, joining, {
      ...{ by: HOST, at: lastSeq },
      from: settings.history === 'all' ? 1 : lastSeq + 1,
      roleOf: (user) => wishes.get(user)?.role ?? 'member',
    }),
    ...turned.map(({ userId, role }) =>
      MemberRoleChanged.of(roomId, { roomId, by: HOST, at: lastSeq, userId, role }),
    ),
  ];
}

type RoleWish = Wish & { readonly role: GroupRole };

/** Whether a member is to have another role. */
const isChange =
  (group: Group) =>
  (wish: Wish): wish is RoleWish => {
    const before = membersOf(group).roleOf(wish.userId);
    return before !== undefined && wish.role !== undefined && wish.role !== before;
  };

/** Whether there is an owner once all have the roles that are wished. */
function hasOwner(group: Group, wishes: ReadonlyMap<UserId, Wish>): boolean {
  const roles = [...wishes.values()];
  if (roles.some(({ role }) => role === 'owner')) return true;
  const members = membersOf(group);
  const demoted = roles.filter(
    ({ userId, role }) => role !== undefined && members.roleOf(userId) === 'owner',
  );
  return members.owners > demoted.length;
}

/** Takes a member out of a group. `conflict` with `last_owner` for its only owner. */
export const dropMember = command('drop member', roomStream, {
  fields: { roomId: z.string(), userId: z.string() },
  actor: 'system',
  streamId: ({ roomId }) => roomId,
  decide({ roomId, userId }, state) {
    if (!isGroup(state)) return { refused: notFound(`there is no group ${roomId}`) };
    const member = membersOf(state).get(userId);
    if (!member) return { refused: noMember(userId) };
    if (member.role === undefined) return unchanged;
    return isOnlyOwner(state, userId) ? { refused: lastOwner() } : changed(...leave(state, userId, HOST));
  },
});
