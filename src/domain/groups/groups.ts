import { z } from 'zod';
import { conflict, forbidden, notFound, type ParleyError, unauthenticated } from '../../base/errors.js';
import { clientCommand, completedCommand, type Decision, type Facts } from '../defineCommand.js';
import type { NewEventOf, Topic } from '../defineEvent.js';
import { GroupId, Id, label, note, Revision } from '../fields.js';
import type { RoomId, UserId } from '../ids.js';
import { ABOUT_CODE_POINTS, ADDED_MEMBERS, GROUP_NAME_CODE_POINTS, USER_GROUPS } from '../limits.js';
import {
  changed,
  isGroup,
  isRoomAdmin,
  type Room,
  type RoomState,
  roomOfMember,
  roomStream,
  unchanged,
} from '../streams.js';
import { Chat } from '../userMessageChat.js';
import {
  GroupChanged,
  GroupCreated,
  groupNote,
  MemberJoined,
  MemberLeft,
  MemberRoleChanged,
} from './groupEvents.js';
import type { GroupRole } from './groupMembers.js';
import {
  checksumOf,
  type Group,
  type GroupSettings,
  type GroupTexts,
  membersOf,
  SomeSettings,
  settingsIn,
} from './groupState.js';

export const topic: Topic = 'groups';

/** Groups: rooms with an owner, whose members come and go. */
const REFUSALS = ['not_taken', 'not_found', 'too_many_groups'] as const;
const Refusal = z.strictObject({ userId: z.string(), reason: z.enum(REFUSALS) });
type Refusal = z.infer<typeof Refusal>;
export const GroupName = label(GROUP_NAME_CODE_POINTS);
/** The empty text removes it. */
export const GroupAbout = note(ABOUT_CODE_POINTS);
export const DEFAULT_SETTINGS: GroupSettings = { history: 'joined', whoAdds: 'members', whoSends: 'members' };
interface Created {
  readonly roomId: RoomId;
  readonly refused: Refusal[];
}

export const createGroup = completedCommand('create group', roomStream, {
  data: {
    roomId: GroupId,
    name: GroupName,
    memberIds: z.array(Id).max(ADDED_MEMBERS),
    about: GroupAbout.exactOptional(),
    ...SomeSettings,
  },
  answer: z.strictObject({ room: Chat, refused: z.array(Refusal), revision: Revision }),
  note: 'I choose `roomId`. A repeat with the same body is answered again; with another body it is a `conflict`. I am the owner. `refused` lists the users who were not added.',
  streamId: ({ roomId }) => roomId,
  wants: ({ actor, memberIds, roomId }) => ({
    users: [actor],
    invited: { by: actor, users: memberIds },
    groupsOf: [actor, ...memberIds],
    groupKeys: [roomId],
  }),
  text: 'name',
  decide(command, state, facts): Decision<Created> {
    const { actor, roomId, memberIds } = command;
    if (!facts.exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (state.exists) return decideRepeat(command, state, facts);
    if (facts.groupsOf(actor) >= USER_GROUPS) return { refused: tooManyGroups() };
    const { taken, refused } = invite(facts, new Set(memberIds.filter((user) => user !== actor)));
    if (taken.length + 1 > facts.limits.groupSize) return { refused: groupFull(facts) };
    const chosen = { ...DEFAULT_SETTINGS, ...settingsIn(command) };
    const texts = command.about ? { name: command.name, about: command.about } : { name: command.name };
    const created = GroupCreated.of(roomId, {
      roomId,
      ...texts,
      settings: chosen,
      named: checksumOf(memberIds),
    });
    const joined = joinAll(roomId, [actor, ...taken], {
      by: actor,
      from: 1,
      at: 0,
      roleOf: (user) => (user === actor ? 'owner' : 'member'),
    });
    return { events: [created, ...joined], answer: { roomId, refused } };
  },
});

type Creating = Parameters<typeof createGroup.decide>[0];

/** The same id again: a repeat, or another group. Without its key the texts cannot be compared any more. */
function decideRepeat(command: Creating, state: Group | Room, facts: Facts): Decision<Created> {
  const { actor, roomId, memberIds } = command;
  const taken = { refused: conflict(`room ${roomId} exists with another body or creator`) };
  if (!isGroup(state) || state.created.by !== actor) return taken;
  const { created } = state;
  const chosen = { ...DEFAULT_SETTINGS, ...settingsIn(command) };
  const isSame =
    created.named === checksumOf(memberIds) &&
    created.settings.history === chosen.history &&
    created.settings.whoAdds === chosen.whoAdds &&
    created.settings.whoSends === chosen.whoSends &&
    areTexts(roomId, created, command, facts);
  if (!isSame) return taken;
  const members = membersOf(state);
  const never = memberIds.filter((user) => user !== actor && !members.get(user));
  return { events: [], answer: { roomId, refused: invite(facts, never).all } };
}

/** Whether these are the sealed texts; true if destroyed. */
function areTexts(
  roomId: RoomId,
  sealed: GroupTexts,
  { name, about = '' }: { readonly name: string; readonly about?: string | undefined },
  facts: Facts,
): boolean {
  if (facts.isText(groupNote(roomId, 'name', sealed.name), name) === false) return false;
  if (sealed.about === undefined) return about === '';
  return facts.isText(groupNote(roomId, 'about', sealed.about), about) !== false;
}

export const tooManyGroups = (): ParleyError =>
  forbidden(`you are in ${USER_GROUPS} groups`, 'too_many_groups');
export const groupFull = ({ limits: { groupSize } }: Facts): ParleyError =>
  forbidden(`a group has at most ${groupSize} members`, 'group_full');

/** Who of these can be added by the actor, and why the others cannot. `all`: as if none could. */
function invite(facts: Facts, users: Iterable<UserId>) {
  const taken: UserId[] = [];
  const refused: Refusal[] = [];
  for (const userId of users) {
    const reason = facts.invitation(userId);
    if (reason !== 'taken') refused.push({ userId, reason });
    else if (facts.groupsOf(userId) >= USER_GROUPS) refused.push({ userId, reason: 'too_many_groups' });
    else taken.push(userId);
  }
  const all = [...refused, ...taken.map((userId) => ({ userId, reason: 'not_taken' as const }))];
  return { taken, refused, all };
}

interface Joining {
  readonly by: UserId;
  readonly from: number;
  readonly at: number;
  readonly roleOf: (user: UserId) => GroupRole;
}

export const joinAll = (roomId: RoomId, users: readonly UserId[], { roleOf, ...joining }: Joining) =>
  users.map((userId, place) =>
    MemberJoined.of(roomId, { roomId, userId, role: roleOf(userId), ...joining, place }),
  );

export const changeGroup = completedCommand('change group', roomStream, {
  data: { roomId: Id, name: GroupName.exactOptional(), about: GroupAbout.exactOptional(), ...SomeSettings },
  answer: z.strictObject({ room: Chat, revision: Revision }),
  note: 'For admins. A new `history` applies to members who join later. An empty `about` removes it.',
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, name, about }) =>
    name === undefined && about === undefined ? {} : { groupKeys: [roomId] },
  decide(command, state, facts) {
    const found = adminGroup(state, command);
    if ('refused' in found) return found;
    const events = changeTo(found.group, command, facts);
    return events.length === 0 ? unchanged : changed(...events);
  },
});

interface GroupChange extends Partial<GroupSettings> {
  readonly name?: string;
  readonly about?: string;
}

/** The event by which a group gets these texts and settings; none if it has them. */
export function changeTo(group: Group, change: GroupChange, facts: Facts): NewEventOf<string, object>[] {
  const { name, about } = change;
  const { roomId, texts } = group;
  const isName = name === undefined || facts.isText(groupNote(roomId, 'name', texts.name), name);
  const isAbout =
    about === undefined ||
    (texts.about === undefined ? about === '' : facts.isText(groupNote(roomId, 'about', texts.about), about));
  const changes = {
    ...changedSettings(group.settings, change),
    ...(isName ? {} : { name }),
    ...(isAbout ? {} : { about: about === '' ? null : about }),
  };
  if (Object.keys(changes).length === 0) return [];
  return [GroupChanged.of(roomId, { roomId, at: group.lastSeq, ...changes })];
}

/** The settings that a command changes. */
function changedSettings(before: GroupSettings, command: Partial<GroupSettings>): Partial<GroupSettings> {
  const { history, whoAdds, whoSends } = { ...before, ...settingsIn(command) };
  return {
    ...(history === before.history ? {} : { history }),
    ...(whoAdds === before.whoAdds ? {} : { whoAdds }),
    ...(whoSends === before.whoSends ? {} : { whoSends }),
  };
}

type InGroup = { readonly actor: UserId; readonly roomId: RoomId };
type Found = { readonly group: Group } | { readonly refused: ParleyError };

/** The group of a member. For all others there is none, and a private room is no group. */
export function groupOf(state: RoomState, command: InGroup): Found {
  const found = roomOfMember(state, command);
  if ('refused' in found) return found;
  if (found.room.roomType === 'PRIVATE') return { refused: notFound(`there is no group ${command.roomId}`) };
  return { group: found.room };
}

export const forAdmins = (): ParleyError => forbidden('only admins of the group can do this', 'admins_only');
export const forOwners = (): ParleyError => forbidden('only owners of the group can do this', 'owners_only');

function adminGroup(state: RoomState, command: InGroup): Found {
  const found = groupOf(state, command);
  if ('refused' in found || isRoomAdmin(found.group, command.actor)) return found;
  return { refused: forAdmins() };
}

interface Added {
  readonly added: UserId[];
  readonly refused: Refusal[];
}

export const addMembers = clientCommand('add members', roomStream, {
  data: { roomId: Id, userIds: z.array(Id).min(1).max(ADDED_MEMBERS) },
  answer: z.strictObject({ added: z.array(z.string()), refused: z.array(Refusal), revision: Revision }),
  note: 'For members or admins, depending on `whoAdds`. Users who are members already are in neither list.',
  streamId: ({ roomId }) => roomId,
  wants: ({ actor, userIds }) => ({ invited: { by: actor, users: userIds }, groupsOf: userIds }),
  decide(command, state, facts): Decision<Added> {
    const found = groupOf(state, command);
    if ('refused' in found) return found;
    const { actor, roomId, userIds } = command;
    const { settings, lastSeq } = found.group;
    const members = membersOf(found.group);
    if (settings.whoAdds === 'admins' && !isRoomAdmin(found.group, actor)) return { refused: forAdmins() };
    const others = [...new Set(userIds)].filter((user) => members.roleOf(user) === undefined);
    const { taken, refused } = invite(facts, others);
    if (taken.length > 0 && members.count + taken.length > facts.limits.groupSize)
      return { refused: groupFull(facts) };
    const from = settings.history === 'all' ? 1 : lastSeq + 1;
    const joining: Joining = { by: actor, from, at: lastSeq, roleOf: () => 'member' };
    return { events: joinAll(roomId, taken, joining), answer: { added: taken, refused } };
  },
  reply: (_, { added, refused }, revision) => ({ added, refused, revision }),
});

/** The events by which a member leaves. If there would be no owner, the oldest admin, else the oldest member, is next. */
export function leave(group: Group, userId: UserId, by: UserId): NewEventOf<string, object>[] {
  const members = membersOf(group);
  const { roomId, lastSeq } = group;
  const left = { roomId, userId, by, upTo: lastSeq };
  if (members.count === 1) return [MemberLeft.of(roomId, { ...left, last: true })];
  const events: NewEventOf<string, object>[] = [];
  if (members.roleOf(userId) === 'owner' && members.owners === 1) {
    const next = members.oldest('admin', userId) ?? members.oldest('member', userId);
    if (next !== undefined)
      events.push(
        MemberRoleChanged.of(roomId, {
          ...{ roomId, by, at: lastSeq, userId: next, role: 'owner' },
          inherited: true,
        }),
      );
  }
  return [...events, MemberLeft.of(roomId, left)];
}

export const isOnlyOwner = (group: Group, user: UserId): boolean =>
  membersOf(group).owners === 1 && membersOf(group).roleOf(user) === 'owner';
export const lastOwner = (): ParleyError => conflict('a group always has an owner', 'last_owner');

export const leaveGroup = clientCommand('leave group', roomStream, {
  data: { roomId: Id },
  answer: z.strictObject({ revision: Revision }),
  note: 'I keep the messages of my windows. If I am the only owner, the oldest admin becomes an owner, else the oldest member.',
  streamId: ({ roomId }) => roomId,
  decide(command, state) {
    const { actor } = command;
    if (isGroup(state) && membersOf(state).get(actor)?.role === undefined && membersOf(state).get(actor))
      return unchanged;
    const found = groupOf(state, command);
    return 'refused' in found ? found : changed(...leave(found.group, actor, actor));
  },
  reply: (_, __, revision) => ({ revision }),
});
