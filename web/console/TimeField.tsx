import './timeField.css';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { formatTimeField, parseTimeField, TIME_FIELD_HINT } from '../ui/format.js';
import { useTyped } from '../ui/hooks.js';
import { Question } from './Dialog.js';
import { addMonths, dayAtKey, dayOf, formatDate, weeksOf } from './monthGrid.js';

interface Props {
  readonly name: string;
  readonly label: string;
  /** ISO 8601. */
  readonly value: string | undefined;
  /** Called with the text when it is typed or chosen. */
  readonly onChange?: (text: string) => void;
}

/** A UTC time, typed or chosen from a calendar. */
export function TimeField({ name, label, value, onChange }: Props) {
  const given = value === undefined ? '' : formatTimeField(value);
  const [text, setText] = useTyped(given);
  const [isChoosing, setChoosing] = useState(false);
  /** The text that was last left or chosen; while somebody types, nothing is wrong yet. */
  const [left, setLeft] = useTyped(given);
  const isWrong = left.trim() !== '' && parseTimeField(left, 9) === undefined;
  const choose = (chosen: string): void => {
    setText(chosen);
    setLeft(chosen);
    onChange?.(chosen);
  };
  return (
    <div class="field">
      <label for={name}>{label} (UTC)</label>
      <div class="with-calendar">
        <input
          class="input"
          id={name}
          name={name}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          onChange={({ currentTarget }) => choose(currentTarget.value)}
          placeholder={TIME_FIELD_HINT}
          aria-invalid={isWrong}
          aria-describedby={`${name}-error`}
          spellcheck={false}
          autocomplete="off"
        />
        <button
          class="button icon"
          type="button"
          aria-label={`${label}: choose a date`}
          onClick={() => setChoosing(true)}
        >
          <CalendarIcon />
        </button>
      </div>
      <span id={`${name}-error`} class="error" role="alert">
        {isWrong ? `This is not a time. Write it as ${TIME_FIELD_HINT}, in UTC.` : ''}
      </span>
      {isChoosing ? (
        <Calendar title={label} text={text} onChoose={choose} onClose={() => setChoosing(false)} />
      ) : null}
    </div>
  );
}

const CalendarIcon = () => (
  <svg
    aria-hidden="true"
    width="20"
    height="20"
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="2"
  >
    <path d="M4 6h16v14H4zM4 10h16M8 3v5M16 3v5" />
  </svg>
);

const MIDNIGHT = '00:00:00';
const CLOCK = '([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d{1,9})?)?';
const monthName = new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });
const dayName = new Intl.DateTimeFormat('en', { dateStyle: 'full', timeZone: 'UTC' });
const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;

interface CalendarProps {
  readonly title: string;
  /** The text of the field that it is for. */
  readonly text: string;
  readonly onChoose: (text: string) => void;
  readonly onClose: () => void;
}

/** A month whose days the arrow keys walk over, and a field for the time of the day. */
function Calendar({ title, text, onChoose, onClose }: CalendarProps) {
  const given = parseTimeField(text, 9);
  const [day, setDay] = useState(dayOf(given === undefined ? Date.now() : Date.parse(given)));
  const choose = async (fields: FormData): Promise<void> =>
    onChoose(`${formatDate(day)} ${String(fields.get('clock')).trim()}`);
  return (
    <Question title={`${title}: choose a date`} action="Use this time" onClose={onClose} onConfirm={choose}>
      <div class="row month">
        <button
          class="button"
          type="button"
          aria-label="Previous month"
          onClick={() => setDay(addMonths(day, -1))}
        >
          ‹
        </button>
        <h3 id="month" aria-live="polite">
          {monthName.format(day)}
        </h3>
        <button
          class="button"
          type="button"
          aria-label="Next month"
          onClick={() => setDay(addMonths(day, 1))}
        >
          ›
        </button>
      </div>
      <Month day={day} onDay={setDay} />
      <div class="field">
        <label for="clock">Time (UTC)</label>
        <input
          class="input"
          id="clock"
          name="clock"
          defaultValue={given === undefined ? MIDNIGHT : formatTimeField(given).slice(11)}
          pattern={CLOCK}
          placeholder="hh:mm:ss"
          required
          autocomplete="off"
        />
      </div>
    </Question>
  );
}

interface MonthProps {
  readonly day: number;
  readonly onDay: (day: number) => void;
}

function Month({ day, onDay }: MonthProps) {
  const table = useRef<HTMLTableElement>(null);
  const hasMoved = useRef(false);
  const focusDay = (): void => table.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  // Once the dialog is open.
  useEffect(focusDay, []);
  // Before the next key: the focus must not come back from where that leads.
  useLayoutEffect(() => {
    if (hasMoved.current) focusDay();
    hasMoved.current = false;
  }, [day]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = dayAtKey(day, event.key, event.shiftKey);
    if (next === undefined) return;
    event.preventDefault();
    hasMoved.current = true;
    onDay(next);
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the date grid of the ARIA Authoring Practices is a table
    <table ref={table} class="calendar" role="grid" aria-labelledby="month" onKeyDown={onKeyDown}>
      <thead>
        <tr>
          {WEEKDAYS.map((name) => (
            <th key={name} scope="col" abbr={name}>
              {name.slice(0, 2)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {weeksOf(day).map((week) => (
          <tr key={String(week)}>
            {week.map((each, i) =>
              each === undefined ? (
                <td key={`empty ${WEEKDAYS[i]}`} />
              ) : (
                // biome-ignore lint/a11y/useAriaPropsSupportedByRole: a cell of a grid can be selected
                <td key={each} aria-selected={each === day}>
                  <button
                    type="button"
                    tabIndex={each === day ? 0 : -1}
                    aria-label={dayName.format(each)}
                    onClick={() => onDay(each)}
                  >
                    {new Date(each).getUTCDate()}
                  </button>
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
