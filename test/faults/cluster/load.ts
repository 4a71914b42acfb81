import { randomUUID } from 'node:crypto';
import { setTimeout as pass } from 'node:timers/promises';
import { type Random, upTo } from '../../support/random.js';
import type { Device } from './device.js';
import type { Room } from './people.js';

/** Requests of one device that may be without an end at a time. */
const MOST_UNDER_WAY = 40;
/** The pause between two actions of a device, at most. */
const PAUSE_MS = 250;
const MAX_CONCURRENT_REQUESTS = 4;

/** Lets every device write, read, ask and move about for `forMs`; resolves when each send has an end. */
export async function load(
  devices: readonly Device[],
  rooms: readonly Room[],
  forMs: number,
  random: Random,
): Promise<void> {
  const until = performance.now() + forMs;
  await Promise.all(
    devices.map(async (device) => {
      const mine = rooms.filter(({ members }) => members.some(({ userId }) => userId === device.userId));
      const begun: Promise<void>[] = [];
      while (performance.now() < until) {
        await pass(upTo(PAUSE_MS, random));
        const room = mine[upTo(mine.length, random)];
        if (room && device.underWay < MOST_UNDER_WAY) begun.push(...act(device, room.roomId, random));
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

/** A message; most are insisted on, and some that were acknowledged are asked for. */
async function say(device: Device, roomId: string, random: Random): Promise<void> {
  const [insists, asks] = [random() < 0.75, random() < 0.15];
  const messageId = randomUUID();
  const said = await device.say(roomId, messageId, `about ${messageId}`, insists);
  if (said && asks) await device.fetchAnswered(said);
}
