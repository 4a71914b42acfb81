import type { Rule } from './checker.js';
import type { Chain, Facts } from './facts.js';

/** Pushes of a room along a chain of connections, each resumed from the cursor of the last push. */
const ordered: Rule = ({ chains }) =>
  [...chains.values()].flatMap(({ device, pushed }) => {
    const last = new Map<string, number>();
    return pushed.flatMap(({ roomId, seq }) => {
      const before = last.get(roomId) ?? 0;
      last.set(roomId, Math.max(before, seq));
      return seq > before ? [] : [`${device} was pushed seq ${seq} of room ${roomId} after ${before}`];
    });
  });

/** The last message of a room that everybody must have been pushed: the last that was acknowledged. */
function due({ said }: Facts): ReadonlyMap<string, number> {
  const last = new Map<string, number>();
  for (const { roomId, answer } of said.values())
    if (answer) last.set(roomId, Math.max(answer.seq, last.get(roomId) ?? 0));
  return last;
}

const whole: Rule = (facts) => {
  const lastDue = due(facts);
  return [...facts.chains.values()].flatMap((chain) =>
    roomsOf(facts, chain).flatMap((roomId) => {
      const pushed = new Set(chain.pushed.filter((m) => m.roomId === roomId).map(({ seq }) => seq));
      const until = Math.max(lastDue.get(roomId) ?? 0, ...pushed);
      const longest = facts.finals
        .filter((final) => final.roomId === roomId)
        .reduce<readonly { seq: number; messageId: string }[]>(
          (most, { messages }) => (messages.length > most.length ? messages : most),
          [],
        );
      return (
        longest
          .filter(({ seq }) => seq <= until && !pushed.has(seq))
          // Its own it knows from the answer; but after a reconnect it may be pushed them too.
          .filter(({ messageId }) => facts.said.get(messageId)?.device !== chain.device)
          .map(({ seq }) => `${chain.device} was never pushed seq ${seq} of room ${roomId}`)
      );
    }),
  );
};

const roomsOf = ({ rooms }: Facts, { userId }: Chain): readonly string[] =>
  [...rooms].filter(([, members]) => members.includes(userId)).map(([roomId]) => roomId);

const cursorRepeated: Rule = ({ chains }) =>
  [...chains.values()].flatMap(({ device, connected }) =>
    connected
      .filter(({ from, cursor }) => from !== undefined && from !== cursor)
      .map(({ from, cursor }) => `${device} came with cursor ${from} and was answered ${cursor}`),
  );

const marksForward: Rule = ({ chains }) =>
  [...chains.values()].flatMap(({ device, marks }) => {
    const last = new Map<string, number>();
    return marks.flatMap(({ roomId, userId, upTo }) => {
      const key = `${roomId} ${userId}`;
      const before = last.get(key) ?? 0;
      last.set(key, Math.max(before, upTo));
      return upTo >= before ? [] : [`${device} was pushed mark ${upTo} of ${userId} after ${before}`];
    });
  });

/** The mark of the other member at the end was pushed, or came with a message of theirs. */
const marksWhole: Rule = (facts) =>
  [...facts.chains.values()].flatMap((chain) =>
    facts.finals.flatMap(({ roomId, node, readUpTo, messages }) => {
      const other = facts.rooms.get(roomId)?.find((member) => member !== chain.userId);
      if (other === undefined || !roomsOf(facts, chain).includes(roomId)) return [];
      const mark = readUpTo[other] ?? 0;
      const pushed = chain.marks.filter((m) => m.roomId === roomId && m.userId === other);
      const known = Math.max(0, ...pushed.map(({ upTo }) => upTo));
      const sent = messages[mark - 1]?.senderId === other;
      if (known >= mark || sent) return [];
      return [`${chain.device} knows mark ${known} of ${other} in ${roomId}, but ${node} says ${mark}`];
    }),
  );

export const chainRules: Readonly<Record<string, Rule>> = {
  'pushes come in order and without duplicate over reconnects': ordered,
  'pushes come without gap over reconnects': whole,
  'identity repeats the cursor it was given': cursorRepeated,
  'pushed read marks never go back': marksForward,
  'no read mark goes unpushed': marksWhole,
};
