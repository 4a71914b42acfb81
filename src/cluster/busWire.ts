import { z } from 'zod';
import type { Audience, SealedMessage } from '../domain/defineEvent.js';
import type { StreamName } from '../domain/ids.js';
import { type CommitFrame, decodeEvents, Note, type Reply, receiversOf } from './bus.js';

/**
 * Increase it when an older reader would misread a newer frame. Such a reader drops the frame and reads the
 * log.
 */
const FRAME_FORMAT = 1;

const wholeNumber = z.int().min(0);

/** The first line of a frame. The users it concerns come first. Unknown fields are ignored. */
const Header = z.object({
  concerns: z.array(z.string()),
  subjects: z.array(z.string()),
  profiles: z.array(z.string()),
  format: z.literal(FRAME_FORMAT),
  partition: wholeNumber,
  position: wholeNumber,
  id: z.string(),
  epoch: wholeNumber,
  recordedAt: z.string(),
  firstOffset: wholeNumber,
  size: wholeNumber,
  root: z.string(),
  frontier: z.array(z.string()).exactOptional(),
  hash: z.string(),
  /** By stream, the members of the rooms of its events; of a group only its id. */
  members: z.array(
    z.tuple([z.string(), z.union([z.array(z.string()).readonly(), z.object({ group: z.string() })])]),
  ),
  /** By offset, the messages that pushes show. */
  messages: z.array(z.tuple([wholeNumber, z.looseObject({ messageId: z.string() })])).default([]),
});

const LINE_BREAK = 0x0a;

/** Encodes a frame as UTF-8: a line of JSON for all fields but the leaves, then one line per leaf. */
export function encodeCommit(frame: CommitFrame): Uint8Array {
  const { concerns, subjects, profiles } = receiversOf(frame);
  const {
    partition,
    position,
    id,
    epoch,
    recordedAt,
    firstOffset,
    size,
    root,
    frontier,
    hash,
    members = [],
    messages = [],
  } = frame;
  const header: z.input<typeof Header> = {
    concerns: [...concerns],
    subjects: [...subjects],
    profiles: [...profiles],
    format: FRAME_FORMAT,
    partition,
    position,
    id,
    epoch,
    recordedAt,
    firstOffset,
    size,
    root,
    ...(frontier ? { frontier: [...frontier] } : {}),
    hash,
    members: [...members].map(([stream, who]) => [stream, who]),
    // Nearly all commits have none.
    ...(messages && [...messages].length > 0
      ? { messages: [...messages].map(([at, one]) => [at, { ...one }]) }
      : {}),
  };
  return Buffer.from([JSON.stringify(header), ...frame.leaves].join('\n'));
}

/**
 * Decodes a frame. Reads only the first line now, so that a node without concerned users never parses the
 * leaves. Throws if the first line does not fit `FRAME_FORMAT`.
 */
export function decodeCommit(data: Uint8Array): CommitFrame {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const found = text.indexOf(LINE_BREAK);
  const end = found < 0 ? text.length : found;
  const {
    format: _,
    concerns,
    subjects,
    profiles,
    members,
    messages,
    ...commit
  } = Header.parse(JSON.parse(text.toString('utf8', 0, end)));
  let leaves: CommitFrame['leaves'] | undefined;
  let events: CommitFrame['events'] | undefined;
  return {
    ...commit,
    receivers: { concerns, subjects, profiles },
    // Only writers send frames, and they name streams.
    members: new Map(members as [StreamName, Audience][]),
    // Only writers send frames.
    ...(messages.length > 0 ? { messages: new Map(messages as unknown as [number, SealedMessage][]) } : {}),
    get leaves() {
      leaves ??= found < 0 ? [] : text.toString('utf8', end + 1).split('\n');
      return leaves;
    },
    get events() {
      events ??= decodeEvents(this);
      return events;
    },
  };
}

const ReplyMessage = z.union([z.object({ reply: z.unknown() }), z.enum(['undelivered', 'unanswered'])]);

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const decode = (data: Uint8Array): unknown =>
  JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString());

/** Notes, requests and replies travel as JSON. Decoding throws on any other shape. */
export const encodeNote = (note: Note): Uint8Array => encode(note);
export const decodeNote = (data: Uint8Array): Note => Note.parse(decode(data));

export const encodeRequest = (body: unknown): Uint8Array => encode(body);
export const decodeRequest = (data: Uint8Array): unknown => decode(data);

export const encodeReply = (reply: Reply): Uint8Array => encode(reply);
export const decodeReply = (data: Uint8Array): Reply => ReplyMessage.parse(decode(data));

type Report = (message: string, error: unknown) => void;

/** Limits reports to one per message in `everyMs`: input from outside must not fill the log. */
export function throttleReports(report: Report, everyMs: number): Report {
  const last = new Map<string, number>();
  return (message, error) => {
    const now = performance.now();
    if (now - (last.get(message) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
    last.set(message, now);
    report(message, error);
  };
}
