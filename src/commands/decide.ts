import { unauthenticated } from '../errors.js';
import { messageTerm } from '../events/changes.js';
import { sealContext, type Time } from '../events/types.js';
import { open } from '../vault/cipher.js';
import type { Answers, Command, CommandKind } from './commands.js';
import type { Decision } from './decider.js';
import { type FriendshipState, friendshipDecider } from './friendship.js';
import type { Found, Prepared } from './prepare.js';
import {
  type EarlierMessage,
  type RoomFacts,
  type RoomState,
  roomDecider,
  type SealedSend,
  type SentAnswer,
} from './room.js';
import type { Tail } from './tail.js';
import { type UserState, userDecider } from './user.js';

/** What the deciders answer; `answerOf` makes of it what the caller gets. */
type Decided = Exclude<Answers[CommandKind], Answers['send message']> | SentAnswer;

/** Decides a prepared command against its stream's state; `now` is the time of the commit to be. */
export function decide(prepared: Prepared, tail: Tail, now: Time): Decision<Decided> {
  const { command, found, stream } = prepared;
  // Casts: a stream's kind says what its state is, and a command's kind which stream it has.
  switch (command.kind) {
    case 'refused':
      return command;
    case 'register user':
    case 'go online':
    case 'go offline':
    case 'erase user':
    case 'appoint auditor':
    case 'dismiss auditor':
    case 'record audit read': {
      const facts = { now, isActive: found.active.has(command.userId) };
      return userDecider.decide(command, stream.state as UserState, facts);
    }
    case 'add friend': {
      if (!found.users.has(command.actor)) return { refused: gone() };
      const facts = { otherExists: found.users.has(command.friendId) };
      return friendshipDecider.decide(command, stream.state as FriendshipState, facts);
    }
    case 'init chat': {
      if (!found.users.has(command.actor)) return { refused: gone() };
      const facts = { ...noFacts, now, otherExists: found.users.has(command.friendId) };
      return roomDecider.decide(command, stream.state as RoomState, facts);
    }
    case 'read messages':
    case 'erase member':
      return roomDecider.decide(command, stream.state as RoomState, { ...noFacts, now });
    case 'send message': {
      const { roomId, replyTo } = command;
      const facts: RoomFacts = {
        now,
        otherExists: true,
        earlier: earlierOf(command, found, tail),
        replyExists: replyTo !== undefined && lookUp(messageTerm(roomId, replyTo), found, tail) !== undefined,
      };
      return roomDecider.decide(command, stream.state as RoomState, facts);
    }
  }
}

/** What the caller is told; a message comes back with the text they sent, which is that of the first. */
export function answerOf(command: Command, decided: Decided): Answers[CommandKind] {
  if (command.kind !== 'send message' || !('sentAt' in decided))
    // Only a message is decided with another answer than its caller gets.
    return decided as Answers[CommandKind];
  const { messageId, roomId, actor: senderId, message, replyTo } = command;
  const { seq, sentAt } = decided;
  return {
    message: {
      messageId,
      roomId,
      seq,
      senderId,
      message,
      ...(replyTo === undefined ? {} : { replyTo }),
      sentAt,
    },
  };
}

/** A command of theirs may still have been on its way. */
const gone = () => unauthenticated('this user has been erased');

const noFacts = { otherExists: false, earlier: undefined, replyExists: false } as const;

/** The tail last: what had not been stored when the history was asked is in it, this batch's messages too. */
const lookUp = (term: string, found: Found, tail: Tail) => found.messages.get(term) ?? tail.message(term);

function earlierOf(command: SealedSend, found: Found, tail: Tail): EarlierMessage | undefined {
  const { actor, roomId, messageId, text } = command;
  const earlier = lookUp(messageTerm(roomId, messageId), found, tail);
  if (!earlier) return undefined;
  const key = found.keys.get(actor);
  const context = sealContext.message(roomId, messageId);
  // Both are sealed with the sender's own key; the same text never seals to the same bytes twice.
  const sameText =
    earlier.senderId === actor &&
    key instanceof Buffer &&
    open(key, earlier.text, context) === open(key, text, context);
  return { ...earlier, sameText };
}
