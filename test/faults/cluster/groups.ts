import { randomUUID } from 'node:crypto';
import type { Recorded } from '../../../src/domain/events.js';
import { type Random, upTo } from '../../support/random.js';
import type { Device } from './device.js';
import type { History } from './history.js';
import type { Person } from './people.js';

/** The members of a new group besides its owner. */
const MEMBERS = 3;
const EMOJI = ['👍', '🎉', '❤️'] as const;

/** A group; its owner stays. All people may be added to it, and may try to act in it. */
export interface Group {
  readonly roomId: string;
  readonly owner: Person;
  readonly people: readonly Person[];
}

/** Some people found groups. Nothing has been sent in any of them yet. */
export function foundGroups(
  people: readonly Person[],
  devices: readonly Device[],
  count: number,
  history: History,
  random: Random,
): Promise<Group[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const [owner, ...others] = shuffled(people, random);
      if (!owner) throw new Error('a group needs people');
      const roomId = randomUUID();
      const memberIds = others.slice(0, MEMBERS).map(({ userId }) => userId);
      const shows = upTo(2, random) === 0 ? 'joined' : 'all';
      const device = devices.find(({ userId }) => userId === owner.userId);
      const members = [owner.userId, ...memberIds];
      history.add({ kind: 'group', roomId, history: shows, owner: owner.userId, members });
      await device?.ask('create group', { roomId, name: `group ${n}`, memberIds, history: shows });
      return { roomId, owner, people };
    }),
  );
}

/** Notes the events of groups that were read from the log. */
export function noteLog(history: History, groups: readonly Group[], events: readonly Recorded[]): void {
  for (const { roomId } of groups) {
    const own = events.filter(({ stream }) => stream === `room:${roomId}`);
    if (own.length > 0) history.add({ kind: 'logged', roomId, events: own });
  }
}

/** One doing in a group besides sending, drawn. */
export function changeGroup(device: Device, group: Group, random: Random): Promise<void> {
  const { roomId, owner, people } = group;
  const insists = random() < 0.75;
  const known = device.messagesIn(roomId);
  const what = upTo(100, random);
  const mine = known.filter(({ senderId }) => senderId === device.userId);
  const message = mine[upTo(mine.length, random)];
  if (what < 35 && message) {
    const { messageId } = message;
    const editId = randomUUID();
    const data = { roomId, messageId, editId, message: `edit ${editId}` };
    return device.change('edit message', data, insists);
  }
  if (what < 45 && message)
    return device.change('delete message', { roomId, messageId: message.messageId }, insists);
  const seen = known[upTo(known.length, random)];
  if (what < 75 && seen) {
    const [emoji, on] = [EMOJI[upTo(EMOJI.length, random)] ?? EMOJI[0], random() < 0.6];
    return device.change('react', { roomId, messageId: seen.messageId, emoji, on }, insists);
  }
  const other = people[upTo(people.length, random)] ?? owner;
  if (what < 90) return device.change('add members', { roomId, userIds: [other.userId] }, insists);
  if (device.userId !== owner.userId) return device.change('leave group', { roomId }, insists);
  if (other === owner) return Promise.resolve();
  return device.change('remove member', { roomId, userId: other.userId }, insists);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(upTo(rest.length, random), 1));
}
