import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { tempDir } from '../support/tempDir.js';
import type { simulate } from './simulation.js';

/** A defect: each `find`, which is in one place of the compiled product, becomes `put`. */
export type Defect = readonly { readonly find: RegExp; readonly put: string }[];

/** The simulation over a copy of the product that has this defect. */
export async function withDefect(defect: Defect): Promise<typeof simulate> {
  const copy = tempDir();
  const built = fileURLToPath(new URL('../..', import.meta.url));
  const isCode = (path: string) => !/\.(map|d\.ts)$/.test(path);
  for (const part of ['src', 'test/simulation', 'test/support'])
    cpSync(join(built, part), join(copy, part), { recursive: true, filter: isCode });
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ type: 'module' }));
  symlinkSync(join(rootOf(built), 'node_modules'), join(copy, 'node_modules'));
  for (const { find, put } of defect) {
    const places = filesIn(join(copy, 'src')).flatMap((path) => {
      const parts = readFileSync(path, 'utf8').split(find);
      return Array.from({ length: parts.length - 1 }, () => ({ path, parts }));
    });
    const [place] = places;
    if (!place || places.length > 1)
      throw new Error(`the product has in ${places.length} places what the defect replaces: ${find.source}`);
    writeFileSync(place.path, place.parts.join(put));
  }
  const module = await import(pathToFileURL(join(copy, 'test/simulation/simulation.js')).href);
  return module.simulate; // It is a copy of this very one.
}

const filesIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(directory, name));

const rootOf = (path: string): string =>
  existsSync(join(path, 'node_modules')) ? path : rootOf(dirname(path));
