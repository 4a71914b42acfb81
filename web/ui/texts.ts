import english from '../texts/en.json';

/** The name of a text: `<view>.<what it is>`. Each file of `texts/` has all of them, in one language. */
export type TextName = keyof typeof english;

/** The values that a text shows, by their names in it. */
export type TextValues = Readonly<Record<string, string | number>>;

type Texts = Readonly<Record<string, (values: TextValues) => string>>;

/** The languages besides English; each is loaded only where it is used. */
const others = import.meta.glob<{ readonly default: Texts }>(['../texts/*.json', '!../texts/en.json']);

const fileOf = (language: string): string => `../texts/${language}.json`;
const rightToLeft: ReadonlySet<string> = new Set(['ar']);

/** The first language that the browser's user reads and the pages have; otherwise English. */
function chooseLanguage(preferred: readonly string[]): string {
  const bases = preferred.map((tag) => tag.toLowerCase().split('-')[0] ?? '');
  return bases.find((base) => base === 'en' || fileOf(base) in others) ?? 'en';
}

/** The language of this page, as an IETF language tag. */
const language = chooseLanguage(navigator.languages);

// The build turns each message of a file into a function, which the type of a JSON file does not say.
let texts = english as unknown as Texts;

/**
 * Loads the texts of the user's language, and marks the page with it and with its direction. Call it before the first
 * text is shown. Keeps English if they cannot be loaded.
 */
export async function loadTexts(): Promise<void> {
  const load = others[fileOf(language)];
  if (!load) return;
  try {
    texts = (await load()).default;
  } catch {
    return;
  }
  document.documentElement.lang = language;
  document.documentElement.dir = rightToLeft.has(language) ? 'rtl' : 'ltr';
}

/** A text of the pages in the user's language. */
export const text = (name: TextName, values: TextValues = {}): string => texts[name]?.(values) ?? name;
