import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyHead, type Head } from '../log/commit.js';
import { type Scratch, scratch } from './scratch.js';
import type { Witness } from './verifyChain.js';

/** The notes are written so often at most. */
const SAVE_MS = 1000;

interface Notes {
  readonly logId: string;
  /** How far the commits of each partition are checked, and against which witnesses. */
  readonly heads: readonly Head[];
  readonly witnesses: readonly string[];
}

const nameOf = ({ partition, size, root }: Witness): string => `${partition}/${size}/${root}`;

/**
 * Where a check keeps what it has done, so that one that was broken off is gone on with: the heads it has reached in
 * `state.json`, and the rows it has folded in files beside it. Who can write there can make a check say anything.
 */
export class VerifyState {
  readonly directory: string;
  readonly heads: Head[];
  #savedAt = 0;

  private constructor(
    directory: string,
    private readonly logId: string,
    heads: readonly Head[],
    private readonly witnesses: readonly Witness[],
    /** What the directory is if nobody is to go on. */
    private readonly scratch?: Scratch,
  ) {
    this.directory = directory;
    this.heads = [...heads];
  }

  /** Goes on with what the directory holds of this log; without a directory, begins in a temporary one. */
  static open(
    logId: string,
    partitions: number,
    witnesses: readonly Witness[],
    directory?: string,
  ): VerifyState {
    const fresh = Array.from({ length: partitions }, (_, partition) => emptyHead(partition));
    if (directory === undefined) {
      const temporary = scratch();
      return new VerifyState(temporary.directory, logId, fresh, witnesses, temporary);
    }
    mkdirSync(directory, { recursive: true });
    const notes = readNotes(directory);
    if (notes?.logId !== logId) {
      forget(directory);
      return new VerifyState(directory, logId, fresh, witnesses);
    }
    // What a witness says of commits that were checked without it, only the beginning can show.
    const heads = fresh.map((empty, partition) => {
      const head = notes.heads[partition] ?? empty;
      const isMissed = (witness: Witness) =>
        witness.partition === partition &&
        witness.size <= head.size &&
        !notes.witnesses.includes(nameOf(witness));
      return witnesses.some(isMissed) ? empty : head;
    });
    return new VerifyState(directory, logId, heads, witnesses);
  }

  /** A partition is checked up to this head. */
  reached(head: Head): void {
    this.heads[head.partition] = head;
    if (!this.scratch && performance.now() - this.#savedAt >= SAVE_MS) this.save();
  }

  save(): void {
    this.#savedAt = performance.now();
    const notes: Notes = {
      logId: this.logId,
      heads: this.heads,
      witnesses: this.witnesses.map(nameOf),
    };
    const file = join(this.directory, FILE);
    writeFileSync(`${file}.new`, JSON.stringify(notes));
    renameSync(`${file}.new`, file);
  }

  /** Removes what is not to be gone on with: all of it after a check that has ended. */
  discard(): void {
    if (this.scratch) this.scratch.remove();
    else forget(this.directory);
  }

  /** After a break: keeps it for the next run, if there is to be one. */
  leave(): void {
    if (this.scratch) this.scratch.remove();
    else this.save();
  }
}

const FILE = 'state.json';

/** Removes a check's own files, and nothing else that is in its directory. */
function forget(directory: string): void {
  for (const name of readdirSync(directory))
    if (name.startsWith(FILE) || /^(changed|inserted)-\d+\.db(-wal|-shm)?$/.test(name))
      rmSync(join(directory, name));
}

function readNotes(directory: string): Notes | undefined {
  try {
    // Written by `save`, and renamed when whole.
    return JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Notes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
