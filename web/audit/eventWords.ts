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
  if (isText(role)) return `as ${role}`;
  if (type === 'MessagePinned') return `${on === true ? 'pinned' : 'unpinned'} message ${String(data.seq)}`;
  if (type === 'MessageDeleted') return `message ${String(data.seq)}`;
  if (typeof upTo === 'number')
    return `${type === 'MemberLeft' ? leaving(data) : 'read up to'} message ${upTo}`;
  return isText(resource) ? `read ${resource}` : '';
}

/** What became of a subscription of the host application. */
function subscriptionWords({ subscriptionId, url, to, removed, paused }: EventRow['data']): string {
  const what = removed === true ? ', removed' : paused === true ? ', paused' : '';
  return `${String(subscriptionId)}${what}: ${String(url ?? `goes on from ${String(to)}`)}`;
}

const leaving = ({ by, userId }: EventRow['data']): string =>
  by === userId ? 'left after' : 'removed after';
