import { z } from 'zod';
import { openedChatPush } from '../chats.js';
import { request } from '../defineCommand.js';
import {
  event,
  push,
  type RecordedOf,
  type SealedField,
  type SealedNote,
  type Topic,
} from '../defineEvent.js';
import { Id, Limit, Revision, Seq, Time } from '../fields.js';
import { groupKeyOwner, type RoomId } from '../ids.js';
import { inGroup, type RoomState, roomStream } from '../streams.js';
import { User } from '../userMessageChat.js';
import { GroupMembers } from './groupMembers.js';
import {
  type Group,
  GroupSettings,
  type GroupTexts,
  RoleName,
  SomeSettings,
  settingsIn,
} from './groupState.js';

/**
 * What happens in a group besides messages and marks. No event lists the members. `at` is the `seq` behind which
 * something happened. Every change of an owner is an event of its own, so that no fold looks at all members.
 */

export const topic: Topic = 'groups';

const at = z.int().min(0);
const inherited = z.literal(true).exactOptional();
const change = { roomId: z.string(), by: z.string(), at };

export const changeGroupPush = push('change group', {
  isStored: true,
  data: z.strictObject({
    ...change,
    name: z.string().nullable().exactOptional(),
    about: z.string().nullable().exactOptional(),
    ...SomeSettings,
  }),
  note: 'The name, the text or the settings of a group have changed. A removed text is null.',
});

export const addMemberPush = push('add member', {
  isStored: true,
  data: z.strictObject({ ...change, user: User, role: RoleName }),
  note: 'A user has joined a group of mine. The new member gets `init chat` instead.',
});

export const removeMemberPush = push('remove member', {
  isStored: true,
  data: z.strictObject({ ...change, userId: z.string() }),
  note: 'A member has left a group of mine, or was removed by the user `by`.',
});

export const changeRolePush = push('change role', {
  isStored: true,
  data: z.strictObject({ ...change, userId: z.string(), role: RoleName, inherited }),
  note: 'A member of a group of mine has another role. `inherited`: nobody chose this member; the last owner is leaving.',
});

const happened = { at, by: z.string(), time: Time };

/** An event of this file as members see it later. Each kind is a type of its own in the documents. */
const happening = <K extends string, Z extends z.ZodRawShape>(kind: K, id: string, fields: Z) =>
  z.strictObject({ kind: z.literal(kind), ...happened, ...fields }).meta({ id });

const text = z.string().nullable();

export const Happening = z
  .discriminatedUnion('kind', [
    happening('created', 'CreatedHappening', {
      name: text,
      about: text.exactOptional(),
      ...GroupSettings.shape,
    }),
    happening('changed', 'ChangedHappening', {
      ...{ name: text.exactOptional(), about: text.exactOptional() },
      ...SomeSettings,
    }),
    happening('joined', 'JoinedHappening', { userId: z.string(), role: RoleName }),
    happening('left', 'LeftHappening', { userId: z.string() }),
    happening('role', 'RoleHappening', { userId: z.string(), role: RoleName, inherited }),
  ])
  .meta({ id: 'Happening' });
export type Happening = z.infer<typeof Happening>;

export const getHappenings = request('get happenings', {
  data: z.strictObject({
    roomId: Id,
    after: Seq.exactOptional(),
    before: Seq.exactOptional(),
    limit: Limit,
    next: z.string().min(1).max(256).exactOptional(),
    revision: Revision.exactOptional(),
  }),
  answer: z.strictObject({
    happenings: z.array(Happening),
    users: z.array(User),
    next: z.string().exactOptional(),
  }),
  note: 'Who came to a group and went, and what was changed there: in order, the newest page first. `at` is the `seq` behind which it happened; `after` and `before` bound it and are exclusive. I see what happened while I was a member and, where I see all messages from before, all from before. `users`: those whom the page names. `next` leads to the page before it; absent at the start.',
});

const groupText = (roomId: RoomId, field: keyof GroupTexts) => ({
  owner: groupKeyOwner(roomId),
  context: `room:${roomId}|group|${field}`,
});

/** A text of a group with all that its seal is bound to. */
export const groupNote = (roomId: RoomId, field: keyof GroupTexts, sealed: string): SealedNote => ({
  ...groupText(roomId, field),
  sealed,
});

type InRoomData = RecordedOf<string, { readonly roomId: string }>;

const sealedTexts: readonly SealedField<InRoomData>[] = [
  { field: 'name', of: ({ data: { roomId } }) => groupText(roomId, 'name') },
  { field: 'about', of: ({ data: { roomId } }) => groupText(roomId, 'about') },
];

const textsOf = ({ name, about }: { name: string; about?: string | null }): GroupTexts =>
  about ? { name, about } : { name };

/** `named`: a checksum of the ids that the command named, by which a repeat is recognised. */
export const GroupCreated = event('GroupCreated', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    name: z.string(),
    about: z.string().exactOptional(),
    settings: GroupSettings,
    named: z.int().min(0),
  }),
  sealed: sealedTexts,
  evolve(state, { actor, data, recordedAt }): RoomState {
    if (state.exists) return state;
    const { roomId, settings, named } = data;
    const texts = textsOf(data);
    const created = { by: actor, settings, named, ...texts };
    const group = { roomId, createdAt: recordedAt, lastSeq: 0, settings, texts, created, pins: [] };
    return { exists: true, roomType: 'GROUP', ...group, members: GroupMembers.none };
  },
  line: ({ actor, data }, { who, quoted }) =>
    `${who(actor)} created group ${data.roomId}: ${quoted(data.name)}`,
});

/** Only what changed. `about` is null when it was removed. */
export const GroupChanged = event('GroupChanged', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    at,
    name: z.string().exactOptional(),
    about: z.string().nullable().exactOptional(),
    ...SomeSettings,
  }),
  sealed: sealedTexts,
  evolve: inGroup((group, { data }) => ({
    ...group,
    texts: textsOf({
      name: data.name ?? group.texts.name,
      about: data.about === undefined ? (group.texts.about ?? null) : data.about,
    }),
    settings: { ...group.settings, ...settingsIn(data) },
  })),
  push: ({ actor, data: { roomId, at, name, about, ...rest } }, { members }) => [
    changeGroupPush.of({
      to: members,
      room: roomId,
      notes: [
        ...(name === undefined ? [] : [groupNote(roomId, 'name', name)]),
        ...(typeof about === 'string' ? [groupNote(roomId, 'about', about)] : []),
      ],
      data: (shown) => ({
        roomId,
        by: actor,
        at,
        ...(name === undefined ? {} : { name: shown.text(name) }),
        ...(about === undefined ? {} : { about: about && shown.text(about) }),
        ...settingsIn(rest),
      }),
    }),
  ],
  line({ actor, data }, { who, quoted }) {
    const { roomId, at: _, ...changes } = data;
    return `${who(actor)} changed group ${roomId}: ${quoted(changes)}`;
  },
});

/**
 * `from`: where the new member's window begins. `place`: its number among the members who joined by the same command,
 * from 0. They are told of the whole group, and not of each other.
 */
export const MemberJoined = event('MemberJoined', roomStream, {
  data: z.strictObject({
    ...change,
    userId: z.string(),
    role: RoleName,
    from: z.int().min(1),
    place: z.int().min(0),
  }),
  evolve: inGroup((group, { offset, data: { userId, role, from, at } }) =>
    withMember(group, userId, { role, from, joinedAt: offset, mark: at }),
  ),
  push: ({ offset, data: { roomId, userId, by, role, at, place } }) => [
    openedChatPush(roomId, userId),
    addMemberPush.of({
      to: { group: roomId, joinedBefore: offset - place },
      room: roomId,
      users: [userId],
      data: (shown) => ({ roomId, user: shown.user(userId), role, by, at }),
    }),
  ],
  line: ({ data: { roomId, userId, by, role } }, { who }) =>
    by === userId
      ? `${who(userId)} is ${role} of group ${roomId}`
      : `${who(by)} added ${who(userId)} to group ${roomId} as ${role}`,
});

/** `last`: nobody is left. The key of the group's name is destroyed after it. */
export const MemberLeft = event('MemberLeft', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    by: z.string(),
    upTo: at,
    last: z.literal(true).exactOptional(),
  }),
  evolve: inGroup((group, { data: { userId, upTo } }) => {
    const member = group.members?.get(userId);
    if (!member) return group;
    const { from, closed } = member;
    // A window in which nothing was said is dropped.
    const windows = upTo < from ? closed : [...closed, [from, upTo] as const];
    return withMember(group, userId, { role: undefined, from: 0, closed: windows });
  }),
  push: ({ data: { roomId, userId, by, upTo } }) => [
    removeMemberPush.of({
      to: { group: roomId, and: [userId] },
      room: roomId,
      data: () => ({ roomId, userId, by, at: upTo }),
    }),
  ],
  line: ({ data: { roomId, userId, by } }, { who }) =>
    by === userId
      ? `${who(userId)} left group ${roomId}`
      : `${who(by)} removed ${who(userId)} from group ${roomId}`,
});

/** `inherited`: the last owner, `by` or somebody whom `by` removes, leaves by the next event. */
export const MemberRoleChanged = event('MemberRoleChanged', roomStream, {
  data: z.strictObject({ ...change, userId: z.string(), role: RoleName, inherited }),
  evolve: inGroup((group, { data: { userId, role } }) => withMember(group, userId, { role })),
  push: ({ data }, { members }) => [changeRolePush.of({ to: members, room: data.roomId, data: () => data })],
  line: ({ data: { roomId, userId, role, by, inherited } }, { who }) =>
    inherited
      ? `${who(userId)} is ${role} of group ${roomId} now, because the last owner leaves`
      : `${who(userId)} is ${role} of group ${roomId} now, by ${who(by)}`,
});

const withMember = (group: Group, ...change: Parameters<GroupMembers['with']>): Group => ({
  ...group,
  members: group.members?.with(...change),
});
