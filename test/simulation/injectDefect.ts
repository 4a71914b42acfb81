import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { tempDir } from '../support/tempDir.js';
import type { simulate } from './simulation.js';

/** A defect: in these compiled files of the product, one match is replaced. */
export type Defect = readonly { readonly file: string; readonly find: RegExp; readonly put: string }[];

/** Loads the simulation over a copy of the product with this defect. */
export async function withDefect(defect: Defect): Promise<typeof simulate> {
  const copy = tempDir();
  const built = fileURLToPath(new URL('../..', import.meta.url));
  const isCode = (path: string) => !/\.(map|d\.ts)$/.test(path);
  for (const part of ['src', 'test/simulation', 'test/support'])
    cpSync(join(built, part), join(copy, part), { recursive: true, filter: isCode });
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ type: 'module' }));
  symlinkSync(join(rootOf(built), 'node_modules'), join(copy, 'node_modules'));
  for (const { file, find, put } of defect) {
    const path = join(copy, 'src', file);
    const text = readFileSync(path, 'utf8');
    const parts = text.split(find);
    if (parts.length !== 2)
      throw new Error(`${file} has ${parts.length - 1} times what the defect is to replace: ${find.source}`);
    writeFileSync(path, parts.join(put));
  }
  const module = await import(pathToFileURL(join(copy, 'test/simulation/simulation.js')).href);
  return module.simulate; // The copy has the same types.
}

const rootOf = (path: string): string =>
  existsSync(join(path, 'node_modules')) ? path : rootOf(dirname(path));
