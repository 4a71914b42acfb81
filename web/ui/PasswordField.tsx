import { useState } from 'preact/hooks';
import { text } from './texts.js';

interface Props {
  /** The field's name in its form too. */
  readonly id: string;
  readonly label: string;
  readonly autocomplete: 'current-password' | 'new-password';
  readonly error: string | undefined;
  /** The rule for a new one, below the field. */
  readonly hint?: string | undefined;
}

/** A password, with a button that shows it. */
export function PasswordField({ id, label, autocomplete, error, hint }: Props) {
  const [isShown, setShown] = useState(false);
  const field = {
    class: 'input',
    id,
    name: id,
    autocomplete,
    autocapitalize: 'none',
    spellcheck: false,
    required: true,
    'aria-invalid': error !== undefined,
    'aria-describedby': `${id}-hint`,
  } as const;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="with-button">
        {isShown ? <input {...field} type="text" /> : <input {...field} type="password" />}
        <button class="button plain" type="button" onClick={() => setShown(!isShown)}>
          {text(isShown ? 'signIn.hide' : 'signIn.show')}
          <span class="hidden-visually"> {label}</span>
        </button>
      </div>
      <span id={`${id}-hint`} class={error === undefined ? 'hint' : 'error'}>
        {error ?? hint}
      </span>
    </div>
  );
}
