import arabic from 'virtual:emoji-list/ar';
import german from 'virtual:emoji-list/de';
import english from 'virtual:emoji-list/en';
import spanish from 'virtual:emoji-list/es';
import french from 'virtual:emoji-list/fr';
import hindi from 'virtual:emoji-list/hi';
import portuguese from 'virtual:emoji-list/pt';
import chinese from 'virtual:emoji-list/zh';
import type { Emoji } from './emojiSearch.js';

export { findEmoji } from './emojiSearch.js';

/** Emoji with their names. Each list is a file of this server, which is loaded when it is first needed. */

const lists: Readonly<Record<string, string>> = {
  ...{ ar: arabic, de: german, en: english, es: spanish, fr: french },
  ...{ hi: hindi, pt: portuguese, zh: chinese },
};

/** The groups of Unicode that have emoji of their own, by the number that the lists have. */
export const EMOJI_GROUPS = [0, 1, 3, 4, 5, 6, 7, 8, 9] as const;

let loading: Promise<readonly Emoji[]> | undefined;

/** All emoji, in Unicode's order. Rejects if they cannot be loaded; the next call tries again. */
export function loadEmoji(): Promise<readonly Emoji[]> {
  loading ??= fetchEmoji().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function fetchEmoji(): Promise<readonly Emoji[]> {
  const response = await fetch(lists[document.documentElement.lang] ?? english);
  if (!response.ok) throw new Error(`the list of emoji was answered with ${response.status}`);
  // The file is of this build.
  return (await response.json()) as readonly Emoji[];
}
