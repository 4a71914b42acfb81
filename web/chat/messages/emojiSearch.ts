export interface Emoji {
  readonly emoji: string;
  /** What it shows, in the language of the page. */
  readonly name: string;
  /** Its names between colons. */
  readonly shortcodes: readonly string[];
  readonly tags: readonly string[];
  readonly group: number;
}

/** Accents, and the Arabic vowel signs and hamzas: people leave them out. */
const MARKS = /[\u0300-\u036f\u064b-\u0655]/g;
const BETWEEN_WORDS = /[^\p{L}\p{M}\p{N}]+/u;

const plain = (text: string): string => text.toLowerCase().normalize('NFD').replace(MARKS, '');

const wordsOf = (text: string): readonly string[] => plain(text).split(BETWEEN_WORDS).filter(Boolean);

/**
 * The emoji that fit a text best, the best first: by their names between colons, else by words. Every word of the text
 * begins one of the emoji's, in any order.
 */
export function findEmoji(all: readonly Emoji[], text: string, most: number): readonly Emoji[] {
  const wanted = text.toLowerCase();
  const parts = wordsOf(text);
  const areIn = (words: readonly string[]): boolean =>
    parts.length > 0 && parts.every((part) => words.some((word) => word.startsWith(part)));
  const rankOf = ({ name, shortcodes, tags }: Emoji): number => {
    const lengths = shortcodes.filter((code) => code.startsWith(wanted)).map(({ length }) => length);
    // Below 2 for any length: of two names that begin so, the shorter one is nearer.
    if (lengths.length > 0) return 2 - wanted.length / Math.min(...lengths);
    const words = wordsOf(name);
    if (areIn(words)) return words.length === parts.length ? 2 : 3;
    return areIn([...words, ...[...tags, ...shortcodes].flatMap(wordsOf)]) ? 4 : Number.POSITIVE_INFINITY;
  };
  return all
    .map((emoji) => ({ emoji, rank: rankOf(emoji) }))
    .filter(({ rank }) => rank < Number.POSITIVE_INFINITY)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, most)
    .map(({ emoji }) => emoji);
}
