import { randomBytes } from 'node:crypto';
import { Rest } from '../../../packages/client/src/rest.js';
import { roomIdOf, streamOf } from '../../../src/domain/ids.js';
import { partitionOf } from '../../../src/log/log.js';
import { insist } from '../../support/insist.js';
import type { Random } from '../../support/random.js';
import { Device, type Door } from './device.js';
import type { History } from './history.js';

const PASSWORD = 'correct horse battery';

/** Where people sign up and in. */
export interface FrontDoor extends Door {
  readonly url: string;
}

export interface Person {
  readonly userId: string;
  /** A token for each of their devices. */
  readonly tokens: readonly string[];
}

export interface Room {
  readonly roomId: string;
  readonly partition: number;
  readonly members: readonly [Person, Person];
}

/** Signs people up and in, each at another node, which may have no owner of a partition yet. */
export function newPeople(doors: readonly FrontDoor[], count: number, devices: number): Promise<Person[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const door = doors[n % doors.length];
      if (!door) throw new Error('people need a node to sign up at');
      const rest = new Rest(door.url);
      return insist('somebody new is signed in', async () => {
        const name = `u${n}_${randomBytes(6).toString('hex')}`;
        const { userId } = await rest.signUp(name, PASSWORD);
        const signIns = Array.from({ length: devices }, () => rest.signIn(name, PASSWORD));
        return { userId, tokens: (await Promise.all(signIns)).map(({ token }) => token) };
      });
    }),
  );
}

/**
 * Pairs of people whose rooms are spread over the partitions: `each` in every one, as far as there are pairs for
 * that, in an order that depends on their ids alone.
 */
export function pairUp(people: readonly Person[], partitions: number, each: number): Room[] {
  const room = (a: Person, b: Person): Room => {
    const roomId = roomIdOf(a.userId, b.userId);
    const partition = partitionOf(streamOf('room', roomId), partitions);
    return { roomId, partition, members: [a, b] };
  };
  const pairs = people.flatMap((a, n) => people.slice(n + 1).map((b) => room(a, b)));
  const taken = new Map<number, number>();
  return pairs
    .sort((a, b) => (a.roomId < b.roomId ? -1 : 1))
    .filter(({ partition }) => {
      const before = taken.get(partition) ?? 0;
      taken.set(partition, before + 1);
      return before < each;
    });
}

/** Connects all devices of all people, and opens their rooms. Nothing has been sent in any of them yet. */
export async function gather(
  people: readonly Person[],
  rooms: readonly Room[],
  doors: readonly Door[],
  history: History,
  random: Random,
): Promise<Device[]> {
  const devices = people.flatMap(({ userId, tokens }, n) =>
    tokens.map((token, d) => {
      const name = `person${n}.${d}`;
      return new Device({ name, userId, token, doors, history, random });
    }),
  );
  await Promise.all(devices.map((device) => device.session()));
  await Promise.all(
    rooms.map(async ({ roomId, members: [{ userId }, { userId: friendId }] }) => {
      history.add({ kind: 'room', roomId, members: [userId, friendId] });
      await devices.find((device) => device.userId === userId)?.ask('init chat', { friendId });
    }),
  );
  return devices;
}
