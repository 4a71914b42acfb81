import type { Rule } from './checker.js';

/** In the history of every node, once. */
const acknowledged: Rule = ({ said, finals }) => {
  const found: string[] = [];
  for (const { messageId, roomId, answer } of said.values()) {
    if (!answer) continue;
    for (const { node, messages } of finals.filter((final) => final.roomId === roomId)) {
      const times = messages.filter((message) => message.messageId === messageId).length;
      if (times !== 1)
        found.push(`${messageId} (seq ${answer.seq}) is ${times} times in the history at ${node}`);
    }
  }
  return found;
};

const refused: Rule = ({ said, sightingsOf }) =>
  [...said.values()]
    .filter(({ tries }) => tries.every(({ outcome }) => outcome === 'refused'))
    .flatMap(({ messageId }) => sightingsOf.get(messageId)?.slice(0, 1) ?? [])
    .map(({ where, message }) => `${message.messageId} was refused, but ${where} shows it`);

const nothingElse: Rule = ({ said, sightings }) =>
  sightings
    .filter(({ message: { messageId, roomId, senderId, message } }) => {
      const sent = said.get(messageId);
      return !sent || sent.roomId !== roomId || sent.senderId !== senderId || sent.text !== message;
    })
    .map(({ where, message }) => `${where} shows ${message.messageId} as nobody sent it`);

const stored: Rule = ({ finals, sightings }) => {
  const last = new Map<string, Set<string>>();
  for (const { roomId, messages } of finals) {
    const ids = last.get(roomId) ?? new Set();
    for (const { messageId } of messages) ids.add(messageId);
    last.set(roomId, ids);
  }
  return sightings
    .filter(({ message: { roomId, messageId } }) => last.get(roomId)?.has(messageId) === false)
    .map(({ where, message: { messageId } }) => `${where} shows ${messageId}, which no node has at the end`);
};

export const sendRules: Readonly<Record<string, Rule>> = {
  'what was acknowledged is there exactly once, at every node': acknowledged,
  'what was refused and not sent again is not there': refused,
  'nothing is shown that nobody sent': nothingElse,
  'nothing is shown that is not stored': stored,
};
