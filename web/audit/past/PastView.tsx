import { FailureNotice } from '../../console/FailureNotice.js';
import './past.css';
import { goTo, replaceAddress } from '../../console/route.js';
import { TimeField } from '../../console/TimeField.js';
import { formatUtcMs, parseTimeField, pluralize } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import { useConsole } from '../consoleContext.js';
import { hrefOf } from '../route.js';
import { type Changes, changeIndexAt, MAX_CHANGES, readChanges, type Subject } from './changes.js';
import { MembersPanel } from './MembersPanel.js';
import { RoomState, UserState } from './PastState.js';
import { SubjectForm } from './SubjectForm.js';

interface Props {
  readonly query: Readonly<Record<string, string>>;
}

/** A room or a user as they were at a point in time. */
export function PastView({ query }: Props) {
  const { api } = useConsole();
  const subject = subjectOf(query);
  const key = subject && `${subject.kind}:${subject.id}`;
  const request = useRequest<Changes | undefined>(
    key,
    async (signal) => subject && readChanges(api, subject, signal),
  );
  const found = request.state === 'ready' ? request.value : undefined;
  return (
    <>
      <SubjectForm key={key} subject={subject} />
      {request.state === 'failed' ? <FailureNotice error={request.error} /> : null}
      {subject && request.state === 'loading' ? <p role="status">Loading changes…</p> : null}
      {subject && found?.changes.length === 0 ? (
        <p role="status">The log has no events of this {subject.kind}.</p>
      ) : null}
      {subject && found && found.changes.length > 0 ? (
        <TimeSlider key={key} subject={subject} found={found} asked={query.at} />
      ) : null}
    </>
  );
}

const subjectOf = ({ room, user }: Props['query']): Subject | undefined =>
  room ? { kind: 'room', id: room } : user ? { kind: 'user', id: user } : undefined;

interface TimeSliderProps {
  readonly subject: Subject;
  readonly found: Changes;
  /** The time in the address; without one, or with a text that is no time, the slider is at the last change. */
  readonly asked: string | undefined;
}

/** Selects a change or any other time, and shows the subject's state at that time. */
function TimeSlider({ subject, found, asked }: TimeSliderProps) {
  const { changes, isCut } = found;
  const at = (asked && parseTimeField(asked, 9)) ?? changes.at(-1)?.at ?? '';
  const index = changeIndexAt(changes, at);
  const change = changes[index];
  const addressAt = (next: string): string => hrefOf('past', { [subject.kind]: subject.id, at: next });
  const show = (next: string | undefined): void => {
    if (next !== undefined && next !== at) goTo(addressAt(next));
  };
  // A slider that is dragged passes many times; Back goes over all of them at once.
  const slideTo = (next: string | undefined): void => {
    if (next !== undefined) replaceAddress(addressAt(next));
  };
  const stepButton = (text: string, next: number) => (
    <button
      class="button"
      type="button"
      disabled={changes[next] === undefined}
      onClick={() => show(changes[next]?.at)}
    >
      {text}
    </button>
  );
  return (
    <>
      <section class="panel slider" aria-label="Time">
        <div class="ends">
          <label for="change">
            {placeText(changes, index, at)}
            {isCut ? ` (only the first ${MAX_CHANGES.toLocaleString('en')} are shown)` : ''}
          </label>
          <output for="change">
            {formatUtcMs(at)} <strong>{at === change?.at ? change.title : ''}</strong>
          </output>
        </div>
        <input
          id="change"
          type="range"
          min={0}
          max={changes.length - 1}
          step={1}
          value={index}
          aria-valuetext={`${formatUtcMs(at)}, ${change?.title ?? ''}`}
          onInput={({ currentTarget }) => slideTo(changes[Number(currentTarget.value)]?.at)}
        />
        <div class="row">
          {stepButton('Previous change', index - 1)}
          {stepButton('Next change', index + 1)}
          <div class="any">
            <TimeField
              name="at"
              label="Time"
              value={asked ?? at}
              onChange={(text) => show(parseTimeField(text, 9))}
            />
          </div>
        </div>
      </section>
      <SubjectAt {...{ subject, found, at }} onTime={show} />
    </>
  );
}

function placeText(changes: Changes['changes'], index: number, at: string): string {
  const [first] = changes;
  if (first && at < first.at) return `Before the first of ${pluralize(changes.length, 'change')}`;
  return `Change ${index + 1} of ${changes.length}`;
}

interface SubjectAtProps {
  readonly subject: Subject;
  readonly found: Changes;
  readonly at: string;
  readonly onTime: (at: string) => void;
}

/** The subject at the time, or that it did not exist yet. */
function SubjectAt({ subject: { kind, id }, found, at, onTime }: SubjectAtProps) {
  const { changes, members, createdAt } = found;
  // The server compares milliseconds too.
  const hasBegun = createdAt !== undefined && createdAt.slice(0, 23) <= at.slice(0, 23);
  if (!hasBegun) return <NotYet {...{ kind, createdAt, onTime }} />;
  if (kind === 'user') return <UserState userId={id} at={at} />;
  return (
    <>
      <MembersPanel
        {...{ roomId: id, members, at, onTime }}
        from={changes[0]?.at ?? at}
        to={changes.at(-1)?.at ?? at}
      />
      <RoomState roomId={id} at={at} />
    </>
  );
}

interface NotYetProps extends Pick<SubjectAtProps, 'onTime'> {
  readonly kind: Subject['kind'];
  readonly createdAt: string | undefined;
}

/** Says that the subject did not exist at the time, and leads to its beginning. */
function NotYet({ kind, createdAt, onTime }: NotYetProps) {
  if (createdAt === undefined)
    return (
      <p class="notice" role="status">
        {kind === 'room'
          ? 'These two users have no chat. The log has only events about the two, such as a friendship or a block.'
          : 'The log has no sign-up of this user.'}
      </p>
    );
  const [state, beginning] =
    kind === 'room'
      ? ['This room did not exist yet.', 'It was created at']
      : ['This user had not signed up yet.', 'They signed up at'];
  return (
    <div class="notice row">
      <span role="status">
        {state} {beginning} {formatUtcMs(createdAt)}.
      </span>
      <button class="button" type="button" onClick={() => onTime(createdAt)}>
        Go to that time
      </button>
    </div>
  );
}
