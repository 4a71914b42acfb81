import { mapLimited } from '../batches.js';
import { fillRoom } from '../fill.js';
import type { BenchUser, Running, System } from '../systems/system.js';
import { comparedRow, type Goal, type Measure, median, storing, withAll } from './measure.js';

const clients = 500;
const friends = 100;
const roomsEach = 5;
const missedInRoom = 4;
const missed = roomsEach * missedInRoom;
const rounds = 3;
const openAtOnce = 16;
const goal: Goal = {
  text: '≤ 0.6× socket.io',
  peers: ['socket.io'],
  isReached: (ms, { 'socket.io': peer }) => ms <= 0.6 * peer,
};

interface Client {
  readonly user: BenchUser;
  readonly rooms: readonly { readonly roomId: string; readonly friend: number }[];
}

interface Crowd {
  readonly system: System;
  readonly running: Running;
  readonly clients: readonly Client[];
  readonly friends: readonly BenchUser[];
  readonly times: number[];
}

/** Prepares 500 clients. Each has five rooms, with five of 100 friends, and one message in each room. */
async function gather(system: System): Promise<Crowd> {
  const running = await system.start();
  const users = await running.signUp(clients + friends);
  const friendly = users.slice(clients);
  const pairs = users.slice(0, clients).flatMap((user, i) =>
    Array.from({ length: roomsEach }, (_, k) => {
      const friend = (i * roomsEach + k) % friends;
      return { user, friend, pair: [friendly[friend] ?? user, user] as const };
    }),
  );
  const roomIds = await running.rooms(pairs.map(({ pair }) => pair));
  const rooms = pairs.map(({ friend }, i) => ({ friend, roomId: roomIds[i] ?? '' }));
  const crowd: Crowd = {
    system,
    running,
    friends: friendly,
    clients: users
      .slice(0, clients)
      .map((user, i) => ({ user, rooms: rooms.slice(i * roomsEach, (i + 1) * roomsEach) })),
    times: [],
  };
  await write(crowd, 1);
  return crowd;
}

/** Every friend writes `count` messages to each of their rooms. */
async function write({ running, friends: writers, clients: readers }: Crowd, count: number): Promise<void> {
  await mapLimited(writers, openAtOnce, async (writer, friend) => {
    const connection = await running.connect(writer);
    for (const room of readers.flatMap(({ rooms }) => rooms).filter((room) => room.friend === friend))
      await fillRoom({ connection, template: running.dialect.template(room.roomId, 'x'.repeat(100)) }, count);
    connection.close();
  });
}

/** All clients disconnect, miss messages and reconnect at once. Returns the milliseconds until all have caught up. */
async function comeBack(crowd: Crowd): Promise<number> {
  const { running } = crowd;
  const away = await mapLimited(crowd.clients, openAtOnce, async ({ user, rooms }) => ({
    user,
    place: await running.place(
      user,
      rooms.map(({ roomId }) => roomId),
    ),
  }));
  await write(crowd, missedInRoom);
  const from = performance.now();
  const counts = await Promise.all(away.map(({ user, place }) => running.catchUp(user, place)));
  const ms = performance.now() - from;
  const mismatch = counts.filter((count) => count !== missed).length;
  if (mismatch > 0)
    throw new Error(`${mismatch} of ${clients} clients did not get exactly ${missed} messages`);
  return ms;
}

/** Compares resuming with one cursor and fetching room by room. */
export const resume: Measure = {
  name: 'resume',
  run: ({ systems, log }) =>
    withAll(
      storing(systems),
      gather,
      ({ running }) => running.stop(),
      async (crowds) => {
        for (let round = 0; round < rounds; round++)
          for (const crowd of crowds) {
            const ms = await comeBack(crowd);
            crowd.times.push(ms);
            log(`${crowd.system.name}: ${clients} clients caught up in ${ms.toFixed(0)} ms`);
          }
        const figures = crowds.map(({ system, times }) => ({
          system: system.name,
          value: median(times),
          isSound: true,
        }));
        const title = `${clients} clients that each missed ${missed} messages: time until all have caught up`;
        return [comparedRow(title, goal, figures, (ms) => `${(ms / 1000).toFixed(2)} s`)];
      },
    ),
};
