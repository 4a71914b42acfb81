import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import MessageFormat from '@messageformat/core';
import compileModule from '@messageformat/core/lib/compile-module.js';
import { defineConfig, type Plugin } from 'vite';
import { emojiLists } from './emojiLists.js';

const brotliAsync = promisify(brotliCompress);
const gzipAsync = promisify(gzip);
const COMPRESSIBLE = /\.(?:html|js|css|svg|json)$/;

const resolve = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Read from the server's build, which therefore runs first: the console's filter has all its fields and every declared event type.
const { eventTypes }: { eventTypes: readonly string[] } = await import(
  resolve('../dist/src/domain/events.js')
);
const { filterNames }: { filterNames: readonly string[] } = await import(
  resolve('../dist/src/audit/events/eventFilter.js')
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

/**
 * Compiles the messages of each language to functions, so that the pages load no parser. A message is in the format
 * of ICU: https://unicode-org.github.io/icu/userguide/format_parse/messages/.
 */
const messages: Plugin = {
  name: 'messages',
  enforce: 'pre',
  transform: {
    filter: { id: /\/texts\/[a-z]+\.json$/ },
    handler: (json, id) => ({
      code: compileModule(new MessageFormat(basename(id, '.json')), JSON.parse(json)),
      map: null,
      moduleType: 'js',
    }),
  },
};

/** Builds the chat and the audit console; each page loads only its own code and what both share. */
export default defineConfig({
  root: resolve('.'),
  plugins: [messages, emojiLists, precompress],
  // The client as the application of somebody else has it, from its sources.
  resolve: { tsconfigPaths: true },
  define: {
    EVENT_TYPES: JSON.stringify([...eventTypes].sort()),
    FILTER_NAMES: JSON.stringify(filterNames),
  },
  build: {
    outDir: resolve('../dist/pages'),
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy allows only scripts and styles from this server: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { index: resolve('index.html'), audit: resolve('audit.html') } },
  },
});
