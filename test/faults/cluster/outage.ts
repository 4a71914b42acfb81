import { randomUUID } from 'node:crypto';
import { setTimeout as pass } from 'node:timers/promises';
import { seeded, upTo } from '../../support/random.js';
import type { Cluster } from './cluster.js';
import type { Device } from './device.js';
import { History } from './history.js';
import { gather, newPeople, pairUp, type Room } from './people.js';

/** So many that there is a pair for every partition, nearly always. */
const PEOPLE = 12;
const ROOMS_A_PARTITION = 2;
/** Each writer sends so long after its last answer. */
const PAUSE_MS = 10;
const BEFORE_MS = 2000;
const AFTER_MS = 12_000;

export interface Outage {
  /** How many partitions have changed their owner. */
  readonly moved: number;
  readonly partitions: number;
  /** The longest time, in ms, in which no send to a room of one moved partition was acknowledged. */
  readonly longestMs: number;
}

/**
 * Measures the time without service when one node is ended with a signal and another is started in its place, while
 * people on all nodes write in rooms of every partition.
 */
export async function measureOutage(
  cluster: Cluster,
  signal: 'SIGKILL' | 'SIGTERM',
  seed: number,
): Promise<Outage> {
  const random = seeded(seed);
  const { nodes, store } = cluster;
  const people = await newPeople(nodes, PEOPLE, 1);
  const rooms = pairUp(people, store.partitions, ROOMS_A_PARTITION);
  const history = new History();
  const devices = await gather(people, rooms, nodes, history, random);
  try {
    const stop = new AbortController();
    const written = Promise.all(devices.flatMap((device) => writers(device, rooms, stop.signal)));
    await pass(BEFORE_MS);
    await store.readOn();
    const epochs = store.epochs;
    const began = history.now;
    const node = nodes[upTo(nodes.length, random)];
    await node?.end(signal);
    await node?.start();
    await pass(AFTER_MS);
    const ended = history.now;
    stop.abort();
    for (const device of devices) device.close();
    await written;
    await store.readOn();
    const moved = epochs.flatMap((epoch, partition) =>
      epoch === store.epochs[partition] ? [] : [partition],
    );
    const spoken = moved.filter((partition) => rooms.some((room) => room.partition === partition));
    const gaps = spoken.map((partition) => longestGap(history, rooms, partition, began, ended));
    return { moved: moved.length, partitions: store.partitions, longestMs: Math.max(0, ...gaps) };
  } finally {
    for (const device of devices) device.close();
  }
}

/** Writes in each room of a device's user, one message after the other. */
function writers(device: Device, rooms: readonly Room[], signal: AbortSignal): Promise<void>[] {
  return rooms
    .filter(({ members }) => members.some(({ userId }) => userId === device.userId))
    .map(async ({ roomId }) => {
      while (!signal.aborted) {
        await device.say(roomId, randomUUID(), 'is anybody there?', true);
        await pass(PAUSE_MS);
      }
    });
}

/** Between two acknowledgements of a partition that lie in the time asked for, or reach into it. */
function longestGap(
  { entries }: History,
  rooms: readonly Room[],
  partition: number,
  began: number,
  ended: number,
): number {
  const theirs = new Set(rooms.filter((room) => room.partition === partition).map(({ roomId }) => roomId));
  let last = 0;
  let longest = 0;
  for (const entry of entries) {
    if (entry.kind !== 'acknowledged' || !theirs.has(entry.message.roomId) || entry.at > ended) continue;
    if (entry.at >= began) longest = Math.max(longest, entry.at - last);
    last = entry.at;
  }
  return Math.max(longest, ended - last);
}
