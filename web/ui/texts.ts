import english from '../texts/en.json';
import { setLocale } from './format.js';

/** The name of a text: `<view>.<what it is>`. Each file of `texts/` has all of them, in one language. */
export type TextName = keyof typeof english;

/** The values that a text shows, by their names in it. */
export type TextValues = Readonly<Record<string, string | number>>;

type Texts = Readonly<Record<string, (values: TextValues) => string>>;

/** The languages besides English; each is loaded only where it is used. */
const others = import.meta.glob<{ readonly default: Texts }>(['../texts/*.json', '!../texts/en.json']);

const fileOf = (language: string): string => `../texts/${language}.json`;
const rightToLeft: ReadonlySet<string> = new Set(['ar']);

const baseOf = (tag: string): string => tag.toLowerCase().split('-')[0] ?? '';

/** The first of the user's languages that the pages have, with its region; otherwise English. */
const chooseLocale = (preferred: readonly string[]): string =>
  preferred.find((tag) => baseOf(tag) === 'en' || fileOf(baseOf(tag)) in others) ?? 'en';

// The build turns each message of a file into a function, which the type of a JSON file does not say.
let texts = english as unknown as Texts;

/**
 * Loads the texts of the user's language, and marks the page with it and with its direction. Call it before the first
 * text is shown. Keeps English if they cannot be loaded. Pages that do not call it are in English.
 */
export async function loadTexts(): Promise<void> {
  const locale = chooseLocale(navigator.languages);
  const language = baseOf(locale);
  try {
    const load = others[fileOf(language)];
    if (load) texts = (await load()).default;
  } catch {
    return;
  }
  document.documentElement.lang = language;
  document.documentElement.dir = rightToLeft.has(language) ? 'rtl' : 'ltr';
  setLocale(locale);
}

/** A text of the pages in the user's language. */
export const text = (name: TextName, values: TextValues = {}): string => texts[name]?.(values) ?? name;

/** Whether the page is in English, as the server's own messages are. */
export const isEnglish = (): boolean => baseOf(document.documentElement.lang) === 'en';
