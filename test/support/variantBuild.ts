import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What a variant changes in one file: each text, which is there once, becomes another. */
export type Changes = Readonly<Record<string, readonly (readonly [before: string, after: string])[]>>;

/** The programs of a variant. */
export interface Variant {
  readonly main: string;
  readonly cli: string;
}

const directories = new Set<string>();
process.once('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/**
 * Compiles the sources with some texts changed and some files added. The result goes with this process. Throws when a
 * text is not there exactly once, or when the variant does not compile. Types are checked only if `isChecked`, which
 * takes ten times as long.
 */
export async function variantBuild(
  changes: Changes,
  added: Readonly<Record<string, string>> = {},
  isChecked = false,
): Promise<Variant> {
  const root = rootOf(fileURLToPath(import.meta.url));
  // Inside the tree, so that it finds the packages; in a place that nothing else looks at.
  const directory = mkdtempSync(join(root, 'dist', 'variant-'));
  directories.add(directory);
  cpSync(join(root, 'src'), join(directory, 'src'), { recursive: true });
  for (const [file, pairs] of Object.entries(changes)) change(join(directory, file), pairs);
  for (const [file, text] of Object.entries(added)) writeFileSync(join(directory, file), text);
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { rootDir: '.', outDir: 'out', incremental: false, declaration: false },
    include: ['src'],
  };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(tsc, ['-p', directory, ...(isChecked ? [] : ['--noCheck'])]).catch(
    (error: { stdout?: string }) => {
      throw new Error(`the variant does not compile:\n${error.stdout}`, { cause: error });
    },
  );
  const built = join(directory, 'out', 'src');
  return { main: join(built, 'app', 'main.js'), cli: join(built, 'cli', 'bin.js') };
}

function change(file: string, pairs: Changes[string] = []): void {
  let text = readFileSync(file, 'utf8');
  for (const [before, after] of pairs) {
    const parts = text.split(before);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${before}`);
    text = parts.join(after);
  }
  writeFileSync(file, text);
}

function rootOf(file: string): string {
  const directory = dirname(file);
  if (directory === file) throw new Error('these tests are not in a checkout');
  return existsSync(join(directory, 'package.json')) ? directory : rootOf(directory);
}
