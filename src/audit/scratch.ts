import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for what is of no use once a check has ended. */
export interface Scratch {
  readonly directory: string;
  /** Removes it with all that is in it. */
  remove(): void;
}

/** Makes a temporary directory, which goes with this process if it was not removed before. */
export function scratch(): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'parley-verify-'));
  const clear = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', clear);
  return {
    directory,
    remove() {
      clear();
      process.off('exit', clear);
    },
  };
}
