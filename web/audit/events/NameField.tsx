import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { useTyped } from '../../ui/hooks.js';
import { useConsole } from '../consoleContext.js';
import type { Found } from '../names.js';

/** The log records each search, so this waits until the auditor stops typing. */
const TYPING_REST_MS = 400;
const MIN_CHARS = 2;

/** What can be chosen for a part of a name. */
interface Suggestion {
  /** What the field then holds. */
  readonly value: string;
  readonly name: string;
  /** All names by which it can be called exactly. */
  readonly names: readonly string[];
  readonly about: string;
}

/** A text that is not taken, and the reason. */
export interface Refused {
  readonly text: string;
  readonly reason: string;
}

interface Props {
  readonly name: string;
  readonly label: string;
  readonly value: string | undefined;
  readonly hint: string;
  /** Whether a text is a value of the field, and no name to look for. */
  readonly isValue: (text: string) => boolean;
  readonly suggest: (found: Found) => readonly Suggestion[];
  /** The name of the value, below the field. */
  readonly nameOf: (value: string) => ComponentChildren;
  /** The text that was not taken last, and why. It is said until the text is another one. */
  readonly refused?: Refused | undefined;
}

/** Groups by a name that they have or had. `prefix` comes before the id. */
export const suggestGroups = ({ groups }: Found, prefix = ''): readonly Suggestion[] =>
  groups.map(({ roomId, names: [name = '', ...former] }) => ({
    ...{ value: prefix + roomId, name, names: [name] },
    about: former.length === 0 ? 'group' : `group, once ${former.join(', ')}`,
  }));

/** People by a name. `prefix` comes before the id. */
export const suggestPeople = ({ people }: Found, prefix = ''): readonly Suggestion[] =>
  people.map((user) => ({
    ...{ value: prefix + user.userId, name: displayName(user), about: 'user' },
    names: [user.displayName, user.username].flatMap((name) => name ?? []),
  }));

/** The one value that a text names exactly; undefined if none or several have this name. */
export function valueNamed(text: string, suggestions: readonly Suggestion[]): string | undefined {
  const folded = text.trim().toLowerCase();
  const named = suggestions.filter(({ names }) => names.some((name) => name.toLowerCase() === folded));
  return named.length === 1 ? named[0]?.value : undefined;
}

/** A field for an id, which is found by a name too: the combobox of the ARIA Authoring Practices. */
export function NameField({ name, label, value = '', hint, isValue, suggest, nameOf, refused }: Props) {
  const [text, setText] = useTyped(value);
  const [active, setActive] = useState(-1);
  const error = refused?.text === text ? refused.reason : undefined;
  const { suggestions, clear } = useSuggestions(text, isValue, suggest);
  const isOpen = suggestions.length > 0;
  const choose = (suggestion: Suggestion | undefined): void => {
    if (!suggestion) return;
    setText(suggestion.value);
    clear();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!isOpen) return;
    if (event.key === 'ArrowDown') setActive((active + 1) % suggestions.length);
    else if (event.key === 'ArrowUp') setActive((active <= 0 ? suggestions.length : active) - 1);
    else if (event.key === 'Enter' && active >= 0) choose(suggestions[active]);
    else if (event.key === 'Escape') clear();
    else return;
    event.preventDefault();
  };
  const idOf = (i: number): string => `${name}-option-${i}`;
  return (
    <div class="field name-field">
      <label for={name}>{label}</label>
      <input
        class="input"
        id={name}
        name={name}
        value={text}
        role="combobox"
        aria-expanded={isOpen}
        aria-controls={`${name}-options`}
        aria-autocomplete="list"
        aria-activedescendant={isOpen && active >= 0 ? idOf(active) : undefined}
        aria-describedby={`${name}-name ${name}-error`}
        aria-invalid={error !== undefined}
        placeholder={hint}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="none"
        onInput={({ currentTarget }) => {
          setText(currentTarget.value);
          setActive(-1);
        }}
        onKeyDown={onKeyDown}
        onBlur={clear}
      />
      <div id={`${name}-options`} role="listbox" aria-label={`${label}: found`} hidden={!isOpen}>
        {suggestions.map((suggestion, i) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the field has the focus, and names the active option
          <div
            key={suggestion.value}
            id={idOf(i)}
            role="option"
            aria-selected={i === active}
            // A click would first take the focus from the field, which closes the list.
            onMouseDown={(event) => {
              event.preventDefault();
              choose(suggestion);
            }}
          >
            <strong dir="auto">{suggestion.name}</strong> <span class="quiet">{suggestion.about}</span>
          </div>
        ))}
      </div>
      <span id={`${name}-name`} class="hint" role="status">
        {isValue(text) ? nameOf(text) : ''}
      </span>
      <span id={`${name}-error`} class="error" role="alert">
        {error ?? ''}
      </span>
    </div>
  );
}

function useSuggestions(
  text: string,
  isValue: Props['isValue'],
  suggest: Props['suggest'],
): { suggestions: readonly Suggestion[]; clear: () => void } {
  const { names } = useConsole();
  const [suggestions, setSuggestions] = useState<readonly Suggestion[]>([]);
  const first = useRef(text);
  useEffect(() => {
    setSuggestions([]);
    const part = text.trim();
    // What the field began with is looked for only after a change.
    if (text === first.current || part.length < MIN_CHARS || isValue(part)) return;
    first.current = '';
    const abort = new AbortController();
    const timer = setTimeout(() => {
      names.find(part, abort.signal).then(
        (found) => abort.signal.aborted || setSuggestions(suggest(found)),
        () => {}, // The field takes ids without it.
      );
    }, TYPING_REST_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
  return { suggestions, clear: () => setSuggestions([]) };
}
