import { formatUtc } from '../ui/format.js';
import type { EventRow } from './auditTypes.js';

/** `MessageSent` as `Message sent`. */
export function titleOfType(type: string): string {
  const words = type.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

const isText = (value: unknown): value is string => typeof value === 'string';

/** The part of the data that tells this event from others of its type. */
export function summaryOf({ type, data, erased }: EventRow): string {
  if (erased) return 'erased';
  const { text, name, username, upTo, resource, emoji, on, role, reason, category, action, note } = data;
  if (isText(text)) return text;
  if (isText(username)) return username;
  if (isText(name)) return name;
  if (isText(emoji))
    return on === true
      ? `${emoji} to message ${String(data.seq)}`
      : `took ${emoji} back from message ${String(data.seq)}`;
  if (isText(reason)) return reason;
  if (type === 'ReportDecided' && isText(note)) return note;
  if (isText(category)) return category;
  if (isText(action)) return action;
  if (isText(data.subscriptionId)) return subscriptionWords(data);
  if (Array.isArray(data.scopes)) return `a key for ${data.scopes.join(', ')}`;
  if (isText(role)) return `as ${role}`;
  if (type === 'MessagePinned') return `${on === true ? 'pinned' : 'unpinned'} message ${String(data.seq)}`;
  if (type === 'MessageDeleted') return `message ${String(data.seq)}`;
  if (typeof upTo === 'number')
    return `${type === 'MemberLeft' ? leaving(data) : 'read up to'} message ${upTo}`;
  return isText(resource) ? readingOf(data).join('') : '';
}

/** What became of a subscription of the host application. */
function subscriptionWords({ subscriptionId, url, to, removed, paused }: EventRow['data']): string {
  const what = removed === true ? ', removed' : paused === true ? ', paused' : '';
  return `${String(subscriptionId)}${what}: ${String(url ?? `goes on from ${String(to)}`)}`;
}

/** What somebody read, in words; the middle part is the stream that they read, as `room:<id>` or `user:<id>`. */
export function readingOf({ resource, query }: EventRow['data']): readonly [string, string, string] {
  const asked: Readonly<Record<string, unknown>> =
    typeof query === 'object' && query !== null ? { ...query } : {};
  const {
    q,
    roomId,
    userId,
    at,
    stream,
    type,
    topic,
    actor,
    partition,
    offset,
    since,
    until,
    follow,
    ...rest
  } = asked;
  const when = isText(at) ? ` at ${timeText(at)}` : '';
  if (resource === 'user' && isText(q)) return [`looked up a name: ${q}`, '', ''];
  if (resource === 'user' && isText(userId)) return ['read ', `user:${userId}`, when];
  if (resource === 'room' && isText(roomId)) return ['read ', `room:${roomId}`, when];
  if (resource !== 'events') {
    const others = Object.values({ ...asked, ...rest }).join(', ');
    return [`read ${String(resource)}${others === '' ? '' : `: ${others}`}`, '', ''];
  }
  if (isText(offset)) return [`read event ${offset} of partition ${String(partition)}`, '', ''];
  const what = [
    follow === 'true' ? 'followed ' : 'read ',
    rest.limit === '1' ? 'one event' : 'events',
    isText(type) ? ` “${titleOfType(type)}”` : isText(topic) ? ` about ${topic}` : '',
    isText(stream) ? ' of ' : '',
  ].join('');
  const limits = [
    isText(actor) ? ` done by ${actor === 'system' ? actor : `user:${actor.slice(0, 8)}`}` : '',
    isText(since) ? ` since ${timeText(since)}` : '',
    isText(until) ? ` until ${timeText(until)}` : '',
  ].join('');
  return [what, isText(stream) ? stream : '', limits];
}

/** `2026-03-04 05:06:07`; a text that is no time as it is. */
const timeText = (text: string): string => (Number.isNaN(Date.parse(text)) ? text : formatUtc(text));

const leaving = ({ by, userId }: EventRow['data']): string =>
  by === userId ? 'left after' : 'removed after';
