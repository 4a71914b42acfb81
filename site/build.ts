import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSite } from './site.js';

/** Finds the nearest folder with a package.json at or above `folder`. */
function packageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : packageFolder(dirname(folder));
}

const beside = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

// The default output folder is the one that the server reads.
await buildSite(
  packageFolder(beside('site')),
  beside('packages/client/src'),
  process.argv[2] ?? beside('docs'),
);
