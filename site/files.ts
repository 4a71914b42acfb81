import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);
const WORTH_IT = /\.(?:html|css|js|json|svg)$/;
/** Above this size the best compression takes seconds, for 5% less. */
const LARGE_BYTES = 256 * 1024;
const LARGE_QUALITY = 9;

/** Writes a file. Writes compressed copies of texts too, so that no request has to compress. */
export async function writePublished(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const body = Buffer.from(content);
  await writeFile(path, body);
  if (!WORTH_IT.test(path)) return;
  const quality = body.length > LARGE_BYTES ? LARGE_QUALITY : constants.BROTLI_MAX_QUALITY;
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality };
  await writeFile(`${path}.br`, await brotli(body, { params }));
  await writeFile(`${path}.gz`, await zip(body, { level: 9 }));
}
