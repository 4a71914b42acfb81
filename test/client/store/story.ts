import fc from 'fast-check';
import { applyChat, applyErasure, applyFriend } from '../../../packages/client/src/store/chatFolds.js';
import {
  applyMark,
  applyMessages,
  applyPage,
  applySentMessage,
} from '../../../packages/client/src/store/messageFolds.js';
import type { State } from '../../../packages/client/src/store/storeState.js';
import type { Chat, Message, User } from '../../../packages/client/src/types.js';

export type Told = (state: State) => State;

/** A room as the server has it in the end, and all that it told on the way there. */
export interface Story {
  /** What must come at least once, in any order. */
  readonly needed: readonly Told[];
  /** What earlier answers, pages and pushes said: at any time, again, or not at all. */
  readonly more: readonly Told[];
  readonly messages: readonly Message[];
  readonly isErased: boolean;
}

/** Seconds after a beginning, as an ISO 8601 time. */
export const time = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString();

export const person = (userId: string): User => ({
  ...{ userId, username: userId, backgroundColor: '#336699', createdAt: time(0) },
});

/** The message of this `seq`, its id made of room and number. */
export const messageOf = (roomId: string, { userId }: User, seq: number): Message => ({
  ...{
    roomId,
    senderId: userId,
    seq,
    messageId: `${roomId} ${seq}`,
    message: `text ${seq}`,
    sentAt: time(seq),
  },
});

/** The chat of two, as it was when it held just these messages. */
export function chatOf(
  roomId: string,
  participants: User[],
  all: readonly Message[],
  readUpTo: Record<string, number> = {},
): Chat {
  const lastMessage = all.at(-1) ?? null;
  return { roomId, roomType: 'PRIVATE', participants, createdAt: time(0), unread: 0, lastMessage, readUpTo };
}

/** A room of two with up to 12 messages, in which the other may be erased in the end. */
export function story(roomId: string, me: User, other: User): fc.Arbitrary<Story> {
  const upTo12 = fc.nat(12);
  const senders = fc.array(fc.constantFrom(me, other), { maxLength: 12 });
  return fc
    .record({ senders, isErased: fc.boolean(), mine: upTo12, theirs: upTo12 })
    .chain(({ senders: by, isErased, mine, theirs }) => {
      const n = by.length;
      const before = by.map((sender, i) => messageOf(roomId, sender, i + 1));
      const isWiped = ({ senderId }: Message): boolean => isErased && senderId === other.userId;
      const after = before.map(
        (one): Message => (isWiped(one) ? { ...one, message: null, erased: true } : one),
      );
      const marks = { [me.userId]: Math.min(mine, n), [other.userId]: Math.min(theirs, n) };
      const them: User = isErased ? { ...other, username: null, erased: true } : other;
      const needed: Told[] = [
        (state) => applyChat(state, chatOf(roomId, [me, them], after, marks)),
        (state) => applyPage(state, roomId, after),
        (state) => (isErased ? applyErasure(state, other.userId) : applyFriend(state, other)),
      ];
      const somewhere = fc.nat(n);
      const more: fc.Arbitrary<Told> = fc.oneof(
        somewhere.map(
          (from): Told =>
            (state) =>
              applyPage(state, roomId, before.slice(from, from + 4)),
        ),
        somewhere.map(
          (to): Told =>
            (state) =>
              applyMessages(state, roomId, after.slice(0, to)),
        ),
        somewhere.map(
          (i): Told =>
            (state) =>
              before.slice(i, i + 1).reduce(applySentMessage, state),
        ),
        somewhere.map(
          (to): Told =>
            (state) =>
              applyChat(state, chatOf(roomId, [me, other], before.slice(0, to))),
        ),
        fc.nat(theirs).map(
          (to): Told =>
            (state) =>
              applyMark(state, roomId, other.userId, Math.min(to, n)),
        ),
        fc.constant<Told>((state) => applyFriend(state, other)),
      );
      return fc.record({
        needed: fc.constant(needed),
        more: fc.array(more, { maxLength: 12 }),
        messages: fc.constant(after),
        isErased: fc.constant(isErased),
      });
    });
}
