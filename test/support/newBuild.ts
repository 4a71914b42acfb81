import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const directories = new Set<string>();
process.once('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/**
 * Builds a server with other pages: the texts of the chat that are named here are others. Gives its `main.js`, and goes
 * with this process.
 */
export async function buildOtherPages(texts: Readonly<Record<string, string>>): Promise<string> {
  // Inside the tree, so that it finds the packages; in a place that nothing else looks at.
  const directory = mkdtempSync(join(root, 'dist', 'variant-'));
  directories.add(directory);
  for (const name of ['src', 'packages', 'tsconfig.json'])
    symlinkSync(join(root, name), join(directory, name));
  cpSync(join(root, 'web'), join(directory, 'web'), { recursive: true });
  cpSync(join(root, 'dist', 'src'), join(directory, 'dist', 'src'), { recursive: true });
  const file = join(directory, 'web', 'texts', 'en.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...texts }));
  const vite = join(root, 'node_modules', '.bin', 'vite');
  await promisify(execFile)(vite, ['build', 'web', '--logLevel', 'warn'], { cwd: directory });
  return join(directory, 'dist', 'src', 'app', 'main.js');
}
