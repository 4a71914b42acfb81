import type { Message, User } from '@parley/client';

/** A part of a message's text, as it is shown. */
export type TextPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly url: string }
  /** `userId` is `all` for everybody. */
  | { readonly kind: 'mention'; readonly text: string; readonly userId: string };

/** What may be a link: an address with `https://`, `http://` or `www.`, up to a space or a quotation mark. */
const LINK = /(?<![\w@.-])(?:https?:\/\/|www\.)[^\s<>"“”«»]+/giu;
/** Characters that end a sentence rather than an address. */
const END = /[.,:;!?'’*_~…]+$/u;
const PAIRS: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** The address without the punctuation of the sentence behind it, and without a bracket that was opened before it. */
function trimmed(address: string): string {
  let kept = address.replace(END, '');
  for (;;) {
    const last = kept.at(-1) ?? '';
    const opening = PAIRS[last];
    if (opening === undefined || kept.split(opening).length >= kept.split(last).length) return kept;
    kept = kept.slice(0, -1).replace(END, '');
  }
}

/** Where a link leads, if a browser may be sent there: `http` and `https` only, to a host that can be one. */
function safeUrl(address: string): string | undefined {
  try {
    const { protocol, hostname, href } = new URL(/^www\./i.test(address) ? `https://${address}` : address);
    return /^https?:$/.test(protocol) && /[\p{L}\d]/u.test(hostname) ? href : undefined;
  } catch {
    return undefined;
  }
}

/** The text with its links apart. */
function withLinks(text: string): readonly TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const address = trimmed(found);
    const url = safeUrl(address);
    if (url === undefined) continue;
    if (index > end) parts.push({ kind: 'text', text: text.slice(end, index) });
    parts.push({ kind: 'link', text: address, url });
    end = index + address.length;
  }
  if (end < text.length) parts.push({ kind: 'text', text: text.slice(end) });
  return parts;
}

/** Stands for everybody in a mention. */
export const ALL = 'all';

/** How a user is written in a text that mentions them. */
export const mentionOf = (username: string): string => `@${username}`;

const escaped = (name: string): string => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Matches `@name` of one of these names that is no part of a longer one. */
const mentionPattern = (names: readonly string[]): RegExp =>
  new RegExp(
    `(?<![\\w@.-])@(${[...names]
      .sort((a, b) => b.length - a.length)
      .map(escaped)
      .join('|')})(?![\\w-])`,
    'giu',
  );

/** Users by the name that a mention has in the text. */
type Named = ReadonlyMap<string, string>;

const byName = (users: readonly User[], all: boolean): Named =>
  new Map([
    ...(all ? ([[ALL, ALL]] as const) : []),
    ...users.flatMap(({ username, userId }) => (username ? [[username.toLowerCase(), userId] as const] : [])),
  ]);

/** The parts of a text: links, and the mentions of these users. */
export function partsOf(text: string, mentioned: readonly User[] = [], all = false): readonly TextPart[] {
  const named = byName(mentioned, all);
  const parts = withLinks(text);
  if (named.size === 0) return parts;
  const pattern = mentionPattern([...named.keys()]);
  return parts.flatMap((part) => (part.kind === 'text' ? withMentions(part.text, named, pattern) : part));
}

function withMentions(text: string, named: Named, pattern: RegExp): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const userId = named.get(match[1]?.toLowerCase() ?? '');
    if (userId === undefined) continue;
    if (match.index > end) parts.push({ kind: 'text', text: text.slice(end, match.index) });
    parts.push({ kind: 'mention', text: match[0], userId });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ kind: 'text', text: text.slice(end) });
  return parts;
}

/** The ids of those of these users whom the text mentions; `["all"]` if it mentions everybody. */
export function mentionsIn(text: string, users: readonly User[]): string[] {
  if (!text.includes('@')) return [];
  const found = withMentions(text, byName(users, true), mentionPattern([...byName(users, true).keys()]));
  const ids = new Set(found.flatMap((part) => (part.kind === 'mention' ? part.userId : [])));
  return ids.has(ALL) ? [ALL] : [...ids];
}

/** A name in a text of the other direction stands for itself. */
const isolated = (name: string): string => `\u2068${name}\u2069`;

/** The text of a message in one line, with the names of those whom it mentions, as its bubble shows them. */
export function withNames(
  { message, mentions = [] }: Pick<Message, 'message' | 'mentions'>,
  userOf: (userId: string) => User | undefined,
  nameOf: (user: User) => string,
): string {
  const mentioned = mentions.flatMap((userId) => userOf(userId) ?? []);
  if (!message || mentioned.length === 0) return message ?? '';
  return partsOf(message, mentioned)
    .map((part) => {
      const user = part.kind === 'mention' && mentioned.find(({ userId }) => userId === part.userId);
      return user ? isolated(`@${nameOf(user)}`) : part.text;
    })
    .join('');
}

/** Whether the text is up to three emoji and nothing else, which is shown large. */
export const isFewEmoji = (text: string): boolean =>
  text.length <= 40 &&
  /^(?:\p{Extended_Pictographic}|\p{Regional_Indicator}|\p{Emoji_Modifier}|[\u200d\ufe0f\s])+$/u.test(text) &&
  [...new Intl.Segmenter().segment(text.replace(/\s/g, ''))].length <= 3;
