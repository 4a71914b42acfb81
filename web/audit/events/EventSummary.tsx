import { UserName } from '../../console/userNames.js';
import { pluralize } from '../../ui/format.js';
import type { EventRow } from '../auditTypes.js';
import { readingOf, summaryOf } from '../eventWords.js';
import { KnownRoomName } from '../RoomName.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The user, other than who has done it, whom an event is about. All events name that user alike. */
function userOf({ data: { target, userId }, actor }: EventRow): string | undefined {
  const user = target ?? userId;
  return typeof user === 'string' && UUID.test(user) && user !== actor ? user : undefined;
}

/** About whom or what an event is, on its line: the other user, and what tells the event from others of its type. */
export function EventSummary({ event }: { readonly event: EventRow }) {
  if (event.type === 'AuditRead') return <Reading event={event} />;
  const user = userOf(event);
  const what = [decisionOf(event), summaryOf(event)].filter((part) => part !== '').join(': ');
  return (
    <>
      {user === undefined ? null : <UserName id={user} />}
      {user === undefined || what === '' ? '' : ', '}
      {what}
    </>
  );
}

/** What somebody read, with the names that the console knows. */
function Reading({ event: { data } }: { readonly event: EventRow }) {
  const [before, stream, after] = readingOf(data);
  const [kind, id = ''] = stream.split(':');
  return (
    <>
      {before}
      {kind === 'room' ? <KnownRoomName id={id} /> : kind === 'user' ? <UserName id={id} /> : stream}
      {after}
    </>
  );
}

/** What a report's decision does. */
function decisionOf({ data: { decision } }: EventRow): string {
  if (typeof decision !== 'object' || decision === null) return '';
  const deleted = 'delete' in decision && Array.isArray(decision.delete) ? decision.delete.length : 0;
  const isSuspended = 'suspend' in decision && decision.suspend === true;
  const done = [
    ...(deleted > 0 ? [`delete ${pluralize(deleted, 'message')}`] : []),
    ...(isSuspended ? ['suspend the user'] : []),
  ];
  return done.length === 0 ? 'no action' : done.join(', ');
}
