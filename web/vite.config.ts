import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import MessageFormat from '@messageformat/core';
import compileModule from '@messageformat/core/lib/compile-module.js';
import { parse, type Token } from '@messageformat/parser';
import { defineConfig, type Plugin, type Rollup } from 'vite';
import { emojiLists, isEmojiList } from './emojiLists.js';
import { drawFirstViews, stylesFirst } from './firstViews.js';

const brotliAsync = promisify(brotliCompress);
const gzipAsync = promisify(gzip);
const COMPRESSIBLE = /\.(?:html|js|css|svg|json)$/;

const resolve = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Read from the server's build, which therefore runs first: the console's filter has all its fields and every declared event type.
const { eventTopics }: { eventTopics: ReadonlyMap<string, string> } = await import(
  resolve('../dist/src/domain/features.js')
);
const { TOPICS }: { TOPICS: readonly string[] } = await import(resolve('../dist/src/domain/defineEvent.js'));
const { filterNames }: { filterNames: readonly string[] } = await import(
  resolve('../dist/src/audit/events/eventFilter.js')
);

const { PASSWORD_CHARACTERS }: { PASSWORD_CHARACTERS: { readonly min: number } } = await import(
  resolve('../dist/src/domain/limits.js')
);

/** By topic, the types of its events in alphabetical order. */
const typesByTopic = Object.fromEntries(
  TOPICS.map((topic) => [
    topic,
    [...eventTopics].flatMap(([type, each]) => (each === topic ? [type] : [])).sort(),
  ]),
);

/** Writes a `.br` and a `.gz` file next to each text file, so that the server compresses nothing at request time. */
const precompress: Plugin = {
  name: 'precompress',
  apply: 'build',
  enforce: 'post',
  generateBundle: {
    // Vite itself still changes chunks that load other chunks, in a hook of the usual order.
    order: 'post',
    async handler(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (!COMPRESSIBLE.test(file.fileName)) continue;
        const text = Buffer.from(file.type === 'chunk' ? file.code : file.source);
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        const [br, gz] = await Promise.all([brotliAsync(text, { params }), gzipAsync(text, { level: 9 })]);
        this.emitFile({ type: 'asset', fileName: `${file.fileName}.br`, source: br });
        this.emitFile({ type: 'asset', fileName: `${file.fileName}.gz`, source: gz });
      }
    },
  },
};

const WORKER = 'serviceWorker.js';
/** Files of `public` that the chat needs without a network. */
const PUBLIC_FILES = ['icon.svg', 'icon-unread.svg', 'icon-192.png', 'manifest.webmanifest'] as const;

/** All files that the chat may load, by the names that the build has given to them. */
function filesOfChat(bundle: Rollup.OutputBundle): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (name: string): void => {
    const file = bundle[name];
    // Nobody needs all languages: the worker keeps a list when it is first asked for.
    if (found.has(name) || !file || isEmojiList(name)) return;
    found.add(name);
    if (file.type !== 'chunk') return;
    const { importedCss = [], importedAssets = [] } = file.viteMetadata ?? {};
    for (const next of [...file.imports, ...file.dynamicImports, ...importedCss, ...importedAssets])
      visit(next);
  };
  for (const { fileName, ...file } of Object.values(bundle))
    if (file.type === 'chunk' && file.facadeModuleId === resolve('index.html')) visit(fileName);
  return found;
}

const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('base64');

/** Tells the service worker which files belong to this build. */
const keptFiles: Plugin = {
  name: 'kept-files',
  apply: 'build',
  enforce: 'post',
  generateBundle: {
    order: 'post',
    handler(_, bundle) {
      const [worker, page] = [bundle[WORKER], bundle['index.html']];
      if (worker?.type !== 'chunk' || page?.type !== 'asset')
        throw new Error('the chat or its worker is not built');
      const named = PUBLIC_FILES.map(
        (name) => [`/${name}`, readFileSync(resolve(`public/${name}`))] as const,
      );
      const files = [
        ...[...filesOfChat(bundle)].sort().map((name) => [`/${name}`]),
        ...[['/', page.source] as const, ...named].map(([path, content]) => [
          path,
          `sha256-${sha256(content)}`,
        ]),
      ];
      const build = sha256(JSON.stringify(files) + worker.code).slice(0, 16);
      const lists = Object.keys(bundle).flatMap((name) => (isEmojiList(name) ? [`/${name}`] : []));
      worker.code = `const KEPT_FILES = ${JSON.stringify({ build, files, lists })};\n${worker.code}`;
    },
  },
};

const rightToLeft: ReadonlySet<string> = new Set(['ar']);

/** Keeps each value of a message together within text of the other direction, by Unicode's FSI and PDI. */
function isolateValues(message: string): string {
  const places: { readonly at: number; readonly to: number }[] = [];
  const visit = (tokens: readonly Token[]): void => {
    for (const token of tokens) {
      if (token.type === 'argument')
        places.push({ at: token.ctx.offset, to: token.ctx.offset + token.ctx.text.length });
      if ('cases' in token) for (const { tokens: inner } of token.cases) visit(inner);
    }
  };
  visit(parse(message));
  return places.reduceRight(
    (text, { at, to }) => `${text.slice(0, at)}\u2068${text.slice(at, to)}\u2069${text.slice(to)}`,
    message,
  );
}

const prepare = (message: string, language: string): string =>
  rightToLeft.has(language) ? isolateValues(message) : message;

/** A message without values; undefined if it has some. */
function plainText(message: string): string | undefined {
  const tokens = parse(message);
  return tokens.every((token) => token.type === 'content')
    ? tokens.map(({ value }) => value).join('')
    : undefined;
}

interface Source {
  readonly file: string;
  readonly code: string;
}

const readSources = (folder: string): readonly Source[] =>
  readdirSync(resolve(folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => ({ file, code: readFileSync(resolve(`${folder}/${file}`), 'utf8') }));

/** All scripts that show texts in the user's language. */
const sources = ['chat', 'ui'].flatMap(readSources);
/** All names of texts: those of one language are those of all. */
const textNames = Object.keys(JSON.parse(readFileSync(resolve('texts/en.json'), 'utf8')));
const viewOf = (name: string): string => name.replace(/\..*/, '');
/** The views of which these scripts put a name together, as in `theme.${each}`. */
const composedIn = (some: readonly Source[]): ReadonlySet<string> =>
  new Set(some.flatMap(({ code }) => [...code.matchAll(/`(\w+)\.\$\{/g)].map(([, view = '']) => view)));

const composed = composedIn(sources);
/** The numbers that the built pages have in place of the other names: a file of texts is then mostly a list of them. */
const shortNames: ReadonlyMap<string, string> = new Map(
  textNames.filter((name) => !composed.has(viewOf(name))).map((name, i) => [name, String(i)]),
);

/** What the dialog shows, whose scripts are loaded when it is first opened. */
const OF_DIALOG =
  /View\.tsx$|^passwordViews|\/(?:ChatDialog|PeoplePicker|AlertSettings|fields|groupActions|failureText)\.tsx?$|^theme/;
const ofOthers = sources.filter(({ file }) => !OF_DIALOG.test(file));
const composedByOthers = composedIn(ofOthers);
const codeOfOthers = ofOthers.map(({ code }) => code).join();

/** Which file of a language has a text: the sign-in and errors are first, what only the dialog shows is last. */
function partOf(name: string): 'first' | 'others' | 'dialog' {
  // The pages of consoles need no other texts.
  if (/^(?:signIn|app|connection|error|name|reason)\./.test(name)) return 'first';
  return composedByOthers.has(viewOf(name)) || codeOfOthers.includes(`'${name}'`) ? 'others' : 'dialog';
}

/** Gives the texts their short names in the scripts of the pages. */
const shortTextNames: Plugin = {
  name: 'short-text-names',
  apply: 'build',
  enforce: 'pre',
  transform: {
    filter: { id: /\/web\/.*\.tsx?$/ },
    handler: (code) => ({
      code: code.replace(/'(\w+\.\w+)'/g, (literal, name: string) => {
        const short = shortNames.get(name);
        return short === undefined ? literal : `'${short}'`;
      }),
      map: null,
    }),
  },
};

function compileTexts(json: string, language: string, part: string, isBuild: boolean): string {
  const all: Record<string, string> = JSON.parse(json);
  const withValues: Record<string, string> = {};
  /** The texts with numbers, each at its place. */
  let list = '';
  let named = '';
  for (const name of textNames) {
    const message = partOf(name) === part ? all[name] : undefined;
    const short = isBuild ? shortNames.get(name) : undefined;
    const text = message === undefined ? undefined : plainText(message);
    if (message !== undefined && text === undefined) withValues[short ?? name] = prepare(message, language);
    if (short !== undefined) list += `${text === undefined ? '' : JSON.stringify(text)},`;
    else if (text !== undefined) named += `${JSON.stringify(name)}: ${JSON.stringify(text)},`;
  }
  return `${compileModule(new MessageFormat(language), withValues).replace(
    'export default {',
    () => `export default Object.assign([${list}], {${named}`,
  )});`;
}

/**
 * Compiles the messages of each language, so that the pages load no parser. A message is in the format
 * of ICU: https://unicode-org.github.io/icu/userguide/format_parse/messages/.
 */
const messages: Plugin = {
  name: 'messages',
  enforce: 'pre',
  transform: {
    filter: { id: /\/texts\/[a-z]+\.json\?(?:first|others|dialog)$/ },
    handler(json, id) {
      const [file = '', part = ''] = id.split('?');
      const isBuild = this.environment.mode === 'build';
      const code = compileTexts(json, basename(file, '.json'), part, isBuild);
      return { code, map: null, moduleType: 'js' };
    },
  },
};

const firstViews = drawFirstViews({
  form: resolve('signUpForm.html'),
  texts: new Map(
    readdirSync(resolve('texts')).map((file) => [basename(file, '.json'), resolve(`texts/${file}`)]),
  ),
  rightToLeft,
  prepare,
  values: { min: PASSWORD_CHARACTERS.min },
});

/** The sign-in form, which is the first view of every page, and what all pages share. */
const FIRST_VIEW = /\/web\/ui\/|\/chat\/app\/worker\.ts$|\/src\/rest\.ts$|\/preact\//;
/** The list of chats, with all that it needs. */
const LIST = /\/web\/chat\/ChatDevice\.tsx$/;

/** Builds the chat, the audit console and the page of admins; each loads only its own code and what they share. */
export default defineConfig({
  root: resolve('.'),
  plugins: [messages, shortTextNames, emojiLists, stylesFirst, keptFiles, firstViews, precompress],
  // The client as the application of somebody else has it, from its sources.
  resolve: { tsconfigPaths: true },
  define: {
    EVENT_TOPICS: JSON.stringify(typesByTopic),
    FILTER_NAMES: JSON.stringify(filterNames),
  },
  build: {
    outDir: resolve('../dist/pages'),
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy allows only scripts and styles from this server: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // Compressing takes most of the build, which need not be told.
      checks: { pluginTimings: false },
      input: {
        index: resolve('index.html'),
        audit: resolve('audit.html'),
        admin: resolve('admin.html'),
        missing: resolve('404.html'),
        afterPaint: resolve('chat/app/afterPaint.ts'),
        worker: resolve('worker/serviceWorker.ts'),
      },
      output: {
        // Browsers ask for the worker by this name for ever.
        entryFileNames: ({ name }) => (name === 'worker' ? WORKER : 'assets/[name]-[hash].js'),
        // What a view needs is one file: more of them need more connections, and are compressed less well.
        codeSplitting: {
          groups: [
            { name: 'first', test: FIRST_VIEW, priority: 2 },
            { name: 'list', test: LIST, priority: 1 },
          ],
        },
      },
    },
  },
});
