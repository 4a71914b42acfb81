import { ClientError, type User } from '@parley/client';
import { useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { Question } from '../../console/Dialog.js';
import { displayName } from '../../ui/displayName.js';
import { pluralize } from '../../ui/format.js';
import { type Report, type ReportInContext, useVisitor } from '../adminContext.js';

/** The user whom a decision can suspend: whom the report names, else who sent all of its messages. */
export function suspectOf({ userId, messageIds }: Report, { messages }: ReportInContext): string | undefined {
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
  if (parts.length === 0) return 'Close without action';
  const all = `${parts.join(', ')} and close`;
  return `${all.slice(0, 1).toUpperCase()}${all.slice(1)}`;
}

interface Props {
  readonly report: Report;
  readonly context: ReportInContext;
  /** The ids of the messages to delete. */
  readonly marked: ReadonlySet<string>;
  /** `isLate`: somebody else had decided it in another way before. */
  readonly onDecided: (isLate: boolean) => void;
}

/** Closes a report. The decision may be sent again after a failure: the server finishes the same one. */
export function DecisionForm({ report, context, marked, onDecided }: Props) {
  const { api } = useVisitor();
  const [isSuspending, setSuspending] = useState(false);
  const [note, setNote] = useState('');
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const suspect = suspectOf(report, context);
  const user = context.users.find(({ userId }) => userId === suspect);
  const name = user ? displayName(user) : 'the user';
  const decide = async (): Promise<void> => {
    const decision = {
      ...(marked.size > 0 ? { delete: [...marked] } : {}),
      ...(isSuspending ? { suspend: true } : {}),
      note: note.trim(),
    };
    const isLate = await api.send('POST', `/admin/reports/${report.reportId}/decision`, decision).then(
      () => false,
      (reason: unknown) => {
        if (reason instanceof ClientError && reason.code === 'conflict') return true;
        throw reason;
      },
    );
    onDecided(isLate);
  };
  const close = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await decide();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const isAction = marked.size > 0 || isSuspending;
  const action = actionText(marked.size, isSuspending ? name : undefined);
  return (
    <section class="panel" aria-label="Decision">
      <h2>Decision</h2>
      <form
        class="decision"
        onSubmit={(event) => {
          event.preventDefault();
          if (isAction) setAsking(true);
          else void close();
        }}
      >
        {suspect === undefined ? (
          <p class="quiet">
            {report.messageIds
              ? 'Several users wrote these messages: suspend them one by one under Users.'
              : 'This report names no user who could be suspended.'}
          </p>
        ) : (
          <SuspensionChoice {...{ name, user, isSuspending }} onChange={setSuspending} />
        )}
        <NoteField note={note} onWrite={setNote} />
        {error === undefined ? null : (
          <p class="error" role="alert">
            {describeError(error)}
          </p>
        )}
        <div class="row">
          <button class={`button ${isAction ? 'danger' : 'primary'}`} type="submit" disabled={isBusy}>
            {action}
          </button>
          {marked.size > 0 ? <span class="quiet">A deletion destroys the text permanently.</span> : null}
        </div>
      </form>
      {isAsking ? (
        <DecisionQuestion
          action={action}
          isDeleting={marked.size > 0}
          suspended={isSuspending ? name : undefined}
          onClose={() => setAsking(false)}
          onConfirm={decide}
        />
      ) : null}
    </section>
  );
}

interface NoteProps {
  readonly note: string;
  readonly onWrite: (note: string) => void;
}

function NoteField({ note, onWrite }: NoteProps) {
  return (
    <div class="field">
      <label for="note">Note</label>
      <textarea
        class="input"
        id="note"
        name="note"
        required
        maxlength={1000}
        dir="auto"
        value={note}
        onInput={({ currentTarget }) => onWrite(currentTarget.value)}
      />
      <span class="hint">Kept in the log. It is also the reason of a suspension.</span>
    </div>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly user: User | undefined;
  readonly isSuspending: boolean;
  readonly onChange: (isSuspending: boolean) => void;
}

function SuspensionChoice({ name, user, isSuspending, onChange }: ChoiceProps) {
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={isSuspending}
        disabled={user?.suspended === true || user?.erased === true}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <span>
        Suspend {name}
        {user?.suspended ? ' (is suspended already)' : ''}
      </span>
    </label>
  );
}

interface QuestionProps {
  readonly action: string;
  readonly isDeleting: boolean;
  /** The name of the user who is to be suspended. */
  readonly suspended: string | undefined;
  readonly onClose: () => void;
  readonly onConfirm: () => Promise<void>;
}

/** Asks before a decision that destroys texts or suspends somebody. */
function DecisionQuestion({ action, isDeleting, suspended, onClose, onConfirm }: QuestionProps) {
  return (
    <Question title={`${action}?`} {...{ action, onClose, onConfirm }} isDangerous>
      {isDeleting ? <p>The text of a deleted message is destroyed. You cannot undo this.</p> : null}
      {suspended === undefined ? null : (
        <p>All sessions of {suspended} end within a second. A suspension can be ended under Users.</p>
      )}
      <p>A decision cannot be changed.</p>
    </Question>
  );
}
