import { randomUUID } from 'node:crypto';
import type { FrameTemplate } from './frames.js';

/** What a frame of the server meant. */
export interface Sink {
  /** The push of the message with this number. */
  delivered(message: number): void;
  /** The answer to the send of the message with this number. */
  acknowledged(message: number): void;
  refused(message: number, code: string): void;
  /** The answer to any other request. */
  answered(id: number, answer: unknown, error: string | undefined): void;
  /** The connection may be used. */
  opened(): void;
  /** All that was missed has been pushed. */
  caughtUp(): void;
  reply(text: string): void;
}

/** How one kind of server talks over its WebSocket: the same load can then be put on each. */
export interface Dialect {
  /** Path and query of the upgrade. */
  readonly path: string;
  /** The server speaks first; else `opened` is not waited for. */
  readonly greets: boolean;
  /** The text of a request; `id` is below `firstSend`. */
  request(id: number, event: string, data: unknown): string;
  /** Fill it with `firstSend` plus the message's number, and the number itself. */
  template(roomId: string, text: string): FrameTemplate;
  /** Reads the payload from `start` to `end`; a frame with a message in it is found by its bytes, not parsed. */
  read(bytes: Buffer, start: number, end: number, sink: Sink): void;
}

/** Ids from here on are those of sends; what is above it is the message's number. */
export const firstSend = 1_000_000_000;

/** A UUID whose last twelve digits are the message's number; the rest tells this run from others. */
const messagePrefix = randomUUID().slice(0, 24);

export const sendField = String(firstSend);
export const messageField = '999999999999';
export const messageIdField = `${messagePrefix}${messageField}`;

const key = Buffer.from('"messageId":"');
const numberAt = key.length + messagePrefix.length;
// Frames of one kind have the same beginning, so the key is nearly always where it was in the last one.
let hint = 0;

function isKeyAt(bytes: Buffer, at: number): boolean {
  for (let i = 0; i < key.length; i++) if (bytes[at + i] !== key[i]) return false;
  return true;
}

/** The number of the message in a frame; -1 when there is none of this run. */
export function messageNumber(bytes: Buffer, start: number, end: number): number {
  let at = start + hint;
  if (!isKeyAt(bytes, at)) {
    at = bytes.indexOf(key, start);
    if (at < 0 || at >= end) return -1;
    hint = at - start;
  }
  return digits(bytes, at + numberAt, 12);
}

/** The decimal number in `width` bytes from `at`; -1 when they are not all digits. */
export function digits(bytes: Buffer, at: number, width: number): number {
  let value = 0;
  for (let i = at; i < at + width; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Whether the bytes from `at` are these. */
export function startsWith(bytes: Buffer, at: number, pattern: Buffer): boolean {
  for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) return false;
  return true;
}
