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
    .filter(({ tries }) => tries.every(({ outcome }) => outcome === 'refused' || outcome === 'denied'))
    .flatMap(({ messageId }) => sightingsOf.get(messageId)?.slice(0, 1) ?? [])
    .map(({ where, message }) => `${message.messageId} was refused, but ${where} shows it`);

const nothingElse: Rule = ({ said, sightings, changes }) => {
  const later = new Map<string, Set<string | null>>();
  for (const { asked } of changes) {
    if (asked.request !== 'edit message' && asked.request !== 'delete message') continue;
    const { messageId } = asked.data;
    const texts = later.get(messageId) ?? new Set();
    later.set(messageId, texts.add(asked.request === 'edit message' ? asked.data.message : null));
  }
  return sightings
    .filter(({ message: { messageId, roomId, senderId, message } }) => {
      const sent = said.get(messageId);
      if (!sent || sent.roomId !== roomId || sent.senderId !== senderId) return true;
      return sent.text !== message && !later.get(messageId)?.has(message);
    })
    .map(({ where, message }) => `${where} shows ${message.messageId} as nobody sent it`);
};

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
