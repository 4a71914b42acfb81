import { z } from 'zod';
import type { CommitFrame } from './bus.js';
import { eventsOf } from './frame.js';

/** Changed when an older reader would misread a newer text: it then leaves the frame, and reads the log. */
const FORMAT = 1;

const whole = z.int().min(0);

/** The first line. Whom it is about comes first; fields that are not known are passed over. */
const Header = z.object({
  concerns: z.array(z.string()),
  subjects: z.array(z.string()),
  format: z.literal(FORMAT),
  partition: whole,
  position: whole,
  id: z.string(),
  epoch: whole,
  recordedAt: z.string(),
  firstOffset: whole,
  size: whole,
  root: z.string(),
  frontier: z.array(z.string()).exactOptional(),
  hash: z.string(),
});

const LINE_BREAK = 0x0a;

/** The frame as UTF-8 text: a line of JSON for all but the leaves, then each leaf's own text, a line each. */
export function encodeCommit(frame: CommitFrame): Uint8Array {
  const {
    concerns,
    subjects,
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
  } = frame;
  const header: z.infer<typeof Header> = {
    concerns: [...concerns],
    subjects: [...subjects],
    format: FORMAT,
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
  };
  return Buffer.from([JSON.stringify(header), ...frame.leaves].join('\n'));
}

/**
 * The frame of such a text; only its first line is read now, so a node that hosts none of those concerned never looks
 * at the leaves. Throws when that line is not one of this format.
 */
export function decodeCommit(data: Uint8Array): CommitFrame {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const found = text.indexOf(LINE_BREAK);
  const end = found < 0 ? text.length : found;
  const { format: _, ...header } = Header.parse(JSON.parse(text.toString('utf8', 0, end)));
  let leaves: CommitFrame['leaves'] | undefined;
  let events: CommitFrame['events'] | undefined;
  return {
    ...header,
    get leaves() {
      leaves ??= found < 0 ? [] : text.toString('utf8', end + 1).split('\n');
      return leaves;
    },
    get events() {
      events ??= eventsOf(this);
      return events;
    },
  };
}
