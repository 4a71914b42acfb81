import type { Message, User } from '@parley/client';
import { useState } from 'preact/hooks';
import { FailureNotice } from '../../console/FailureNotice.js';
import { Field } from '../../console/Field.js';
import { addressOf } from '../../console/route.js';
import { UserName, UserNames, useFreshUsers } from '../../console/userNames.js';
import { displayName } from '../../ui/displayName.js';
import { formatUtc, formatUtcMs, pluralize } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import { type Report, type ReportedRoom, type ReportInContext, useVisitor } from '../adminContext.js';
import { DecisionForm, suspectOf } from './DecisionForm.js';
import { DeciderName, ReportSubject, verdictText } from './ReportsView.js';

/** A report with the reported messages and those around them, and its decision or the form for one. */
export function ReportView({ reportId }: { readonly reportId: string }) {
  const { api } = useVisitor();
  const [version, setVersion] = useState(0);
  const [isLate, setLate] = useState(false);
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const request = useRequest(String(version), (signal) =>
    api.json<ReportInContext>(`/admin/reports/${encodeURIComponent(reportId)}`, {}, signal),
  );
  useFreshUsers(request.value?.users);
  if (request.state === 'failed') return <FailureNotice error={request.error} />;
  if (!request.value) return <p role="status">Loading…</p>;
  const { report, room, users, messages, editedSince } = request.value;
  const mark = (messageId: string, isMarked: boolean): void => {
    const next = new Set(marked);
    if (isMarked) next.add(messageId);
    else next.delete(messageId);
    setMarked(next);
  };
  return (
    <>
      <p>
        <a href={addressOf('reports', { state: report.decided ? 'closed' : undefined })}>All reports</a>
      </p>
      <ReportFacts report={report} room={room} suspect={suspectOf(report, request.value)} />
      {messages.length === 0 ? null : (
        <section class="panel" aria-label="Messages">
          <h2>Messages</h2>
          <p class="quiet">
            The reported messages, and up to 5 before and after each that the reporter could see.
          </p>
          <ol class="messages">
            {messages.map((message) => (
              <ReportedMessage
                key={message.messageId}
                {...{ message, users, report, mark }}
                before={editedSince.find(({ messageId }) => messageId === message.messageId)}
              />
            ))}
          </ol>
        </section>
      )}
      {report.decided ? (
        <DecidedPanel decided={report.decided} isLate={isLate} />
      ) : (
        <DecisionForm
          report={report}
          context={request.value}
          marked={marked}
          onDecided={(late) => {
            setLate(late);
            setVersion(version + 1);
          }}
        />
      )}
    </>
  );
}

interface FactsProps {
  readonly report: Report;
  readonly room: ReportedRoom | undefined;
  readonly suspect: string | undefined;
}

function ReportFacts({ report, room, suspect }: FactsProps) {
  const { roles } = useVisitor();
  const { category, note, reporterId, reportedAt } = report;
  return (
    <section class="panel" aria-label="Report">
      <h2>
        <ReportSubject report={report} suspect={suspect} /> <span class="badge warning">{category}</span>
      </h2>
      {note ? <blockquote dir="auto">{note}</blockquote> : null}
      {note === null ? <p class="quiet">The note is erased with its author.</p> : null}
      <dl class="fields">
        <Field name="Reported by">
          <UserName id={reporterId} />
        </Field>
        <Field name="Reported at">{formatUtcMs(reportedAt)}</Field>
        {report.roomId === undefined ? null : (
          <Field name="Room">
            {room ? <RoomWords room={room} /> : 'The reporter cannot see the room any more.'}
          </Field>
        )}
      </dl>
      <div class="row">
        {suspect === undefined ? null : (
          <a class="button" href={addressOf('users', { q: suspect })}>
            Open the user
          </a>
        )}
        {roles.includes('auditor') && report.roomId !== undefined ? (
          <a class="button" href={`/audit${location.search}#/events?stream=room:${report.roomId}`}>
            Events of the room
          </a>
        ) : null}
      </div>
    </section>
  );
}

/** What a moderator may know of the room. */
function RoomWords({ room: { roomType, name, members, memberIds = [] } }: { readonly room: ReportedRoom }) {
  if (roomType === 'GROUP')
    return (
      <>
        Group {name == null ? 'whose name is erased' : <strong dir="auto">{name}</strong>}
        {members === undefined ? '' : `, ${pluralize(members, 'member')}`}
      </>
    );
  return (
    <>
      Private chat of <UserNames ids={memberIds} />
    </>
  );
}

interface ReportedMessageProps {
  readonly message: Message;
  /** The text at the time of the report, if the message was edited since. */
  readonly before: { readonly message: string | null } | undefined;
  readonly users: readonly User[];
  readonly report: Report;
  readonly mark: (messageId: string, isMarked: boolean) => void;
}

function ReportedMessage({ message, before, users, report, mark }: ReportedMessageProps) {
  const { messageId, senderId, sentAt, deleted, erased } = message;
  const isReported = report.messageIds?.includes(messageId) === true;
  const sender = users.find(({ userId }) => userId === senderId);
  return (
    <li data-reported={isReported}>
      <span class="from">{sender ? displayName(sender) : <UserName id={senderId} />}</span>
      <span class="text" dir="auto">
        {message.message ?? <em>{erased ? 'erased' : 'deleted'}</em>}
      </span>
      <time dateTime={sentAt}>{formatUtc(sentAt)}</time>
      {isReported ? (
        <span class="mark">
          <span class="badge bad">reported</span>
          <WhatBecame message={message} before={before} />
          {report.decided || deleted || erased ? null : (
            <label class="choice">
              <input
                type="checkbox"
                onChange={({ currentTarget }) => mark(messageId, currentTarget.checked)}
              />
              Delete this message
            </label>
          )}
        </span>
      ) : null}
    </li>
  );
}

/** Whether a reported message was edited or deleted. */
function WhatBecame({ message, before }: Pick<ReportedMessageProps, 'message' | 'before'>) {
  const { deleted, editedAt } = message;
  return (
    <>
      {before && editedAt !== undefined ? (
        <>
          <span class="badge warning">edited since</span>
          <span class="quiet">
            at {formatUtc(editedAt)}. Text at the time of the report:{' '}
            <q dir="auto">{before.message ?? 'erased'}</q>
          </span>
        </>
      ) : null}
      {!before && editedAt !== undefined && !deleted ? (
        <span class="quiet">Edited at {formatUtc(editedAt)}, before the report.</span>
      ) : null}
      {deleted ? (
        <>
          <span class="badge warning">{message.message === null ? 'deleted' : 'deleted since'}</span>
          <span class="quiet">
            by <UserName id={deleted.by} />.
            {message.message === null
              ? ''
              : ' The text is kept as evidence until the decision, for 30 days at the most.'}
          </span>
        </>
      ) : null}
    </>
  );
}

function DecidedPanel({
  decided,
  isLate,
}: {
  readonly decided: NonNullable<Report['decided']>;
  readonly isLate: boolean;
}) {
  const { by, at, note } = decided;
  return (
    <section class="panel" aria-label="Decision">
      <h2>Decision</h2>
      {isLate ? (
        <p class="notice" role="alert">
          Somebody else had decided this report. What you chose was not done.
        </p>
      ) : null}
      <p role="status">{verdictText(decided)}</p>
      <dl class="fields">
        <Field name="Decided by">
          <DeciderName id={by} />
        </Field>
        <Field name="Decided at">{formatUtcMs(at)}</Field>
        <Field name="Note">
          <span dir="auto">{note ?? 'erased'}</span>
        </Field>
      </dl>
    </section>
  );
}
