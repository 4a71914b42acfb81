import { z } from 'zod';
import type { NodeId, Reply } from './bus.js';
import { Note } from './note.js';

const NoteMessage = z.object({ from: z.string(), note: Note });
const RequestMessage = z.object({ from: z.string(), body: z.unknown() });
const ReplyMessage = z.union([z.object({ reply: z.unknown() }), z.enum(['nobody', 'silent'])]);

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const decode = (data: Uint8Array): unknown =>
  JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString());

/** What is not a commit travels as JSON; reading it back throws on what is not of its kind. */
export const encodeNote = (from: NodeId, note: Note): Uint8Array =>
  encode({ from, note } satisfies z.input<typeof NoteMessage>);
export const decodeNote = (data: Uint8Array): { from: NodeId; note: Note } => NoteMessage.parse(decode(data));

export const encodeRequest = (from: NodeId, body: unknown): Uint8Array =>
  encode({ from, body } satisfies z.input<typeof RequestMessage>);
export const decodeRequest = (data: Uint8Array): { from: NodeId; body: unknown } =>
  RequestMessage.parse(decode(data));

export const encodeReply = (reply: Reply): Uint8Array => encode(reply);
export const decodeReply = (data: Uint8Array): Reply => ReplyMessage.parse(decode(data));
