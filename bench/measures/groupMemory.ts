import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Group } from '../../src/domain/groups/groupState.js';
import { GroupIndex } from '../../src/gateway/groupIndex.js';
import type { StoredMember, StoredState } from '../../src/projections/models/streamIndex.js';
import { StreamCache, Tail } from '../../src/writer/streamState.js';
import { cell, type Measure } from './measure.js';

const size = 1000;
const connected = 10;
const goalKib = 100;

/** What is held after a collection of garbage, in bytes. */
function heldBytes(collectGarbage: () => void): number {
  for (let times = 0; times < 2; times++) collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const settings = { history: 'joined', whoAdds: 'members', whoSends: 'members' } as const;
const createdAt = '2026-01-01T00:00:00.000Z';
const texts = { name: 'x'.repeat(200) };

/** The writer's state of a group, made of its rows. */
function load(cache: StreamCache, roomId: string, users: readonly string[]): void {
  const created = { by: users[0] ?? '', settings, named: 0, ...texts };
  const rest = { createdAt, lastSeq: 1, settings, texts, created, pins: [], members: undefined };
  const state: Group = { exists: true, roomType: 'GROUP', roomId, ...rest };
  const members = users.map((userId, offset): StoredMember => {
    const member = { from: 1, joinedAt: offset, mark: 1, hasWritten: false, closed: [] };
    return { userId, offset, member: { role: 'member', ...member } };
  });
  const stream = cache.acquire(`room:${roomId}`);
  const row: StoredState = { offset: size, value: { version: size + 1, state }, members };
  // As rows come: no text of theirs is held elsewhere.
  stream.load(structuredClone(row), new Tail(0, size + 1));
  stream.release();
}

/** The gateway's index of these groups, with the members who are here. */
async function index(roomIds: readonly string[], users: readonly string[]): Promise<GroupIndex> {
  const period = { from: 1, to: null, joined: 1, left: null, at: 0 };
  const memberships = () =>
    roomIds.map((roomId) => ({ roomId, partition: 0, offset: 1, isMember: true, periods: [period] }));
  const groups = new GroupIndex(
    async () => structuredClone(memberships()),
    () => [2],
  );
  for (const user of users.slice(0, connected)) await groups.add(user);
  return groups;
}

/**
 * Measures what a node holds of a large group: the writer's state, and the gateway's index of the members who are here. By
 * the heap of this process: the resident memory of a server changes by tens of MiB from one moment to the next.
 */
export const groupMemory: Measure = {
  name: 'groupMemory',
  async run({ quick, log }) {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void; // The flag makes this a function.
    const count = quick ? 20 : 200;
    const users = Array.from({ length: size }, () => randomUUID());
    const roomIds = Array.from({ length: count }, () => randomUUID());
    const cache = new StreamCache(Number.POSITIVE_INFINITY);
    load(cache, randomUUID(), users);
    const before = heldBytes(collectGarbage);
    for (const roomId of roomIds) load(cache, roomId, users);
    const withStates = heldBytes(collectGarbage);
    const groups = await index(roomIds, users);
    const after = heldBytes(collectGarbage);
    const kib = (bytes: number) => bytes / 1024 / count;
    const all = kib(after - before);
    log(
      `${kib(withStates - before).toFixed(1)} KiB in the writer, which counts ${kib(cache.bytes).toFixed(1)}, ` +
        `${kib(after - withStates).toFixed(1)} KiB in the gateway, of ${groups.membersNow(roomIds[0] ?? '').length} members`,
    );
    const title = `memory of a group of ${size.toLocaleString('en')} with ${connected} connected members`;
    const cells = [cell('parley-sqlite', `${all.toFixed(1)} KiB`, all <= goalKib)];
    return [{ measure: title, goal: `≤ ${goalKib} KiB`, cells }];
  },
};
