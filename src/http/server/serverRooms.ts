import type Router from '@koa/router';
import { z } from 'zod';
import { badRequest, notFound } from '../../base/errors.js';
import type { CommandOf } from '../../domain/commands.js';
import { GroupId } from '../../domain/fields.js';
import { RoleName, SomeSettings } from '../../domain/groups/groupState.js';
import { GroupAbout, GroupName } from '../../domain/groups/groups.js';
import { getMembers } from '../../domain/groups/members.js';
import { isGroupId, type RoomId, type UserId } from '../../domain/ids.js';
import { ADDED_MEMBERS, PAGE_ROWS } from '../../domain/limits.js';
import { Chat } from '../../domain/userMessageChat.js';
import { createGroupKey } from '../../gateway/groupHandlers.js';
import type { PageAsked } from '../../projections/answerPages.js';
import type { ServerKey } from '../../vault/serverKeys.js';
import { serveResource } from '../auth.js';
import { readBody, readId, readIdAlone, readNoBody, readOptionalBody, readQuery } from '../problems.js';
import { NoFields, pageLimit } from '../schemas.js';
import { HostRequests, HostUserId, type ServerParts } from './hostRequests.js';
import type { RequireKey } from './serverAuth.js';

const MOST_MEMBERS = 1000;

export const HostGroupBody = z.strictObject({
  name: GroupName,
  about: GroupAbout.exactOptional(),
  ...SomeSettings,
  members: z
    .array(z.strictObject({ id: HostUserId, role: RoleName.exactOptional() }))
    .max(MOST_MEMBERS)
    .meta({ description: 'Members who are not named stay. Without a role: `member`, or as it is.' }),
});
type HostGroupBody = z.output<typeof HostGroupBody>;

export const HostPairBody = z.strictObject({ members: z.tuple([HostUserId, HostUserId]) });
export const HostMemberBody = z.strictObject({ role: RoleName.exactOptional() });

/** A chat without what is one member's own. */
const HostRoom = Chat.pick({
  ...{ roomId: true, roomType: true, participants: true, lastMessage: true, createdAt: true },
  ...{ name: true, about: true, history: true, whoAdds: true, whoSends: true, members: true },
  pinnedMessages: true,
}).meta({ id: 'Room' });
type HostRoom = z.infer<typeof HostRoom>;

export const HostRoomAnswer = z.strictObject({ room: HostRoom });

/** A room without a text of it: reading those is recorded, and needs another scope. */
const RoomAbout = z.strictObject(HostRoom.omit({ lastMessage: true }).shape);
export const RoomAboutAnswer = z.strictObject({ room: RoomAbout });

const next = z.string().min(1).max(256).exactOptional().meta({
  description: 'The `next` of the page before.',
});
export const RoomsQuery = z.strictObject({ limit: pageLimit(PAGE_ROWS), next });
export const RoomsAnswer = z.strictObject({
  rooms: z.array(RoomAbout),
  next: z.string().exactOptional().meta({ description: 'Goes into `next`; absent at the end.' }),
});
export const MembersAnswer = getMembers.answer;

const roomOf = (chat: Chat): HostRoom => z.object(HostRoom.shape).parse(chat);
const aboutRoom = (chat: Chat) => z.object(RoomAbout.shape).parse(chat);

/** Groups and private rooms of the host application. */
export function mountServerRooms(router: Router, parts: ServerParts, required: RequireKey): void {
  const requests = new HostRequests(parts);
  const rooms = new HostRoomResource(parts, requests);

  serveResource(router, '/server/rooms/private', {
    PUT: required('rooms', async (ctx, key) => {
      readQuery(ctx, NoFields);
      const { members } = await readBody(ctx, HostPairBody);
      const { room, isNew } = await rooms.putPair(members, key);
      ctx.body = { room };
      ctx.status = isNew ? 201 : 200;
    }),
  });

  serveResource(router, '/server/rooms/:roomId', {
    GET: required('rooms', async (ctx) => {
      const roomId = readIdAlone(ctx, 'roomId');
      ctx.body = { room: aboutRoom(await rooms.find(roomId)) };
    }),
    PUT: required('rooms', async (ctx, key) => {
      const roomId = readIdAlone(ctx, 'roomId');
      const body = await readBody(ctx, HostGroupBody);
      const message = 'must be a UUID of version 4 or 7';
      if (!GroupId.safeParse(roomId).success)
        throw badRequest(`roomId ${message}`, [{ path: 'roomId', message }]);
      const { room, isNew } = await rooms.putGroup(roomId, body, key);
      ctx.body = { room };
      ctx.status = isNew ? 201 : 200;
    }),
  });

  serveResource(router, '/server/rooms/:roomId/members', {
    GET: required('rooms', async (ctx) => {
      const roomId = readId(ctx.params.roomId);
      ctx.body = await rooms.members(roomId, readQuery(ctx, RoomsQuery));
    }),
  });

  serveResource(router, '/server/users/:id/rooms', {
    GET: required('rooms', async (ctx) => {
      const userId = await requests.userId(ctx.params.id);
      const page = readQuery(ctx, RoomsQuery);
      const { queries, present, now } = parts.reads;
      if (!(await present(userId))) throw notFound(`there is no user ${ctx.params.id}`);
      const { chats, ...end } = await queries.activeChats(userId, page, await now());
      ctx.body = { rooms: chats.map(aboutRoom), ...end };
    }),
  });

  serveResource(router, '/server/rooms/:roomId/members/:id', {
    PUT: required('rooms', async (ctx, key) => {
      const roomId = readId(ctx.params.roomId);
      const userId = await requests.userId(ctx.params.id);
      readQuery(ctx, NoFields);
      const members = [{ userId, ...(await readOptionalBody(ctx, HostMemberBody)) }];
      await requests.run<'put group'>(key, { kind: 'put group', roomId, members });
      ctx.status = 204;
    }),
    DELETE: required('rooms', async (ctx, key) => {
      const roomId = readId(ctx.params.roomId);
      const userId = await requests.userId(ctx.params.id);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      await requests.run<'drop member'>(key, { kind: 'drop member', roomId, userId });
      ctx.status = 204;
    }),
  });
}

type Member = CommandOf<'put group'>['members'][number];

class HostRoomResource {
  constructor(
    private readonly parts: ServerParts,
    private readonly requests: HostRequests,
  ) {}

  /** Makes the group or changes it. Of many members, the first come first: a repeat goes on with the others. */
  async putGroup(roomId: RoomId, body: HostGroupBody, key: ServerKey) {
    const { members: named, ...group } = body;
    const members: Member[] = [];
    for (const { id, role } of named)
      members.push({ userId: await this.requests.userId(id), ...(role === undefined ? {} : { role }) });
    await createGroupKey(this.parts.writes.keys, roomId);
    let isNew = false;
    for (let i = 0; i === 0 || i < members.length; i += ADDED_MEMBERS) {
      const some = members.slice(i, i + ADDED_MEMBERS);
      const command = { kind: 'put group', roomId, ...group, members: some } as const;
      isNew = (await this.requests.run<'put group'>(key, command)).isNew || isNew;
    }
    return { room: roomOf(await this.find(roomId, members[0]?.userId)), isNew };
  }

  /** Opens the private chat for both. */
  async putPair([first, second]: readonly [string, string], key: ServerKey) {
    const [one, other] = [await this.requests.actor(first), await this.requests.actor(second)];
    const open = (actor: UserId, friendId: UserId) =>
      this.requests.run<'init chat'>(key, { kind: 'init chat', actor, friendId });
    const { roomId, isNewActive } = await open(one, other);
    const { isNewActive: isNewForOther } = await open(other, one);
    return { room: roomOf(await this.find(roomId, one)), isNew: isNewActive && isNewForOther };
  }

  /** A page of the members of a group; none of a group that everybody has left. */
  async members(roomId: RoomId, page: PageAsked): Promise<z.output<typeof MembersAnswer>> {
    const { groups } = this.parts.reads.queries;
    const at = await this.parts.reads.roomNow(roomId);
    const viewer = await groups.firstMember(roomId, at);
    if (viewer !== undefined) return groups.members(viewer, { roomId, ...page }, at);
    if (!(await groups.exists(roomId, at))) throw notFound(`there is no group ${roomId}`);
    return { members: [] };
  }

  /** The room as this member sees it, by default the first one. */
  async find(roomId: RoomId, member?: UserId): Promise<Chat> {
    const { queries, roomNow } = this.parts.reads;
    const at = await roomNow(roomId);
    const viewer =
      member ??
      (isGroupId(roomId)
        ? await queries.groups.firstMember(roomId, at)
        : (await queries.members(roomId, at))?.[0]);
    const chat = viewer === undefined ? undefined : await queries.chat(roomId, viewer, at);
    if (!chat) throw notFound(`there is no room ${roomId}, or nobody is in it`);
    return chat;
  }
}
