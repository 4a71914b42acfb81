import type { Message } from '../src/client/types.js';
import { type Line, type Name, pairs } from './script.js';
import type { Player, Stage } from './stage.js';

/** A room's messages in order, a line each, as one device or the server has them. */
export function transcript(stage: Stage, messages: readonly Message[]): string[] {
  return messages.map(({ seq, senderId, message }) => {
    return `${String(seq).padStart(3)}  ${stage.nameOf(senderId).padEnd(5)} ${message}`;
  });
}

/** Whom a player talks with. */
export const partners = (name: Name): Name[] =>
  pairs.flatMap(([one, other]) => (one === name ? [other] : other === name ? [one] : []));

/** What is wrong, a line each: none when all devices and the server have every line once, in one order. */
export async function disagreements(stage: Stage, said: readonly Line[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const pair of pairs) {
    const room = stage.room(...pair);
    const members = stage.players.filter(({ name }) => pair.includes(name));
    const history = (await members[0]?.device.history(room)) ?? [];
    const expected = said.filter(({ by, to }) => pair.includes(by) && pair.includes(to));
    if (!sameLines(expected, history)) wrong.push(`the server does not have what ${pair.join(' and ')} said`);
    if (history.some(({ seq }, n) => seq !== n + 1)) wrong.push(`${pair.join(' and ')}: seq has a hole`);
    for (const player of members) {
      if (!knows(stage, player, room, history)) wrong.push(`${player.title} differs from the server`);
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
