import type { Options } from 'minisearch';

/** What the search finds: the text under one heading, or a row of a table there. */
export interface Section {
  /** URL of the page with the anchor of the heading. */
  readonly url: string;
  readonly page: string;
  readonly heading: string;
  readonly text: string;
}

/** A section with its number in the index. */
export interface Indexed extends Section {
  readonly id: number;
}

/**
 * Returns the words of a text. A name such as `messageId` or `SESSION_TTL` is a word, and so is each of its parts: a
 * reader may know only one of them.
 */
export function wordsOf(text: string): string[] {
  const names = text.match(/[\p{L}\p{N}_]+/gu) ?? [];
  return names.flatMap((name) => {
    const parts = name.split(/_+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})/u).filter((part) => part !== '');
    return parts.length > 1 ? [name, ...parts] : parts;
  });
}

/** The options with which the index is built, and with which the browser reads it. Both must be the same. */
export const searchOptions: Options<Indexed> = {
  fields: ['heading', 'page', 'text'],
  storeFields: ['url', 'page', 'heading', 'text'],
  tokenize: wordsOf,
  searchOptions: {
    boost: { heading: 4, page: 2 },
    combineWith: 'AND',
    prefix: true,
    // A short word has too many neighbours.
    fuzzy: (word) => (word.length > 4 ? 0.2 : false),
  },
};
