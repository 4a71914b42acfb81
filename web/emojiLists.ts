import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Plugin } from 'vite';

const { resolve } = createRequire(import.meta.url);

/** As `emoji-picker-element-data` has them. */
interface Listed {
  readonly emoji: string;
  readonly annotation: string;
  readonly shortcodes?: readonly string[];
  readonly tags?: readonly string[];
  readonly group: number;
  readonly version: number;
}

/** The server takes the emoji of this version of Unicode, and the fonts of most devices have them. */
const NEWEST_VERSION = 15.1;

/** The lists put a selector behind some emoji that Unicode's set has without it. */
const WITH_NEEDLESS_SELECTOR = /^(\p{Emoji_Presentation})\ufe0f$/u;

/** English has the names between colons that people know from elsewhere; other languages have words. */
const folderOf = (language: string): string => (language === 'en' ? 'emojibase' : 'cldr');

/** The list of a language that the package has. */
function listOf(language: string): readonly Listed[] {
  const file = resolve(`emoji-picker-element-data/${language}/${folderOf(language)}/data.json`);
  return JSON.parse(readFileSync(file, 'utf8'));
}

const SELECTORS = /\ufe0f/g;

/** The English list with the Arabic names and words, which the package has not. */
function arabicList(): readonly Listed[] {
  const lines = readFileSync(new URL('emoji/ar.tsv', import.meta.url), 'utf8').split('\n');
  const words = new Map(
    lines.map((line) => {
      const [emoji = '', name = '', tags = ''] = line.split('\t');
      return [emoji, { annotation: name, tags: tags === '' ? [] : tags.split('|') }];
    }),
  );
  return listOf('en').map(({ shortcodes: _, ...english }) => ({
    ...english,
    ...words.get(english.emoji.replace(SELECTORS, '')),
  }));
}

/** A list without what the pages do not use, which is most of it. */
function trimmedList(language: string): string {
  const all = language === 'ar' ? arabicList() : listOf(language);
  return JSON.stringify(
    all
      .filter(({ version }) => version <= NEWEST_VERSION)
      .map(({ emoji, annotation: name, shortcodes = [], tags = [], group }) => ({
        emoji: emoji.replace(WITH_NEEDLESS_SELECTOR, '$1'),
        ...{ name, shortcodes, tags, group },
      })),
  );
}

/** Whether a file of the build is one of the lists. */
export const isEmojiList = (fileName: string): boolean => /^assets\/emoji-\w+-[^/]+\.json$/.test(fileName);

/** Gives `virtual:emoji-list/<language>` the address of that language's list of emoji, which is a file of the build. */
export const emojiLists: Plugin = {
  name: 'emoji-lists',
  apply: 'build',
  resolveId: (id) => (id.startsWith('virtual:emoji-list/') ? `\0${id}` : undefined),
  load(id) {
    const [, language] = /^\0virtual:emoji-list\/(\w+)$/.exec(id) ?? [];
    if (language === undefined) return undefined;
    const file = this.emitFile({
      ...{ type: 'asset', name: `emoji-${language}.json` },
      source: trimmedList(language),
    });
    return `export default import.meta.ROLLUP_FILE_URL_${file};`;
  },
};
