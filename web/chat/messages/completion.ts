import type { User } from '@parley/client';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import type { Emoji } from './emojiSearch.js';
import { ALL, mentionOf } from './messageText.js';

/** What the text before the cursor asks to be completed. */
export interface Unfinished {
  readonly kind: 'mention' | 'emoji';
  /** Where the word begins, with its `@` or `:`. */
  readonly start: number;
  /** What is behind that character. */
  readonly word: string;
}

/** A way to complete it. */
export interface Completion {
  readonly key: string;
  /** What is written in place of the word. */
  readonly insert: string;
  readonly shown: string;
  readonly hint: string;
}

const MOST_SHOWN = 8;

const MENTION = /(?:^|[\s(])@([\p{L}\w.-]*)$/u;
/** One letter alone is mostly a smiley such as `:D`. */
const EMOJI = /(?:^|[\s(])(:([\p{L}\w+-]{2,}))$/u;

/** The unfinished word before the cursor; `undefined` if there is none. */
export function unfinishedAt(textBefore: string, canMention: boolean): Unfinished | undefined {
  const [, mentioned] = (canMention && MENTION.exec(textBefore)) || [];
  if (mentioned !== undefined)
    return { kind: 'mention', start: textBefore.length - mentioned.length - 1, word: mentioned };
  const [, code, word] = EMOJI.exec(textBefore) ?? [];
  return code === undefined || word === undefined
    ? undefined
    : { kind: 'emoji', start: textBefore.length - code.length, word };
}

/** The members whose names begin with the word, then those that have it elsewhere; everybody at the end. */
export function completeMention(members: readonly User[], word: string): readonly Completion[] {
  const wanted = word.toLowerCase();
  const placeOf = ({ username, displayName: shown }: User): number => {
    const places = [username, shown].map((name) => name?.toLowerCase().indexOf(wanted) ?? -1);
    return Math.min(...places.filter((place) => place >= 0));
  };
  const found = members
    .filter((user) => user.username !== null && Number.isFinite(placeOf(user)))
    .sort((a, b) => Math.min(placeOf(a), 1) - Math.min(placeOf(b), 1))
    .slice(0, MOST_SHOWN - 1)
    .map((user) => {
      const insert = mentionOf(user.username ?? '');
      const shown = displayName(user);
      return { key: user.userId, insert: `${insert} `, shown, hint: shown === user.username ? '' : insert };
    });
  if (!ALL.startsWith(wanted)) return found;
  const everybody = {
    key: ALL,
    insert: `${mentionOf(ALL)} `,
    shown: mentionOf(ALL),
    hint: text('messages.everybody'),
  };
  return [...found, everybody];
}

/** The emoji with the name that fits the word. */
export const completeEmoji = (found: readonly Emoji[], word: string): readonly Completion[] =>
  found.slice(0, MOST_SHOWN).map(({ emoji, shortcodes, name }) => {
    const code = shortcodes.find((one) => one.startsWith(word.toLowerCase())) ?? shortcodes[0];
    return { key: emoji, insert: `${emoji} `, shown: emoji, hint: code === undefined ? name : `:${code}:` };
  });
