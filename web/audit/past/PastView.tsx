import './past.css';
import { useState } from 'preact/hooks';
import { sayWhy } from '../api.js';
import { useConsole } from '../console.js';
import { hrefOf, replaceWith } from '../route.js';
import { exactly, fieldHint, fromField, toField } from '../times.js';
import { useAnswer } from '../useAnswer.js';
import { Choose } from './Choose.js';
import { type Moments, momentsOf, placeOf, type Subject } from './moments.js';
import { RoomPast } from './RoomPast.js';
import { UserPast } from './UserPast.js';

interface Props {
  readonly query: Readonly<Record<string, string>>;
}

/** A room or a person as they were at any moment. */
export function PastView({ query }: Props) {
  const { api } = useConsole();
  const subject = subjectOf(query);
  const key = subject && `${subject.kind}:${subject.id}`;
  const answer = useAnswer<Moments | undefined>(
    key,
    async (signal) => subject && momentsOf(api, subject, signal),
  );
  const found = answer.value;
  return (
    <>
      <Choose key={key} subject={subject} />
      {answer.state === 'failed' ? (
        <p class="notice bad" role="alert">
          {sayWhy(answer.error)}
        </p>
      ) : null}
      {subject && answer.state === 'loading' ? <p role="status">Reading when it changed…</p> : null}
      {subject && answer.state === 'ready' && found?.moments.length === 0 ? (
        <p role="status">The log has nothing of it.</p>
      ) : null}
      {subject && answer.state === 'ready' && found && found.moments.length > 0 ? (
        <Slider key={key} subject={subject} found={found} begin={query.at} />
      ) : null}
    </>
  );
}

const subjectOf = ({ room, user }: Props['query']): Subject | undefined =>
  room ? { kind: 'room', id: room } : user ? { kind: 'user', id: user } : undefined;

interface SliderProps {
  readonly subject: Subject;
  readonly found: Moments;
  readonly begin: string | undefined;
}

function Slider({ subject, found: { moments, isCut }, begin }: SliderProps) {
  const last = moments.at(-1)?.at ?? '';
  const [at, setAt] = useState(begin ?? last);
  const place = placeOf(moments, at);
  const moment = moments[place];
  const show = (next: string | undefined): void => {
    if (next === undefined) return;
    setAt(next);
    replaceWith(hrefOf('past', { [subject.kind]: subject.id, at: next }));
  };
  return (
    <>
      <section class="panel slider" aria-label="The moment">
        <div class="ends">
          <label for="place">
            Moment {place + 1} of {moments.length}
            {isCut ? ' (the first ones only)' : ''}
          </label>
          <output for="place">
            {exactly(at)} <strong>{at === moment?.at ? moment.what : ''}</strong>
          </output>
        </div>
        <input
          id="place"
          type="range"
          min={0}
          max={moments.length - 1}
          step={1}
          value={place}
          aria-valuetext={`${exactly(at)}, ${moment?.what ?? ''}`}
          onInput={({ currentTarget }) => show(moments[Number(currentTarget.value)]?.at)}
        />
        <div class="row">
          <button
            class="button"
            type="button"
            disabled={place === 0}
            onClick={() => show(moments[place - 1]?.at)}
          >
            Earlier
          </button>
          <button
            class="button"
            type="button"
            disabled={place === moments.length - 1}
            onClick={() => show(moments[place + 1]?.at)}
          >
            Later
          </button>
          <label class="any">
            Any moment (UTC)
            <input
              class="input"
              type="text"
              placeholder={fieldHint}
              value={toField(at)}
              onChange={({ currentTarget }) => show(fromField(currentTarget.value))}
            />
          </label>
        </div>
      </section>
      {subject.kind === 'room' ? <RoomPast id={subject.id} at={at} /> : <UserPast id={subject.id} at={at} />}
    </>
  );
}
