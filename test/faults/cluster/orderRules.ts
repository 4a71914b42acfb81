import type { Message } from '../../../packages/client/src/types.js';
import type { Rule } from './checker.js';
import type { Facts, Said } from './facts.js';

/** A message as text, the same for the same message whoever shows it. What it says may be edited. */
const textOf = ({ roomId, seq, messageId, senderId, replyTo, sentAt }: Message): string =>
  JSON.stringify([roomId, seq, messageId, senderId, replyTo ?? null, sentAt]);

/** Whoever sees a place of a room, or a message, sees the same: answers, pushes, pages and histories alike. */
const oneOrder: Rule = ({ sightings }) => {
  const seen = new Map<string, { text: string; where: string }>();
  const found: string[] = [];
  for (const { where, message } of sightings) {
    const text = textOf(message);
    for (const key of [`${message.roomId} ${message.seq}`, message.messageId]) {
      const before = seen.get(key);
      if (!before) seen.set(key, { text, where });
      else if (before.text !== text) found.push(`${where}: ${text}, but ${before.where}: ${before.text}`);
    }
  }
  return found;
};

const noHole: Rule = ({ finals }) =>
  finals.flatMap(({ node, roomId, messages }) => {
    const mismatch = messages.findIndex(({ seq }, i) => seq !== i + 1);
    return mismatch < 0 ? [] : [`room ${roomId} at ${node} has no seq ${mismatch + 1} where it belongs`];
  });

/** The longest history of each room that a node had, by seq; of groups, that in the log. */
function roomsOf({ finals, groups }: Facts): readonly (readonly PlacedMessage[])[] {
  const longest = new Map<string, readonly PlacedMessage[]>();
  for (const { roomId, messages } of finals)
    if (messages.length >= (longest.get(roomId)?.length ?? 0)) longest.set(roomId, messages);
  const logged = [...groups.values()].map(({ events }) =>
    events.flatMap(({ type, data }) => (type === 'MessageSent' ? [data] : [])),
  );
  return [...longest.values(), ...logged];
}

type PlacedMessage = Pick<Message, 'messageId' | 'seq'>;

const firstSentAt = (said: Said): number => said.tries[0]?.asked.at ?? 0;
const answeredAt = (said: Said): number =>
  Math.min(
    ...said.tries.filter(({ outcome }) => outcome === 'acknowledged').map(({ doneAt }) => doneAt),
    Number.POSITIVE_INFINITY,
  );

/** What was answered before another was first sent comes before it. */
const realTime: Rule = (facts) =>
  roomsOf(facts).flatMap((messages) => {
    const found: string[] = [];
    let latest: Said | undefined;
    for (const { messageId, seq } of messages) {
      const said = facts.said.get(messageId);
      if (!said) continue;
      if (latest && answeredAt(said) < firstSentAt(latest))
        found.push(
          `${messageId} (seq ${seq}) was answered before ${latest.messageId} was sent, but follows it`,
        );
      if (!latest || firstSentAt(said) > firstSentAt(latest)) latest = said;
    }
    return found;
  });

/** Messages that were sent once, over one connection, are in the order in which they were sent. */
const sendersOrder: Rule = (facts) =>
  roomsOf(facts).flatMap((messages) => {
    const found: string[] = [];
    const last = new Map<string, { attempt: number; messageId: string }>();
    for (const { messageId } of messages) {
      const tries = facts.said.get(messageId)?.tries ?? [];
      const [only] = tries;
      if (!only || tries.length > 1) continue;
      const { device, connection, attempt } = only.asked;
      const lane = `${device} ${connection}`;
      const before = last.get(lane);
      if (before && before.attempt > attempt)
        found.push(`${device} sent ${messageId} before ${before.messageId}, which comes first`);
      last.set(lane, { attempt, messageId });
    }
    return found;
  });

export const orderRules: Readonly<Record<string, Rule>> = {
  'a room has one order, the same for all': oneOrder,
  'seq has no hole': noHole,
  'the order is that of time where one was answered before another was sent': realTime,
  "a sender's own order is kept": sendersOrder,
};
