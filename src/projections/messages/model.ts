import { messageTerm } from '../../commands/ports.js';
import { type SealedMessage, sealedMessage } from '../../events/changes.js';
import type { RoomId } from '../../events/ids.js';
import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

// 14 hexadecimal digits hold every safe integer; a fixed width makes keys sort as their numbers do.
const SEQ_DIGITS = 14;

/** The key of a room's message: keys of one room sort by `seq`. Any safe integer from 0 makes a bound. */
export const messageKey = (roomId: RoomId, seq: number): string =>
  `${roomId}/${seq.toString(16).padStart(SEQ_DIGITS, '0')}`;

/** The history: a row a message, at its event's offset; read by key ranges and by message id. */
export const messagesModel: Model<SealedMessage> = {
  name: 'messages',
  version: 1,
  insertOnly: true,
  indexes: {
    id: ({ value }) => ({ terms: [messageTerm(value.roomId, value.messageId)], sort: value.seq }),
  },
};

/** The fold of the history. */
export const messagesProjection: Projection<SealedMessage> = {
  model: messagesModel,
  keys: (event) => (event.type === 'MessageSent' ? [messageKey(event.data.roomId, event.data.seq)] : []),
  evolve: (value, event) => (event.type === 'MessageSent' ? sealedMessage(event) : (value ?? null)),
};
