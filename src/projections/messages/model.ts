import { messageTerm, type SealedMessage, sealedMessage } from '../../events/changes.js';
import type { RoomId } from '../../events/ids.js';
import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

/** The key of a room's message: keys of one room sort by `seq`. Any safe integer from 0 makes a bound. */
export function messageKey(roomId: RoomId, seq: number): string {
  const digits = seq.toString(36);
  // A safe integer has at most eleven: their number before them makes keys sort as their numbers do.
  return `${roomId}/${digits.length.toString(36)}${digits}`;
}

/** The history: a row a message, at its event's offset; read by key ranges and by message id. */
export const messagesModel: Model<SealedMessage> = {
  name: 'messages',
  version: 2,
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
