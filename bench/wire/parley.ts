import {
  type Dialect,
  digits,
  firstSend,
  messageField,
  messageIdField,
  messageNumber,
  type Sink,
  sendField,
  startsWith,
} from './dialect.js';
import { FrameTemplate } from './frames.js';

const pushedMessage = Buffer.from('{"event":"send message","data":');
const answer = Buffer.from('{"id":');
const sentAnswer = Buffer.from(',"event":"send message","data":');
const caughtUp = Buffer.from('{"event":"identity","data":');

interface Answer {
  readonly id: number;
  readonly data?: unknown;
  readonly error?: { readonly code: string };
}

/** Parley's protocol. */
export const parleyDialect: Dialect = {
  path: '/ws',
  greets: false,

  request: (id, event, data) => JSON.stringify({ id, event, data }),

  template(roomId, message) {
    const data = JSON.stringify({ roomId, messageId: messageIdField, message });
    return new FrameTemplate(`{"id":${sendField},"event":"send message","data":${data}}`, [
      sendField,
      messageField,
    ]);
  },

  read(bytes: Buffer, start: number, end: number, sink: Sink): void {
    if (startsWith(bytes, start, pushedMessage)) {
      const message = messageNumber(bytes, start, end);
      if (message >= 0) sink.delivered(message);
      return;
    }
    if (startsWith(bytes, start, answer)) {
      const idAt = start + answer.length;
      const id = digits(bytes, idAt, sendField.length);
      if (id >= firstSend && startsWith(bytes, idAt + sendField.length, sentAnswer)) {
        sink.acknowledged(id - firstSend);
        return;
      }
      const { id: asked, data, error } = JSON.parse(bytes.toString('utf8', start, end)) as Answer; // the contract
      if (asked >= firstSend) sink.refused(asked - firstSend, error?.code ?? 'an answer without data');
      else sink.answered(asked, data, error?.code);
      return;
    }
    if (startsWith(bytes, start, caughtUp)) sink.caughtUp();
  },
};
