import { randomUUID } from 'node:crypto';
import type { FrameTemplate } from './frames.js';

/** Receives the meaning of each frame from the server. */
export interface Sink {
  /** The push of the message with this number. */
  delivered(message: number): void;
  /** The answer to the send of the message with this number. */
  acknowledged(message: number): void;
  refused(message: number, code: string): void;
  /** The answer to any other request. */
  answered(id: number, answer: unknown, error: string | undefined): void;
  /** The connection is ready for use. */
  opened(): void;
  /** The server has pushed all missed messages. */
  caughtUp(): void;
  reply(text: string): void;
}

/** The WebSocket protocol of one kind of server, so that all kinds can get the same load. */
export interface Dialect {
  /** Path and query of the upgrade. */
  readonly path: string;
  /** Whether the server sends the first frame, which calls `opened`. */
  readonly greets: boolean;
  /** The text of a request; `id` is below `firstSend`. */
  request(id: number, event: string, data: unknown): string;
  /** A frame to fill with two numbers: `firstSend` plus the message's number, and the message's number. */
  template(roomId: string, text: string): FrameTemplate;
  /** Reads the payload from `start` to `end`. Recognises frames with a message by their bytes, without parsing JSON. */
  read(bytes: Buffer, start: number, end: number, sink: Sink): void;
}

/** Request ids of sends start here: the id is this number plus the message's number. */
export const firstSend = 1_000_000_000;

/** The start of this run's message ids. The last twelve digits of each id are the message's number. */
const messagePrefix = randomUUID().slice(0, 24);

export const sendField = String(firstSend);
export const messageField = '999999999999';
export const messageIdField = `${messagePrefix}${messageField}`;

const key = Buffer.from('"messageId":"');
const numberAt = key.length + messagePrefix.length;
// The key is nearly always at the same offset as in the frame before, because frames of one kind start equally.
let hint = 0;

function isKeyAt(bytes: Buffer, at: number): boolean {
  for (let i = 0; i < key.length; i++) if (bytes[at + i] !== key[i]) return false;
  return true;
}

/** The number of the message in a frame; -1 if the frame has no message of this run. */
export function messageNumber(bytes: Buffer, start: number, end: number): number {
  let at = start + hint;
  if (!isKeyAt(bytes, at)) {
    at = bytes.indexOf(key, start);
    if (at < 0 || at >= end) return -1;
    hint = at - start;
  }
  return digits(bytes, at + numberAt, 12);
}

/** The decimal number in `width` bytes from `at`; -1 if any byte is not a digit. */
export function digits(bytes: Buffer, at: number, width: number): number {
  let value = 0;
  for (let i = at; i < at + width; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Whether the bytes from `at` are equal to `pattern`. */
export function startsWith(bytes: Buffer, at: number, pattern: Buffer): boolean {
  for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) return false;
  return true;
}
