import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { type Emoji, findEmoji } from '../../web/chat/messages/emojiSearch.js';
import { isFewEmoji, mentionsIn, partsOf } from '../../web/chat/messages/messageText.js';

const person = (username: string) => ({
  ...{
    userId: `id of ${username}`,
    username,
    backgroundColor: '#336699',
    createdAt: '2026-01-01T00:00:00.000Z',
  },
});

describe('The text of a message in the web chat', () => {
  /** The links of a text, each with where it leads. */
  const linksOf = (text: string): string[] =>
    partsOf(text).flatMap((part) => (part.kind === 'link' ? `${part.text} → ${part.url}` : []));

  it('has links to http and https only', () => {
    for (const text of [
      'javascript:alert(1)',
      'data:text/html,hello',
      'vbscript:x ftp://example.com file:///etc/passwd',
      'JAVASCRIPT://example.com/%0aalert(1)',
      'xhttps://example.com',
      'somebody@www.example.com',
      'https://',
      'www.',
      'http://[',
    ])
      expect(linksOf(text), text).to.deep.equal([]);
  });

  it('has links that end before the punctuation of the sentence, and keep their own brackets', () => {
    expect(linksOf('Look: https://example.com.')).to.deep.equal([
      'https://example.com → https://example.com/',
    ]);
    expect(linksOf('(see www.example.com/a?b=1&c=2)')).to.deep.equal([
      'www.example.com/a?b=1&c=2 → https://www.example.com/a?b=1&c=2',
    ]);
    expect(linksOf('https://example.com/a_(b), “http://localhost:3000/x”!')).to.deep.equal([
      'https://example.com/a_(b) → https://example.com/a_(b)',
      'http://localhost:3000/x → http://localhost:3000/x',
    ]);
    expect(linksOf('https://παράδειγμα.ελ/ö')).to.deep.equal([
      'https://παράδειγμα.ελ/ö → https://xn--hxajbheg2az3al.xn--qxam/%C3%B6',
    ]);
  });

  it('is kept whole by its parts, whatever is in it', () => {
    for (const text of [
      '',
      '\n\n  ',
      'a https://b.c d www.e.f, @ada g',
      '@ada@ada https://x.y/@ada',
      '🎉 @ADA!',
    ])
      expect(
        partsOf(text, [person('ada')], true)
          .map((part) => part.text)
          .join(''),
      ).to.equal(text);
  });

  it('mentions whole names only, the longest that fits, and nobody in a link', () => {
    const people = [person('ada'), person('ada.b'), person('ben-c')];
    const mentioned = (text: string): string[] => mentionsIn(text, people);
    expect(mentioned('hello @ada, @ben-c')).to.deep.equal(['id of ada', 'id of ben-c']);
    expect(mentioned('@ada.b and @Ada')).to.deep.equal(['id of ada.b', 'id of ada']);
    expect(mentioned('mail x@ada or @adam or @ben')).to.deep.equal([]);
    expect(mentioned('@all, and @ada')).to.deep.equal(['all']);
    const parts = partsOf('https://x.y/@ada @ada', [person('ada')]);
    expect(parts.map(({ kind }) => kind)).to.deep.equal(['link', 'text', 'mention']);
  });

  it('is shown large where it is up to three emoji', () => {
    for (const text of ['👍', '🎉🎉', '👩‍👩‍👧 🇫🇷 ❤️']) expect(isFewEmoji(text), text).to.equal(true);
    for (const text of ['', 'a', '👍 ok', '123', '👍👍👍👍', '#️⃣ 1'])
      expect(isFewEmoji(text), text).to.equal(false);
  });
});

describe('The search of emoji in the web chat', () => {
  const file = createRequire(import.meta.url).resolve('emoji-picker-element-data/en/emojibase/data.json');
  const all: readonly Emoji[] = JSON.parse(readFileSync(file, 'utf8')).map(
    ({ annotation, shortcodes = [], tags = [], ...emoji }: Emoji & { readonly annotation: string }) => ({
      ...emoji,
      ...{ name: annotation, shortcodes, tags },
    }),
  );
  const first = (query: string, list = all): string | undefined => findEmoji(list, query, 1)[0]?.emoji;

  it('finds names of several words, in any order, with the beginnings of words', () => {
    expect(first('red heart')).to.equal('❤️');
    expect(first('Heart  red')).to.equal('❤️');
    expect(first('thumbs up')).to.equal('👍️');
    expect(first('thumb u')).to.equal('👍️');
    expect(first('broken heart')).to.equal('💔');
    expect(first('broken_heart')).to.equal('💔');
    expect(first('+1')).to.equal('👍️');
    expect(first('red zzzz')).to.equal(undefined);
    expect(first('- ')).to.equal(undefined);
  });

  it('finds what is written without its marks, in other scripts too', () => {
    const named = (emoji: string, name: string, ...tags: string[]): Emoji => ({
      ...{ emoji, name, tags, shortcodes: [], group: 8 },
    });
    const list = [
      named('💔', 'قلب مكسور', 'حزين'),
      named('❤️', 'قلب أحمر', 'غرام'),
      named('🎂', 'gâteau', 'fête'),
    ];
    expect(first('قلب أحمر', list)).to.equal('❤️');
    expect(first('احمر قلب', list)).to.equal('❤️');
    expect(first('gateau fete', list)).to.equal('🎂');
  });
});
