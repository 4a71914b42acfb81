import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);
const WORTH_IT = /\.(?:html|js|css|svg|json)$/;

/** Puts a `.br` and a `.gz` beside each text file of the build: compressed once and well, not at each request. */
export function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      // Vite itself still writes into chunks that load others, in a hook of the usual order.
      order: 'post',
      async handler(_, bundle) {
        for (const file of Object.values(bundle)) {
          if (!WORTH_IT.test(file.fileName)) continue;
          const text = Buffer.from(file.type === 'chunk' ? file.code : file.source);
          const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
          const [br, gz] = await Promise.all([brotli(text, { params }), zip(text, { level: 9 })]);
          this.emitFile({ type: 'asset', fileName: `${file.fileName}.br`, source: br });
          this.emitFile({ type: 'asset', fileName: `${file.fileName}.gz`, source: gz });
        }
      },
    },
  };
}
