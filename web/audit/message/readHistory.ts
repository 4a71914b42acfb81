import type { ConsoleApi } from '../../console/consoleApi.js';
import type { EventRow } from '../auditTypes.js';

/** The events that are about one message: those that carry its `seq`. */
const MESSAGE_TYPES: ReadonlySet<string> = new Set([
  'MessageSent',
  'MessageEdited',
  'MessageDeleted',
  'ReactionChanged',
  'MessagePinned',
]);
/** A message has at most 50 edits; reactions may come and go for ever. */
const MAX_EVENTS = 500;

/** A message by its room and its number there. */
export interface MessagePlace {
  readonly roomId: string;
  readonly seq: number;
  /** A time at or before which it was sent, so that the log is read from there. */
  readonly since: string | undefined;
}

/** Everything that happened to a message, oldest first. */
export interface MessageHistory {
  readonly events: readonly EventRow[];
  /** Whether there are more than `MAX_EVENTS`. */
  readonly isCut: boolean;
}

/** Reads the history of a message from its room's events. */
export async function readHistory(
  api: ConsoleApi,
  { roomId, seq, since }: MessagePlace,
  signal: AbortSignal,
): Promise<MessageHistory> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const found: EventRow[] = [];
  const filter = { stream: `room:${roomId}`, since };
  for await (const events of api.lines<EventRow>('/audit/events/stream', filter, either)) {
    found.push(...events.filter(({ type, data }) => MESSAGE_TYPES.has(type) && data.seq === seq));
    if (found.length > MAX_EVENTS) return { events: found.slice(0, MAX_EVENTS), isCut: true };
  }
  return { events: found, isCut: false };
}

/** What happened, in one sentence without the name of who did it. */
export function deedOf({ type, data }: EventRow): string {
  switch (type) {
    case 'MessageSent':
      return 'sent the message';
    case 'MessageEdited':
      return `edited it, revision ${String(data.rev)}`;
    case 'MessageDeleted':
      return 'deleted it';
    case 'ReactionChanged':
      return `${data.on === true ? 'reacted with' : 'took back'} ${String(data.emoji)}`;
    case 'MessagePinned':
      return data.on === true ? 'pinned it' : 'unpinned it';
    default:
      return type;
  }
}
