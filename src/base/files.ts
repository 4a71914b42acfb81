import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

const READ_BYTES = 1024 * 1024;

/**
 * Whether a file holds any of these byte strings, or the UTF-8 bytes of any of these texts. Reads the whole file, 1 MiB at a time, in the calling
 * thread: about a second a gigabyte.
 *
 * Erased data needs it. SQLite leaves copies of rows in the unused part of a page that it divides, which
 * `secure_delete` does not overwrite (three of 352 erased names were found there). Rewriting the file (`VACUUM`)
 * removes them, but takes many times as long. So a file is searched first, and rewritten only where a copy is found.
 */
export function fileHolds(path: string, texts: readonly (string | Uint8Array)[]): boolean {
  if (texts.length === 0) return false;
  const wanted = texts.map((text) => (typeof text === 'string' ? Buffer.from(text) : Buffer.from(text)));
  // A text may lie across two reads.
  const overlap = Math.max(...wanted.map(({ length }) => length));
  const bytes = Buffer.alloc(overlap + READ_BYTES);
  const file = openSync(path, 'r');
  try {
    for (let kept = 0, position = 0; ; ) {
      const read = readSync(file, bytes, kept, READ_BYTES, position);
      if (read === 0) return false;
      const filled = kept + read;
      const part = bytes.subarray(0, filled);
      if (wanted.some((text) => part.includes(text))) return true;
      position += read;
      kept = Math.min(overlap, filled);
      bytes.copyWithin(0, filled - kept, filled);
    }
  } finally {
    closeSync(file);
  }
}

/** An SQLite file with a write-ahead log. */
export interface ScrubbedFile {
  readonly path: string;
  /** Copies the write-ahead log into the file and empties it. Throws while a reader prevents it. */
  emptyWal(): void;
  /** Rewrites the file without its unused bytes: `VACUUM`. */
  rewrite(): void;
}

/** Removes every copy of overwritten texts from a file. Undefined: the texts are not known, so it is rewritten. */
export function removeCopies(file: ScrubbedFile, texts: readonly (string | Uint8Array)[] | undefined): void {
  file.emptyWal();
  if (texts && !fileHolds(file.path, texts)) return;
  file.rewrite();
  file.emptyWal();
}

/**
 * Makes a directory and those above it that are missing. Returns what removes them again, as far as they are empty.
 * Throws the error of the system. Node's own recursive `mkdir` never returns where the system has directories of its own,
 * such as below /proc, and uses all of a core meanwhile.
 */
export function makeDirectory(dir: string): () => void {
  const made: string[] = [];
  const make = (at: string): void => {
    if (existsSync(at)) return;
    make(dirname(at));
    mkdirSync(at, { mode: 0o700 });
    made.unshift(at);
  };
  make(resolve(dir));
  if (!statSync(dir).isDirectory()) throw new Error(`${dir} is not a directory`);
  return () => {
    try {
      for (const at of made) rmdirSync(at);
    } catch {
      // Somebody has put something into it.
    }
  };
}

/** The SHA-256 of a file, in hex. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file, { highWaterMark: READ_BYTES })) hash.update(bytes);
  return hash.digest('hex');
}

/** Syncs a file, or the names in a directory. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
