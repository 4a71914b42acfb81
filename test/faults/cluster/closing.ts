import { setTimeout as pass } from 'node:timers/promises';
import type { Message } from '../../../packages/client/src/types.js';
import type { Random } from '../../support/random.js';
import { check } from './checker.js';
import { Device, type Door } from './device.js';
import type { History } from './history.js';
import type { Rooms } from './load.js';

/** How long after the last fault all that is due may take; pushes are given half of it. */
const PATIENCE_MS = 30_000;

/** Waits for `work`, but not for ever: what is overdue goes into the history. */
export async function inTime<T>(history: History, what: string, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const late = pass(PATIENCE_MS, undefined, { signal: over.signal }).then(
    () => history.add({ kind: 'overdue', what: `${what}: not after ${PATIENCE_MS / 1000} s` }),
    () => {},
  );
  try {
    return (await Promise.race([work, late])) ?? undefined;
  } finally {
    over.abort();
  }
}

/**
 * Lets a newcomer for every device at every node see all that was pushed to it from its first cursor on, and notes
 * every room as that node has it, at a moment after every answer that was given.
 */
export async function lookEverywhere(
  devices: readonly Device[],
  { pairs, groups }: Rooms,
  doors: readonly Door[],
  history: History,
  random: Random,
): Promise<void> {
  const moments = new Map<string, string>();
  const asking = [
    ...pairs.map(({ roomId, members }) => ({ roomId, asks: members[0].userId })),
    // A group's owner stays.
    ...groups.map(({ roomId, owner }) => ({ roomId, asks: owner.userId })),
  ];
  for (const { roomId, asks } of asking) {
    const device = devices.find(({ userId }) => userId === asks);
    // A command that changes little: its revision is after all that was answered in this room.
    const revision = await device?.ask('read messages', { roomId }).then((answer) => answer.revision);
    if (revision !== undefined) moments.set(roomId, revision);
  }
  const firsts = [...new Map(devices.map((device) => [device.userId, device])).values()];
  const newcomers = doors.flatMap((door) =>
    firsts.map(({ options: { name, userId, token }, firstCursor: cursor }) => {
      const options = { name: `${name} anew at ${door.name}`, userId, token, history, random, doors: [door] };
      return { door, device: new Device({ ...options, ...(cursor === undefined ? {} : { cursor }) }) };
    }),
  );
  try {
    await Promise.all(
      newcomers.map(async ({ door, device }) => {
        const mine = pairs.filter(({ members }) => members[0].userId === device.userId);
        for (const { roomId } of mine)
          await noteRoom(device, door, roomId, moments.get(roomId) ?? '', history);
        const { userId } = device;
        for (const { roomId } of groups) {
          const messages = await device.fetchGroup(roomId, moments.get(roomId) ?? '');
          history.add({ kind: 'shown', node: door.name, roomId, userId, messages });
        }
      }),
    );
    // Pushes may be on their way: what is still missing when the time is up is missing.
    const deadline = performance.now() + PATIENCE_MS / 2;
    const seen = (): boolean =>
      newcomers.every(({ device }) => device.hasCaughtUp) && check(history.entries).length === 0;
    while (!seen() && performance.now() < deadline) await pass(250);
    for (const { device } of newcomers)
      if (!device.hasCaughtUp)
        history.add({ kind: 'overdue', what: `${device.options.name} was never caught up` });
  } finally {
    for (const { device } of newcomers) device.close();
  }
}

async function noteRoom(
  device: Device,
  door: Door,
  roomId: string,
  revision: string,
  history: History,
): Promise<void> {
  const messages: Message[] = [];
  for (let hasMore = true; hasMore; ) {
    const after = messages.at(-1)?.seq ?? 0;
    const page = await device.ask('fetch messages', { roomId, after, limit: 200, revision });
    messages.push(...page.messages);
    hasMore = page.hasMore;
  }
  const { chats } = await device.ask('get active chats', { limit: 200, revision });
  const readUpTo = chats.find((chat) => chat.roomId === roomId)?.readUpTo ?? {};
  history.add({ kind: 'final', node: door.name, roomId, messages, readUpTo });
}
