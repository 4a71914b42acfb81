import { randomUUID } from 'node:crypto';
import { setTimeout as pass } from 'node:timers/promises';
import { type Random, upTo } from '../../support/random.js';
import type { Device } from './device.js';
import { changeGroup, type Group } from './groups.js';
import type { Room } from './people.js';

/** Requests of one device that may be without an end at a time. */
const MOST_UNDER_WAY = 40;
/** The pause between two actions of a device, at most. */
const PAUSE_MS = 250;
const MAX_CONCURRENT_REQUESTS = 4;
/** The longest time that a device is away. */
const AWAY_MS = 2000;

/** Where people write: in pairs, and in groups. */
export interface Rooms {
  readonly pairs: readonly Room[];
  readonly groups: readonly Group[];
}

/** Lets every device write, read, ask and move about for `forMs`; resolves when each request has an end. */
export async function load(
  devices: readonly Device[],
  { pairs, groups }: Rooms,
  forMs: number,
  random: Random,
): Promise<void> {
  const until = performance.now() + forMs;
  // The first device of each person acts in groups, the others listen to them.
  const acting = new Set(new Map([...devices].reverse().map((device) => [device.userId, device])).values());
  await Promise.all(
    devices.map(async (device) => {
      const mine = pairs.filter(({ members }) => members.some(({ userId }) => userId === device.userId));
      const begun: Promise<void>[] = [];
      while (performance.now() < until) {
        await pass(upTo(PAUSE_MS, random));
        if (device.underWay >= MOST_UNDER_WAY) continue;
        const room = mine[upTo(mine.length, random)];
        const group = groups[upTo(groups.length, random)];
        if (group && random() < 0.03) device.goAway(upTo(AWAY_MS, random));
        else if (group && acting.has(device) && random() < 0.5) begun.push(actInGroup(device, group, random));
        else if (room) begun.push(...act(device, room.roomId, random));
      }
      await Promise.all(begun);
    }),
  );
}

/** One doing, drawn. */
function act(device: Device, roomId: string, random: Random): Promise<void>[] {
  const what = upTo(100, random);
  if (what < 2) device.move();
  else if (what < 12) return [device.read(roomId).then(() => {})];
  else if (what < 20) return [device.fetchPushed()];
  else {
    const count = 1 + upTo(MAX_CONCURRENT_REQUESTS, random);
    return Array.from({ length: count }, () => say(device, roomId, random));
  }
  return [];
}

const actInGroup = (device: Device, group: Group, random: Random): Promise<void> =>
  random() < 0.5 ? say(device, group.roomId, random) : changeGroup(device, group, random);

/** A message; most are insisted on, and some that were acknowledged are asked for. */
async function say(device: Device, roomId: string, random: Random): Promise<void> {
  const [insists, asks] = [random() < 0.75, random() < 0.15];
  const messageId = randomUUID();
  const said = await device.say(roomId, messageId, `about ${messageId}`, insists);
  if (said && asks) await device.fetchAnswered(said);
}
