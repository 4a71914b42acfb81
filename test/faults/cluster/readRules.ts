import type { Rule } from './checker.js';

const seesOwn =
  (after: 'answer' | 'push'): Rule =>
  ({ fetches }) =>
    fetches
      .filter((fetch) => fetch.after === after && fetch.messages[0]?.messageId !== fetch.expected.messageId)
      .map(
        ({ device, expected, messages }) =>
          `${device} asked for seq ${expected.seq} of ${expected.roomId} and was shown ${messages[0]?.seq}`,
      );

/** A mark answered before another reading began is not above what that one was answered. */
const marksForward: Rule = ({ reads }) => {
  const found: string[] = [];
  const byMark = new Map<string, { upTo: number; doneAt: number }[]>();
  for (const read of reads.toSorted((a, b) => a.doneAt - b.doneAt)) {
    const { roomId, userId, upTo, invokedAt } = read;
    const key = `${roomId} ${userId}`;
    const before = byMark.get(key) ?? [];
    const higher = before.find((other) => other.doneAt < invokedAt && other.upTo > upTo);
    if (higher) found.push(`the mark of ${userId} in ${roomId} was ${higher.upTo}, and then ${upTo}`);
    byMark.set(key, [...before, read]);
  }
  return found;
};

const marksKept: Rule = ({ reads, finals }) =>
  finals.flatMap(({ node, roomId, readUpTo }) =>
    reads
      .filter((read) => read.roomId === roomId && read.upTo > (readUpTo[read.userId] ?? 0))
      .slice(0, 1)
      .map(
        ({ userId, upTo }) => `${userId} read up to ${upTo} in ${roomId}; ${node} says ${readUpTo[userId]}`,
      ),
  );

export const readRules: Readonly<Record<string, Rule>> = {
  'a query with a revision shows what was answered': seesOwn('answer'),
  'a query shows what was pushed to its connection': seesOwn('push'),
  'answered read marks never go back': marksForward,
  'an answered read mark is kept, at every node': marksKept,
};
