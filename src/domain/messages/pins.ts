import { z } from 'zod';
import { forbidden } from '../../base/errors.js';
import { clientCommand } from '../defineCommand.js';
import { event, push, type Topic } from '../defineEvent.js';
import { Id, Revision } from '../fields.js';
import { ROOM_PINS } from '../limits.js';
import {
  changed,
  mayPin,
  messageOfMember,
  type RoomState,
  refusalIfEnded,
  roomStream,
  unchanged,
  withPins,
} from '../streams.js';
import { showChanged } from './edits.js';

/** Pinned messages of a room, for all its members. */

export const topic: Topic = 'messages';

export const pinMessagePush = push('pin message', {
  isStored: true,
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    on: z.boolean(),
    by: z.string(),
  }),
  note: 'A message was pinned or unpinned.',
});

/** The actor is the user who pins. */
export const MessagePinned = event('MessagePinned', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    on: z.boolean(),
  }),
  evolve: (room, { data }): RoomState => (room.exists ? withPins(room, changePins(room.pins, data)) : room),
  changes({ pinned: _, ...message }, { data }) {
    return data.on ? { ...message, pinned: true } : message;
  },
  push: ({ actor, data }, { members, message }) => [
    message
      ? showChanged(message, members)
      : pinMessagePush.of({
          to: members,
          seq: data.seq,
          room: data.roomId,
          onlyLive: true,
          data: () => ({ ...data, by: actor }),
        }),
  ],
  line: ({ actor, data }, { who }) =>
    `${who(actor)} ${data.on ? 'pinned' : 'unpinned'} message ${data.seq} of room ${data.roomId}`,
});

/** The pins of a room after one was changed. */
export const changePins = (
  pins: readonly string[],
  { messageId, on }: { readonly messageId: string; readonly on: boolean },
): readonly string[] => {
  const others = pins.filter((pin) => pin !== messageId);
  return on ? [...others, messageId] : others;
};

export const pinMessage = clientCommand('pin message', roomStream, {
  data: { roomId: Id, messageId: Id, on: z.boolean() },
  answer: z.strictObject({ revision: Revision }),
  note: `Pins a message for all members, or unpins it; in groups only admins can. At most ${ROOM_PINS} per room.`,
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, messageId }) => ({ messages: [{ roomId, messageId }] }),
  decide(command, state, facts) {
    const found = messageOfMember(state, command, facts);
    if ('refused' in found) return found;
    const { room, message } = found;
    const { actor, roomId, messageId, on } = command;
    if (!mayPin(room, actor))
      return { refused: forbidden('only admins of the group can pin messages', 'admins_only') };
    if (room.pins.includes(messageId) === on) return unchanged;
    const ended = refusalIfEnded(room, command.actor);
    if (ended) return ended;
    if (on && room.pins.length >= ROOM_PINS)
      return { refused: forbidden(`a room has at most ${ROOM_PINS} pinned messages`, 'too_many') };
    return changed(MessagePinned.of(roomId, { roomId, messageId, seq: message.seq, on }));
  },
  reply: (_, _answer, revision) => ({ revision }),
});
