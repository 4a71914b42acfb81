import { countCodePoints } from '../../../src/domain/limits.js';
import { text } from '../../ui/texts.js';

interface OptionsProps<T extends string> {
  readonly legend: string;
  readonly name: string;
  /** The values with their texts. */
  readonly options: readonly (readonly [T, string])[];
  readonly chosen: T | undefined;
  readonly onChoose: (value: T) => void;
}

/** One of several values. */
export function Options<T extends string>({ legend, name, options, chosen, onChoose }: OptionsProps<T>) {
  return (
    <fieldset>
      <legend>{legend}</legend>
      {options.map(([value, label]) => (
        <label key={value} class="option">
          <input type="radio" name={name} checked={value === chosen} onChange={() => onChoose(value)} />
          <span class="texts">{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface TextFieldProps {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  /** The most code points. */
  readonly max: number;
  readonly onWrite: (value: string) => void;
  /** The lines of a longer text. */
  readonly rows?: number;
  /** Has the focus when the dialog opens. */
  readonly isFirst?: boolean;
}

/** Whether a text has more code points than it may. */
export const isTooLong = (value: string, max: number): boolean => countCodePoints(value.trim()) > max;

/** A text of limited length: it says how many characters are too many, and never cuts. */
export function TextField({ id, label, value, max, onWrite, rows, isFirst }: TextFieldProps) {
  const excess = countCodePoints(value.trim()) - max;
  const common = {
    class: 'input',
    id,
    dir: 'auto',
    'aria-invalid': excess > 0,
    'aria-describedby': `${id}-excess`,
    'data-focus': isFirst,
    value,
    onInput: (event: { readonly currentTarget: { readonly value: string } }) =>
      onWrite(event.currentTarget.value),
  } as const;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {rows === undefined ? (
        <input {...common} type="text" autocomplete="off" />
      ) : (
        <textarea {...common} rows={rows} />
      )}
      <span class="error" id={`${id}-excess`}>
        {excess > 0 ? text('dialog.tooLong', { count: excess }) : ''}
      </span>
    </div>
  );
}
