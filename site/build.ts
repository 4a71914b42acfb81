import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSite } from './site.js';

/** The package that this file was compiled in, however deep. */
function packageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : packageFolder(dirname(folder));
}

const beside = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

// Where the server looks for it, unless a folder is given.
await buildSite(packageFolder(beside('site')), beside('src/client'), process.argv[2] ?? beside('docs'));
