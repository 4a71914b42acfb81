import fc from 'fast-check';
import { type RoomId, roomIdOf, type UserId } from '../../../src/domain/ids.js';

import { REPORTS_A_DAY } from '../../../src/domain/limits.js';
import { ROLES } from '../../../src/domain/streams.js';
import { type Sent, World } from './world.js';

const NAMES = ['anna', 'ben', 'chris'];

/** A world with some events of three users, in one or three partitions. */
export interface Scripted {
  readonly world: World;
  readonly users: readonly UserId[];
  /** The rooms that they have opened. */
  readonly rooms: readonly RoomId[];
}

const pair = fc.constantFrom<readonly [number, number]>([0, 1], [1, 0], [1, 2], [2, 1], [0, 2], [2, 0]);
const groupAct = fc.record({
  does: fc.constant('in group' as const),
  what: fc.constantFrom(
    'send',
    'send',
    'read',
    'add',
    'remove',
    'leave',
    'promote',
    'change',
    'delete',
    'edit',
    'react',
    'pin',
    'erase',
    'host puts',
    'host drops',
  ),
  who: fc.nat(2),
  whom: fc.nat(2),
  number: fc.nat(8),
} as const);
const seq = fc.nat(12);
const emoji = fc.constantFrom('👍', '🎉', '👩‍👩‍👧');
const body = fc.constantFrom<Sent>({}, { mentions: ['all'] }, { data: { of: ['an', 'integrator'] } });
const field = fc.option(fc.constantFrom('Zoë', 'Ben van Dam', 'annA', '安娜 😀'));
/** Fields that are absent stay, those of null are removed. */
const profile = fc.record(
  {
    ...{ displayName: field, about: field, status: field, locale: fc.option(fc.constantFrom('nl', 'pt-BR')) },
    bot: fc.boolean(),
  },
  { requiredKeys: [] },
);
const step = fc.oneof(
  { weight: 7, arbitrary: groupAct },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('befriend' as const), pair }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('open' as const), pair }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant('send' as const), pair, body }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('read' as const), pair, upTo: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('delete' as const), pair, seq }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('edit' as const), pair, seq, mentions: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constant('react' as const), pair, seq, emoji, on: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('archive' as const), pair, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('pin' as const), pair, seq, on: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constantFrom('report' as const, 'decide' as const),
      pair,
      seq: fc.nat(3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('online' as const, 'offline' as const), pair }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('profile' as const), pair, change: profile }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('suspend' as const), pair, on: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('host' as const), pair, what: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('role' as const),
      pair,
      role: fc.constantFrom(...ROLES),
      give: fc.boolean(),
    }),
  },
);

const BLOCKED: ReadonlySet<string> = new Set([
  ...['befriend', 'open', 'send', 'accept', 'edit', 'react', 'pin'],
]);

const safetyStep = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constantFrom('accept' as const, 'unfriend' as const), pair }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('block' as const), pair }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('unblock' as const), pair }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('prefer' as const),
      pair,
      preferences: fc.record({ visible: fc.boolean(), receipts: fc.boolean() }, { requiredKeys: [] }),
    }),
  },
);

/** A short random history of three users, without the commands that deciders refuse. */
export const scripts: fc.Arbitrary<Scripted> = fc
  .tuple(
    fc.constantFrom(1, 3),
    fc.array(fc.oneof({ weight: 14, arbitrary: step }, { weight: 3, arbitrary: safetyStep }), {
      maxLength: 60,
    }),
  )
  .map(([partitions, steps]) => {
    const world = new World(partitions);
    const users = NAMES.map((name) => world.register(name));
    const rooms = new Set<RoomId>();
    const group = world.createGroup(users[0] ?? '', users.slice(1, 2), partitions === 1 ? 'joined' : 'all');
    rooms.add(group);
    const reports: { readonly by: UserId; readonly id: string }[] = [];
    let decided = 0;
    for (const act of steps) {
      if (act.does === 'in group') {
        actInGroup(world, group, act, users);
        continue;
      }
      const [me, other] = [users[act.pair[0]] ?? '', users[act.pair[1]] ?? ''];
      const room = roomIdOf(me, other);
      // Where one blocks the other, deciders refuse what both do.
      const isOpen = !world.isBlocked(room);
      if (act.does === 'unblock') world.block(me, other, false);
      else if (act.does === 'block') world.block(me, other);
      else if (act.does === 'unfriend') world.unfriend(me, other);
      else if (act.does === 'prefer') world.prefer(me, act.preferences);
      else if (!isOpen && BLOCKED.has(act.does)) continue;
      else if (act.does === 'befriend') world.befriend(me, other);
      else if (act.does === 'open') rooms.add(world.openChat(me, other));
      else if (act.does === 'online') world.goOnline(me);
      else if (act.does === 'host') actAsHost(world, act.what, me);
      else if (act.does === 'profile') world.changeProfile(me, act.change);
      else if (act.does === 'suspend') {
        // Users do not decide about those who hold a role.
        const holdsRole = world.events.some(
          ({ type, data }) => type === 'RoleGiven' && data.userId === other,
        );
        world.setSuspended(holdsRole ? 'system' : me, other, act.on);
      } else if (act.does === 'role') world.setRole(me, act.role, act.give);
      else if (act.does === 'offline') world.goOffline(me, '2026-02-03T04:05:06.007Z');
      else if (act.does === 'decide') {
        const open = reports.shift();
        if (open) decided++;
        if (open) world.decideReport(other, open.by, open.id, 'seen');
      } else if (!rooms.has(room)) continue;
      else if (act.does === 'accept') world.accept(me, room);
      else if (act.does === 'report' && reports.length + decided < REPORTS_A_DAY)
        reports.push({ by: me, id: world.report(me, room, act.seq, act.seq % 2 === 0 ? 'look' : undefined) });
      else if (act.does === 'send') world.send(me, room, `message ${world.lastSeq(room) + 1}`, act.body);
      else if (act.does === 'edit')
        world.edit(room, act.seq, `edited ${world.events.length}`, act.mentions ? [other] : undefined);
      else if (act.does === 'react') world.react(me, room, act.seq, act.emoji, act.on);
      else if (act.does === 'archive') world.archive(me, room, act.on);
      else if (act.does === 'pin') world.pin(me, room, act.seq, act.on);
      else if (act.does === 'delete') world.deleteMessage(room, act.seq);
      else if (act.does === 'read') world.read(me, room, Math.min(act.upTo, world.lastSeq(room)));
    }
    return { world, users, rooms: [...rooms] };
  });

/** What the host application and its keys do beside rooms. */
function actAsHost(world: World, what: number, userId: UserId): void {
  const [policyId, keyId] = [world.keyId, world.keyId];
  if (what === 0) world.asHost({ kind: 'add key', policyId, keyId, scopes: ['users', 'rooms'] });
  else if (what === 1) world.asHost({ kind: 'revoke key', policyId, keyId, by: 'system' });
  else if (what === 2) world.asHost({ kind: 'link identity', userId, subject: `of ${userId}` });
  else if (what === 3) world.asHost({ kind: 'record host read', userId: keyId, query: { limit: '5' } });
  else world.asHost({ kind: 'administer user', userId, by: 'system', action: 'token issued' });
}

type GroupAct = typeof groupAct extends fc.Arbitrary<infer A> ? A : never;

/** Undefined: without a role. */
const ROLES_PUT = ['owner', 'member', undefined] as const;

/** Does in a group what its rules permit. */
function actInGroup(world: World, roomId: RoomId, act: GroupAct, users: readonly UserId[]): void {
  const [actor, userId] = [users[act.who] ?? '', users[act.whom] ?? ''];
  const at = { actor, roomId };
  switch (act.what) {
    case 'send':
      return world.inGroup({
        kind: 'send message',
        ...at,
        messageId: world.id(),
        message: `message ${act.number}`,
      });
    case 'read':
      return world.inGroup({ kind: 'read messages', ...at, upTo: act.number });
    case 'add':
      return world.inGroup({ kind: 'add members', ...at, userIds: [userId, actor, users[2] ?? ''] });
    case 'remove':
      return world.inGroup({ kind: 'remove member', ...at, userId });
    case 'leave':
      return world.inGroup({ kind: 'leave group', ...at });
    case 'promote':
      return world.inGroup({
        ...{ kind: 'change role', ...at, userId },
        role: act.number % 3 === 0 ? 'member' : act.number % 3 === 1 ? 'admin' : 'owner',
      });
    case 'change':
      return world.inGroup({
        ...{ kind: 'change group', ...at, about: act.number === 0 ? '' : `about ${act.number}` },
        history: act.number % 2 === 0 ? 'all' : 'joined',
      });
    case 'delete':
      return world.deleteMessage(roomId, act.number);
    case 'edit':
    case 'react':
    case 'pin': {
      const messageId = world.idAt(roomId, act.number);
      if (messageId === undefined) return;
      if (act.what === 'react')
        return world.inGroup({ kind: 'react', ...at, messageId, emoji: '👍', on: act.whom > 0 });
      if (act.what === 'pin')
        return world.inGroup({ kind: 'pin message', ...at, messageId, on: act.whom > 0 });
      return world.inGroup({
        ...{ kind: 'edit message', ...at, messageId, editId: world.id() },
        message: `edited ${world.events.length}`,
      });
    }
    case 'host puts': {
      const role = ROLES_PUT[act.number % ROLES_PUT.length];
      const members = [{ userId, ...(role === undefined ? {} : { role }) }, { userId: actor }];
      return world.asHost({ kind: 'put group', roomId, name: `group ${act.number}`, members });
    }
    case 'host drops':
      return world.asHost({ kind: 'drop member', roomId, userId });
    case 'erase':
      // Rarely: an erased user does nothing more.
      return act.number === 0 && act.who === 2
        ? world.inGroup({ kind: 'erase member', roomId, userId: actor })
        : undefined;
    default:
      return act.what satisfies never;
  }
}
