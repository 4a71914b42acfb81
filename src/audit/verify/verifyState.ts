import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyHead, type Head } from '../../log/commit.js';
import type { Checkpoint } from '../../projections/store/rowStore.js';
import type { ComparedModel } from './comparedModels.js';
import type { TrustedHead } from './verifyChain.js';

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

/** The notes are written so often at most. */
const SAVE_MS = 1000;

/** How many rows the events of a partition have made, by read model. */
export type RowCounts = Readonly<Record<string, number>>;

/** A check as it begins. */
export interface VerifyStart {
  readonly logId: string;
  /** Of each partition. */
  readonly ends: readonly Checkpoint[];
  readonly comparedModels: readonly ComparedModel[];
  readonly trustedHeads: readonly TrustedHead[];
}

interface Notes extends Pick<VerifyStart, 'logId' | 'comparedModels'> {
  /** How far each partition is checked, against which witnesses, and what was counted on the way. */
  readonly heads: readonly Head[];
  readonly made: readonly RowCounts[];
  readonly trustedHeads: readonly string[];
}

const nameOf = ({ partition, size, root }: TrustedHead): string => `${partition}/${size}/${root}`;

/**
 * Where a check keeps what it has done, so that one that was broken off is gone on with: how far it has come, in
 * `state.json`, and the rows it has folded in files beside it. Who can write there can make a check say anything.
 */
export class VerifyState {
  readonly heads: Head[];
  readonly made: RowCounts[];
  #savedAt = 0;

  private constructor(
    readonly directory: string,
    private readonly begun: VerifyStart,
    notes: Pick<Notes, 'heads' | 'made'> | undefined,
    /** What the directory is if nobody is to go on. */
    private readonly scratch?: Scratch,
  ) {
    this.heads = begun.ends.map((_, partition) => notes?.heads[partition] ?? emptyHead(partition));
    this.made = begun.ends.map((_, partition) => notes?.made[partition] ?? {});
  }

  /** Goes on with what the directory holds of this check; without a directory, begins in a temporary one. */
  static open(begun: VerifyStart, directory?: string): VerifyState {
    if (directory === undefined) {
      const temporary = scratch();
      return new VerifyState(temporary.directory, begun, undefined, temporary);
    }
    mkdirSync(directory, { recursive: true });
    const notes = readNotes(directory);
    if (notes && canContinue(notes, begun)) return new VerifyState(directory, begun, notes);
    removeState(directory);
    return new VerifyState(directory, begun, undefined);
  }

  /** A partition is checked up to this head, and by then so many rows were made. */
  reached(head: Head, made: RowCounts): void {
    // Behind where a read model was stored there is more to fold once it is stored further.
    const isWhole = this.begun.comparedModels.every(
      ({ checkpoints }) => (checkpoints[head.partition]?.position ?? 0) >= head.position,
    );
    if (!isWhole) return;
    this.heads[head.partition] = head;
    this.made[head.partition] = made;
    if (!this.scratch && performance.now() - this.#savedAt >= SAVE_MS) this.save();
  }

  save(): void {
    this.#savedAt = performance.now();
    const { logId, comparedModels, trustedHeads } = this.begun;
    const { heads, made } = this;
    const notes: Notes = { logId, comparedModels, heads, made, trustedHeads: trustedHeads.map(nameOf) };
    const file = join(this.directory, FILE);
    writeFileSync(`${file}.new`, JSON.stringify(notes));
    renameSync(`${file}.new`, file);
  }

  /** Removes what is not to be gone on with: all of it after a check that has ended. */
  discard(): void {
    if (this.scratch) this.scratch.remove();
    else removeState(this.directory);
  }

  /** After a break: keeps it for the next run, if there is to be one. */
  leave(): void {
    if (this.scratch) this.scratch.remove();
    else this.save();
  }
}

const FILE = 'state.json';

/** Whether this check goes on where those notes end: nothing has gone back since, and all was looked at. */
function canContinue({ logId, heads, comparedModels, trustedHeads }: Notes, begun: VerifyStart): boolean {
  const isFurther = (comparedModel: ComparedModel) =>
    comparedModels.some(
      ({ name, checkpoints }) =>
        name === comparedModel.name &&
        checkpoints.every(({ position }, i) => position <= (comparedModel.checkpoints[i]?.position ?? 0)),
    );
  // What a witness says of commits that were checked without it, only the beginning can show.
  const isMissed = (trusted: TrustedHead) =>
    trusted.size <= (heads[trusted.partition]?.size ?? 0) && !trustedHeads.includes(nameOf(trusted));
  return (
    logId === begun.logId &&
    heads.every(({ position }, i) => position <= (begun.ends[i]?.position ?? 0)) &&
    begun.comparedModels.every(isFurther) &&
    !begun.trustedHeads.some(isMissed)
  );
}

/** Removes a check's own files, and nothing else that is in its directory. */
function removeState(directory: string): void {
  for (const name of readdirSync(directory))
    if (name.startsWith(FILE) || /^folded-\d+\.db(-wal|-shm)?$/.test(name)) rmSync(join(directory, name));
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
