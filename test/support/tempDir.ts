import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];

/** A new empty directory; gone after the run. */
export function tempDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'parley-test-'));
  made.push(path);
  return path;
}

// A hook of the whole run: registered when the first suite that needs a directory is loaded.
after('remove the directories of the tests', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});
