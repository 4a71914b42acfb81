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

// Engine.IO 4: "0" open, "2" ping, "3" pong, "4" message; in it Socket.IO 5: "0" connect, "2" event, "3" ack,
// "4" refused. https://socket.io/docs/v4/engine-io-protocol, https://socket.io/docs/v4/socket-io-protocol
const ping = 0x32;
const message = 0x34;
const open = 0x30;
const connect = 0x30;
const event = 0x32;
const ack = 0x33;
const connectError = 0x34;
const pushedMessage = Buffer.from('["send message",');
const sentAnswer = Buffer.from('[{"message":');

interface Answer {
  readonly error?: string;
}

function readAck(bytes: Buffer, start: number, end: number, sink: Sink): void {
  const sent = digits(bytes, start, sendField.length);
  if (sent >= firstSend && startsWith(bytes, start + sendField.length, sentAnswer)) {
    sink.acknowledged(sent - firstSend);
    return;
  }
  const bracket = bytes.indexOf('[', start);
  const id = Number(bytes.toString('latin1', start, bracket));
  const [answer] = JSON.parse(bytes.toString('utf8', bracket, end)) as [Answer]; // the peer answers one object
  if (id >= firstSend) sink.refused(id - firstSend, answer.error ?? 'an answer without data');
  else sink.answered(id, answer, answer.error);
}

/** The protocol of socket.io over its WebSocket transport. */
export const socketIoDialect: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  greets: true,

  // The sign-in is a connect packet; every other request is an event with an acknowledgement.
  request: (id, name, data) =>
    name === 'identity' ? `40${JSON.stringify(data)}` : `42${id}${JSON.stringify([name, data])}`,

  template(roomId, text) {
    const data = JSON.stringify({ roomId, messageId: messageIdField, message: text });
    return new FrameTemplate(`42${sendField}["send message",${data}]`, [sendField, messageField]);
  },

  read(bytes: Buffer, start: number, end: number, sink: Sink): void {
    const kind = bytes[start];
    if (kind === ping) sink.reply('3');
    else if (kind === open) sink.opened();
    if (kind !== message) return;
    const packet = bytes[start + 1];
    if (packet === event && startsWith(bytes, start + 2, pushedMessage)) {
      const number = messageNumber(bytes, start, end);
      if (number >= 0) sink.delivered(number);
    } else if (packet === ack) readAck(bytes, start + 2, end, sink);
    // The identity is always the first request, so its id is 1.
    else if (packet === connect) sink.answered(1, {}, undefined);
    else if (packet === connectError) sink.answered(1, undefined, bytes.toString('utf8', start + 2, end));
  },
};
