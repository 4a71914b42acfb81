import { FailureNotice } from '../../console/FailureNotice.js';
import { PageButtons, usePages } from '../../console/Pages.js';
import { addressOf, type Query } from '../../console/route.js';
import { UserName } from '../../console/userNames.js';
import { formatUtc, pluralize } from '../../ui/format.js';
import { type Report, type ReportDecided, useVisitor } from '../adminContext.js';
import { ReportView } from './ReportView.js';

const states = { open: 'Open', closed: 'Closed' } as const;
type State = keyof typeof states;

/** The queue of reports, or one of them. */
export function ReportsView({ query: { id, state } }: { readonly query: Query }) {
  if (id) return <ReportView key={id} reportId={id} />;
  const shown: State = state === 'closed' ? 'closed' : 'open';
  return (
    <>
      <nav aria-label="Reports by state">
        <ul class="row">
          {(['open', 'closed'] as const).map((each) => (
            <li key={each}>
              <a
                class="button"
                href={addressOf('reports', { state: each })}
                aria-current={each === shown ? 'true' : undefined}
              >
                {states[each]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <ReportPages key={shown} state={shown} />
    </>
  );
}

interface ReportsPage {
  readonly reports: readonly Report[];
  readonly next?: string;
}

const emptyTexts = { open: 'No report is open.', closed: 'No report was decided yet.' } as const;
const orderTexts = { open: 'oldest first', closed: 'newest first' } as const;

function ReportPages({ state }: { readonly state: State }) {
  const { api } = useVisitor();
  const pages = usePages<ReportsPage>((next, signal) => api.json('/admin/reports', { state, next }, signal));
  const { request } = pages;
  if (request.state === 'failed') return <FailureNotice error={request.error} />;
  if (!request.value) return <p role="status">Loading…</p>;
  const { reports } = request.value;
  return (
    <section aria-label={`${states[state]} reports`} aria-busy={request.state === 'loading'}>
      <p class="quiet" role="status">
        {reports.length === 0
          ? emptyTexts[state]
          : `${pages.number > 1 || request.value.next !== undefined ? `Page ${pages.number}: ` : ''}${pluralize(reports.length, 'report')}, ${orderTexts[state]}.`}
      </p>
      <ol class="list reports">
        {reports.map((report) => (
          <li key={report.reportId}>
            <ReportLine report={report} />
          </li>
        ))}
      </ol>
      <PageButtons pages={pages} />
    </section>
  );
}

function ReportLine({ report }: { readonly report: Report }) {
  const { reportId, reportedAt, reporterId, category, note, first, decided } = report;
  return (
    <a href={addressOf('reports', { id: reportId })}>
      <span class="badge warning">{category}</span>
      <span class="about">
        <ReportSubject report={report} />
      </span>
      <span class="note quiet" dir="auto">
        {[excerptText(first), note ?? ''].filter((text) => text !== '').join(' · ')}
      </span>
      <span class="by">
        by <UserName id={reporterId} />
      </span>
      <time dateTime={reportedAt}>{formatUtc(reportedAt)}</time>
      {decided ? (
        <span class="verdict">
          {verdictText(decided)} Decided by <DeciderName id={decided.by} />{' '}
          <time dateTime={decided.at}>{formatUtc(decided.at)}</time>
        </span>
      ) : null}
    </a>
  );
}

/** What was decided of a report. */
export function verdictText({ decision }: ReportDecided): string {
  const done = [
    ...(decision.delete ? [`${pluralize(decision.delete.length, 'message')} deleted`] : []),
    ...(decision.suspend ? ['user suspended'] : []),
  ];
  return done.length === 0 ? 'Closed without action.' : `Closed: ${done.join(', ')}.`;
}

/** Who decided a report. */
export const DeciderName = ({ id }: { readonly id: string }) =>
  id === 'system' ? <>an operator</> : <UserName id={id} />;

/** How the first reported message begins. */
function excerptText(first: Report['first']): string {
  if (!first) return '';
  return first.excerpt === null ? '(deleted)' : `“${first.excerpt}”`;
}

/** What a report is about, in a few words. */
export function ReportSubject({
  report: { messageIds, userId, roomId, first },
  suspect,
}: {
  readonly report: Report;
  /** Who is reported, if it is known otherwise. */
  readonly suspect?: string | undefined;
}) {
  const messages = messageIds ? pluralize(messageIds.length, 'message') : undefined;
  const named = userId ?? suspect ?? first?.senderId;
  if (named !== undefined)
    return (
      <>
        <UserName id={named} />
        {messages === undefined ? '' : `, ${messages}`}
      </>
    );
  return <>{messages ?? (roomId === undefined ? 'Something' : 'A room')}</>;
}
