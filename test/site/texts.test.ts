import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PluralCategory, parse, type Token } from '@messageformat/parser';
import { expect } from 'chai';
import type { ClientErrorCode } from '../../packages/client/src/index.js';
import { ERROR_CODES, ERROR_REASONS } from '../../src/base/errors.js';

const folder = fileURLToPath(new URL('../../../web/texts/', import.meta.url));
const read = (file: string): Record<string, string> => JSON.parse(readFileSync(`${folder}${file}`, 'utf8'));
const english = read('en.json');

/** What a message shows: its values, and for each plural the forms it has. */
interface Shown {
  readonly values: ReadonlySet<string>;
  readonly plurals: readonly (readonly string[])[];
}

function shownBy(message: string): Shown {
  const values = new Set<string>();
  const plurals: string[][] = [];
  const collect = (tokens: readonly Token[]): void => {
    for (const token of tokens) {
      if ('arg' in token) values.add(token.arg);
      if (!('cases' in token)) continue;
      if (token.type === 'plural') plurals.push(token.cases.map(({ key }) => key));
      for (const { tokens: inner } of token.cases) collect(inner);
    }
  };
  collect(parse(message));
  return { values, plurals };
}

describe('The texts of the pages', () => {
  it('are sorted by name in every file, so that a name is found and stands there once', () => {
    for (const file of readdirSync(folder)) {
      const names = [...readFileSync(`${folder}${file}`, 'utf8').matchAll(/^ {2}"([^"]+)":/gm)].map(
        ([, name]) => name,
      );
      expect(names, file).to.deep.equal([...new Set(names)].sort());
    }
  });

  for (const file of readdirSync(folder))
    describe(file, () => {
      const language = basename(file, '.json');
      const texts = read(file);

      it('has every text, with the same values as in English', () => {
        expect(Object.keys(texts)).to.deep.equal(Object.keys(english));
        for (const [name, message] of Object.entries(texts))
          expect(shownBy(message).values, name).to.deep.equal(shownBy(english[name] ?? '').values);
      });

      it('has a sentence for every error code and reason, never the code itself', () => {
        const codes: readonly ClientErrorCode[] = [
          ...ERROR_CODES,
          ...(['timeout', 'disconnected', 'closed', 'signed_out', 'too_many', 'not_kept'] as const),
        ];
        const names = [
          ...codes.map((code) => `error.${code}`),
          ...ERROR_REASONS.map((one) => `reason.${one}`),
        ];
        for (const name of names) expect(texts[name], name).to.match(/^[^_]{4,}[.。।]/u);
      });

      it('has every plural form of its language, and no other', () => {
        const forms: readonly PluralCategory[] = new Intl.PluralRules(language).resolvedOptions()
          .pluralCategories;
        for (const [name, message] of Object.entries(texts)) {
          parse(message, { cardinal: [...forms], strictPluralKeys: true });
          for (const plural of shownBy(message).plurals) expect(plural, name).to.include.members([...forms]);
        }
      });
    });
});

describe('The refusals of the server', () => {
  const src = fileURLToPath(new URL('../../../src/', import.meta.url));

  /** Those that no user of the pages for everybody can meet, and whose words are for developers and operators. */
  const withoutReason: readonly RegExp[] = [
    /^this is a token of another user$/,
    /^this key does not have the scope /,
    /^the issuer does not renew this session/,
    /^(?:this needs|only a user with) the role /,
    /^this user has a role: only the command line/,
    /^key .* was revoked$/,
    /^refusal$/,
  ];

  it('have a reason, of which the pages make a sentence in the language of the user', () => {
    const found = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [
        ...readFileSync(`${src}${name}`, 'utf8').matchAll(
          /\bforbidden\(\s*(?:(['`])([^'`\n]*)\1|(\w+)),?\s*\)/g,
        ),
      ])
      .map(([, , message, variable]) => message ?? variable ?? '');
    expect(found).to.not.have.length(0);
    expect(found.filter((message) => !withoutReason.some((known) => known.test(message)))).to.deep.equal([]);
  });
});

describe('The style sheets of the pages', () => {
  const web = fileURLToPath(new URL('../../../web/', import.meta.url));
  const sheets = readdirSync(web, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.css'),
  );

  it('say start and end, not left and right, which differ by the direction of the text', () => {
    expect(sheets).to.include('ui/controls.css');
    const physical =
      /(?:^|[\s;{])(?:[a-z-]+-)?(?:left|right)(?:-[a-z]+)?\s*:|text-align:\s*(?:left|right)|float:/;
    // Except what a script has measured.
    for (const sheet of sheets)
      for (const [i, line] of readFileSync(`${web}${sheet}`, 'utf8').split('\n').entries())
        expect(physical.test(line) && !line.includes('left: var(--x'), `${sheet}:${i + 1}: ${line}`).to.equal(
          false,
        );
  });

  it('set a property of a selector in one file only, because the build orders the files', () => {
    for (const pages of [/^(?:ui|chat)\//, /^(?:ui|console|admin)\//, /^(?:ui|console|audit)\//]) {
      const setIn = new Map<string, string>();
      for (const sheet of sheets.filter((name) => pages.test(name)))
        for (const set of declarationsOf(readFileSync(`${web}${sheet}`, 'utf8'))) {
          expect(setIn.get(set) ?? sheet, set).to.equal(sheet);
          setIn.set(set, sheet);
        }
      expect(setIn.size).to.be.above(100);
    }
  });
});

/** `.selector property` of every rule that holds in all windows. */
function declarationsOf(sheet: string): string[] {
  const everywhere = sheet
    .replace(/\/\*.*?\*\//gs, '')
    .replace(/@[a-z-]+[^{;]*\{(?:[^{}]*\{[^{}]*\})*\s*\}/g, '');
  return [...everywhere.matchAll(/([^{}]+)\{([^{}]*)\}/g)].flatMap(([, selectors = '', body = '']) =>
    selectors
      .split(',')
      .flatMap((selector) =>
        [...body.matchAll(/([a-z-]+)\s*:/g)].map(([, property]) => `${selector.trim()} ${property}`),
      ),
  );
}
