import { useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { displayName } from '../../ui/displayName.js';
import { pluralize } from '../../ui/format.js';
import { type Report, type ReportInContext, useVisitor } from '../adminContext.js';

/** The user whom a decision can suspend: whom the report names, else who sent all of its messages. */
function suspectOf({ userId, messageIds }: Report, { messages }: ReportInContext): string | undefined {
  if (userId !== undefined) return userId;
  const reported = messages.filter(({ messageId }) => messageIds?.includes(messageId));
  const senders = new Set(reported.map(({ senderId }) => senderId));
  return senders.size === 1 ? reported[0]?.senderId : undefined;
}

/** What the button says that it does. */
function actionText(deletions: number, name: string | undefined): string {
  const parts = [
    ...(deletions > 0 ? [`delete ${pluralize(deletions, 'message')}`] : []),
    ...(name === undefined ? [] : [`suspend ${name}`]),
  ];
  const [first, ...rest] = [...parts, 'close'];
  if (parts.length === 0) return 'Close without action';
  return `${first?.slice(0, 1).toUpperCase()}${first?.slice(1)}${rest.map((part) => ` and ${part}`).join('')}`;
}

interface Props {
  readonly report: Report;
  readonly context: ReportInContext;
  /** The ids of the messages to delete. */
  readonly marked: ReadonlySet<string>;
  readonly onDecided: () => void;
}

/** Closes a report. The decision may be sent again after a failure: the server finishes the same one. */
export function DecisionForm({ report, context, marked, onDecided }: Props) {
  const { api } = useVisitor();
  const [isSuspending, setSuspending] = useState(false);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const suspect = suspectOf(report, context);
  const user = context.users.find(({ userId }) => userId === suspect);
  const name = user ? displayName(user) : 'the user';
  const decide = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const note = String(new FormData(event.currentTarget).get('note') ?? '').trim();
    setBusy(true);
    setError(undefined);
    try {
      await api.send('POST', `/admin/reports/${report.reportId}/decision`, {
        ...(marked.size > 0 ? { delete: [...marked] } : {}),
        ...(isSuspending ? { suspend: true } : {}),
        note,
      });
      onDecided();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const isAction = marked.size > 0 || isSuspending;
  return (
    <section class="panel" aria-label="Decision">
      <h2>Decision</h2>
      <form class="decision" onSubmit={(event) => void decide(event)}>
        {suspect === undefined ? (
          <p class="quiet">
            {report.messageIds
              ? 'Several users wrote these messages: suspend them one by one under Users.'
              : 'This report names no user who could be suspended.'}
          </p>
        ) : (
          <label class="choice">
            <input
              type="checkbox"
              checked={isSuspending}
              disabled={user?.suspended === true || user?.erased === true}
              onChange={({ currentTarget }) => setSuspending(currentTarget.checked)}
            />
            <span>
              Suspend {name}
              {user?.suspended ? ' (is suspended already)' : ''}
            </span>
          </label>
        )}
        <div class="field">
          <label for="note">Note</label>
          <textarea class="input" id="note" name="note" required maxlength={1000} dir="auto" />
          <span class="hint">Kept in the log. It is also the reason of a suspension.</span>
        </div>
        {error === undefined ? null : (
          <p class="error" role="alert">
            {describeError(error)}
          </p>
        )}
        <div class="row">
          <button class={`button ${isAction ? 'danger' : 'primary'}`} type="submit" disabled={isBusy}>
            {actionText(marked.size, isSuspending ? name : undefined)}
          </button>
          {marked.size > 0 ? <span class="quiet">A deletion destroys the text for good.</span> : null}
        </div>
      </form>
    </section>
  );
}
