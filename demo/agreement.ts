import type { Message } from '../packages/client/src/types.js';
import { type Line, type Name, pairs } from './script.js';
import type { Player, Stage } from './stage.js';

/** The messages of one device or of the server as text, one line for each. */
export function transcript(stage: Stage, messages: readonly Message[]): string[] {
  return messages.map(({ seq, senderId, message }) => {
    return `${String(seq).padStart(3)}  ${stage.nameOf(senderId).padEnd(5)} ${message}`;
  });
}

/** The people that this person talks with. */
export const partners = (name: Name): Name[] =>
  pairs.flatMap(([one, other]) => (one === name ? [other] : other === name ? [one] : []));

/** One line for each difference. None if every device and the server have every message once and in the same order. */
export async function disagreements(stage: Stage, said: readonly Line[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const pair of pairs) {
    const room = stage.room(...pair);
    const members = stage.players.filter(({ name }) => pair.includes(name));
    const history = (await members[0]?.device.history(room)) ?? [];
    const expected = said.filter(({ by, to }) => pair.includes(by) && pair.includes(to));
    if (!sameLines(expected, history))
      wrong.push(`the server has not exactly the messages of ${pair.join(' and ')}`);
    if (history.some(({ seq }, n) => seq !== n + 1)) wrong.push(`the seq of ${pair.join(' and ')} has a gap`);
    for (const player of members) {
      if (!knows(stage, player, room, history))
        wrong.push(`${player.title} has other messages than the server`);
    }
  }
  return wrong;
}

const knows = (stage: Stage, { device }: Player, room: string, history: readonly Message[]): boolean =>
  transcript(stage, device.timeline(room).messages).join() === transcript(stage, history).join();

const sameLines = (lines: readonly Line[], messages: readonly Message[]): boolean =>
  lines
    .map(({ text }) => text)
    .sort()
    .join('\n') ===
  messages
    .map(({ message }) => message)
    .sort()
    .join('\n');
