import type { RefObject } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { parseTimeField } from '../../ui/format.js';
import { useConsole } from '../consoleContext.js';
import type { Found, NameSearch } from '../names.js';
import { wholeStream } from '../seenStreams.js';
import { type EventFilter, filterNames, filterOf } from './eventFilter.js';
import { type Refused, suggestGroups, suggestPeople, valueNamed } from './NameField.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const STREAM = /^[a-z]+:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TIME_NAMES = ['since', 'until'] as const;
type TimeName = (typeof TIME_NAMES)[number];

/** Whether a text names a stream by its id, or by the short id that the list shows. */
export const isStream = (text: string): boolean => STREAM.test(wholeStream(text));
export const isActor = (text: string): boolean => text === 'system' || UUID.test(text);

export const suggestStreams = (found: Found) => [
  ...suggestGroups(found, 'room:'),
  ...suggestPeople(found, 'user:'),
];

/** The fields that take a name, and what is said of a text that is none. */
const named = {
  stream: {
    isValue: isStream,
    suggest: suggestStreams,
    reason: 'No single room or user has exactly this name. Choose one from the list.',
  },
  actor: {
    isValue: isActor,
    suggest: (found: Found) => suggestPeople(found),
    reason: 'No single person has exactly this name. Choose a person from the list.',
  },
} as const;
type NamedField = keyof typeof named;
type RefusedTexts = Partial<Record<NamedField, Refused>>;

/** What is typed into the filters. All that changes the search begins with it, so that nothing typed is lost. */
export interface FilterForm {
  readonly element: RefObject<HTMLFormElement | null>;
  readonly refused: RefusedTexts;
  /** Searches for a change of what is typed; not if a field is wrong. `replaced` names times that it does not read. */
  change(next: (typed: EventFilter) => EventFilter, replaced?: readonly TimeName[]): Promise<void>;
}

/** The form of this filter; `search` is called with the next one. */
export function useFilterForm(filter: EventFilter, search: (filter: EventFilter) => void): FilterForm {
  const { names } = useConsole();
  const element = useRef<HTMLFormElement>(null);
  const attempts = useRef(0);
  const of = JSON.stringify(filter);
  const [last, setRefused] = useState<{ readonly of: string; readonly texts: RefusedTexts }>({
    of,
    texts: {},
  });
  return {
    ...{ element, refused: last.of === of ? last.texts : {} },
    async change(next, replaced = []) {
      const attempt = ++attempts.current;
      const address = location.hash;
      const data = new FormData(element.current ?? undefined);
      const values = Object.fromEntries(
        filterNames.map((name) => [name, String(data.get(name) ?? '').trim()]),
      );
      for (const name of TIME_NAMES) {
        const text = values[name];
        if (!text || replaced.includes(name)) continue;
        const time = parseTimeField(text, 9);
        if (time === undefined) return focusOn(element.current, name); // The field says what is wrong.
        values[name] = time;
      }
      const wrong = await nameValues(values, names);
      // An older search must not replace a later one, or what the address asks for by now.
      if (attempt !== attempts.current || location.hash !== address) return;
      setRefused({ of, texts: wrong });
      const [first] = Object.keys(wrong);
      if (first !== undefined) return focusOn(element.current, first);
      const { topic, except } = filter;
      // A type says more than a topic, and than the types that are left out.
      search(filterOf({ ...next(filterOf({ ...values, ...(values.type ? {} : { topic, except }) })) }));
    },
  };
}

const focusOn = (form: HTMLFormElement | null, name: string): void =>
  form?.querySelector<HTMLElement>(`[name="${name}"]`)?.focus();

/** Puts the ids in the place of exact names. Returns the texts that name nobody, or several. */
async function nameValues(values: Record<string, string>, names: NameSearch): Promise<RefusedTexts> {
  const wrong: RefusedTexts = {};
  for (const [name, { isValue, suggest, reason }] of Object.entries(named) as [
    NamedField, // The entries of this object have its keys.
    (typeof named)[NamedField],
  ][]) {
    const text = values[name] ?? '';
    if (text === '') continue;
    if (isValue(text)) {
      values[name] = name === 'stream' ? wholeStream(text) : text;
      continue;
    }
    try {
      const value = valueNamed(text, suggest(await names.find(text)));
      if (value === undefined) wrong[name] = { text, reason };
      else values[name] = value;
    } catch (error) {
      wrong[name] = { text, reason: describeError(error) };
    }
  }
  return wrong;
}
