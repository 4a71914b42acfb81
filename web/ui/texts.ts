import type english from '../texts/en.json';
import firstEnglish from '../texts/en.json?first';
import { readText, removeStored, writeText } from './browserStore.js';
import { setLocale } from './format.js';

/** The name of a text: `<view>.<what it is>`. Each file of `texts/` has all of them, in one language. */
export type TextName = keyof typeof english;

/** The values that a text shows, by their names in it. */
export type TextValues = Readonly<Record<string, string | number>>;

/** What the build makes of a file: a message that shows values is a function of them. */
type Texts = Readonly<Record<string, string | ((values: TextValues) => string)>>;
interface Loaded {
  readonly default: Texts;
}

/** The texts of the sign-in and of errors, by language; the pages have the English ones. */
const first = import.meta.glob<Loaded>(['../texts/*.json', '!../texts/en.json'], { query: '?first' });
/** All other texts, which only the chat needs, but for those that only its dialog shows. */
const others = import.meta.glob<Loaded>('../texts/*.json', { query: '?others' });
const dialog = import.meta.glob<Loaded>('../texts/*.json', { query: '?dialog' });

const fileOf = (language: string): string => `../texts/${language}.json`;
const rightToLeft: ReadonlySet<string> = new Set(['ar']);

const baseOf = (tag: string): string => tag.toLowerCase().split('-')[0] ?? '';

const KEY = 'parley.language';

/** The language that the user has chosen in this browser; empty if it is that of the browser. */
export function loadLanguage(): string {
  const stored = readText(KEY) ?? '';
  return fileOf(stored) in others ? stored : '';
}

/** Stores the language of the pages, which a page has from its next load on. Empty: that of the browser. */
export function saveLanguage(language: string): void {
  if (language === '') removeStored(KEY);
  else writeText(KEY, language);
}

/** The user's languages, the best first; the one that they have chosen has the region that the browser says for it. */
function preferredLocales(): readonly string[] {
  const chosen = loadLanguage();
  if (chosen === '') return navigator.languages;
  return [navigator.languages.find((tag) => baseOf(tag) === chosen) ?? chosen];
}

/** The first of the user's languages that the pages have, with its region; otherwise English. */
const chooseLocale = (preferred: readonly string[]): string =>
  preferred.find((tag) => baseOf(tag) === 'en' || fileOf(baseOf(tag)) in others) ?? 'en';

let texts: Texts = firstEnglish;

/** Shows these texts beside those that are shown already, in whatever order they come, and marks the page with their language and its direction. */
function show(locale: string, parts: readonly Texts[]): void {
  texts = Object.assign({}, texts, ...parts);
  const language = baseOf(locale);
  document.documentElement.lang = language;
  document.documentElement.dir = rightToLeft.has(language) ? 'rtl' : 'ltr';
  setLocale(locale);
}

async function load(files: readonly (typeof first)[]): Promise<void> {
  const locale = chooseLocale(preferredLocales());
  const parts = await Promise.all(files.map((part) => part[fileOf(baseOf(locale))]?.()));
  show(
    locale,
    parts.map((part) => part?.default ?? {}),
  );
}

/**
 * Loads the first texts in the user's language. Call it before the first text is shown. Keeps English if they cannot be
 * loaded. Pages that do not call it are in English.
 */
export const loadFirstTexts = (): Promise<void> => load([first]).catch(() => {});

/** Loads all texts in the user's language except those of the dialog. Rejects if they cannot be loaded. */
export const loadChatTexts = (): Promise<void> => load([first, others]);

/** Loads what only the dialog shows, in the user's language. Rejects if it cannot be loaded. */
export const loadDialogTexts = (): Promise<void> => load([dialog]);

/** A text of the pages in the user's language. */
export const text = (name: TextName, values: TextValues = {}): string => {
  const found = texts[name] ?? name;
  return typeof found === 'string' ? found : found(values);
};

/** Whether the pages have a text of this name. */
export const hasText = (name: string): name is TextName => name in texts;
