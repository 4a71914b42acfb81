import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();

/** Creates a directory that is removed when the process exits. Set `TMPDIR` to select the disk. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'parley-bench-'));
  made.add(directory);
  return directory;
}

process.on('exit', () => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});
