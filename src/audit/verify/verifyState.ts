import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDirectory } from '../../base/files.js';
import { LogEndsEarly, type LogSource } from '../../log/checkLog.js';
import { checkCommitWithTree, emptyHead, type Head } from '../../log/commit.js';
import type { Commit, Hash } from '../../log/log.js';
import { appendHashes, leafHash } from '../../log/merkle.js';
import type { Folded } from '../../projections/projection.js';
import type { Checkpoint } from '../../projections/store/rowStore.js';
import type { ComparedModel } from './comparedModels.js';
import { type Mismatch, MismatchError, toMismatch } from './report.js';

/** Commits of one read. */
const COMMITS_PER_READ = 256;

/** The root of a partition at a size, from a head with a valid signature. */
export interface TrustedHead {
  readonly partition: number;
  readonly size: number;
  readonly root: Hash;
  /** The commit that ends with this head. */
  readonly commit: { readonly position: number; readonly hash: Hash };
  /** The source of the head, in words for the operator. */
  readonly source: string;
}

/** A commit with hashes for later use: of its leaves, and of the tiles that it fills. */
export interface HashedCommit extends Commit {
  readonly leafHashes: readonly Hash[];
  readonly filled: readonly Hash[];
}

/** The end of a check, with the commits it has passed and the first mismatch. */
export interface ChainStep {
  readonly head: Head;
  readonly commits: readonly HashedCommit[];
  readonly mismatch?: Mismatch;
}

/**
 * Recomputes the commits behind `from`, up to position `end`: positions, offsets, epochs, times, the Merkle
 * tree and the chain of hashes. Compares the roots with the trusted heads, which must be of this partition.
 * Keeps all of these commits in memory.
 */
export async function checkChain(
  log: Pick<LogSource, 'read'>,
  from: Head,
  end: number,
  trustedHeads: readonly TrustedHead[],
): Promise<ChainStep> {
  let head = from;
  const commits: HashedCommit[] = [];
  try {
    while (head.position < end) {
      const page = await log.read(
        head.partition,
        head.position,
        Math.min(COMMITS_PER_READ, end - head.position),
      );
      if (page.length === 0) throw new LogEndsEarly(head.partition, head.position);
      for (const read of page) {
        const leafHashes = read.leaves.map(leafHash);
        const tree = appendHashes(head.frontier, head.size, leafHashes);
        const next = checkCommitWithTree(head, read, tree);
        const commit = { ...read, leafHashes, filled: tree.filled };
        for (const trusted of trustedHeads)
          if (head.size < trusted.size && trusted.size <= next.size) compareRoot(trusted, head, commit);
        for (const trusted of trustedHeads) compareCommit(trusted, commit);
        commits.push(commit);
        head = next;
      }
    }
    return { head, commits };
  } catch (error) {
    return { head, commits, mismatch: toMismatch(error, head.partition, head.position) };
  }
}

/** The mismatch of the first trusted head that is larger than the whole partition. */
export function findMissedHead(trustedHeads: readonly TrustedHead[], head: Head): Mismatch | undefined {
  const { partition, position } = head;
  const missed = trustedHeads.find(({ size, commit }) => size > head.size || commit.position > head.position);
  if (!missed) return undefined;
  const what = `partition ${partition} ends at position ${position} with ${head.size} events, before ${missed.source}`;
  return { what, partition, position: position + 1, offset: head.size };
}

/** Heads are signed at the end of a commit, but one inside a commit is compared too. */
function compareRoot({ size, root, source }: TrustedHead, head: Head, commit: HashedCommit): void {
  const { partition, position, leafHashes } = commit;
  const tree = appendHashes(head.frontier, head.size, leafHashes.slice(0, size - head.size));
  if (tree.root === root) return;
  const what = `partition ${partition} does not match ${source}: the root is ${tree.root}, not ${root}`;
  throw new MismatchError({ what, partition, position, offset: size - 1 });
}

/** The hash of a commit covers its time, id and epoch, and those of all commits before it. */
export function compareCommit({ size, commit, source }: TrustedHead, { partition, ...read }: Commit): void {
  const { position, hash } = commit;
  if (read.position !== position || (read.size === size && read.hash === hash)) return;
  const what = `the commit at position ${position} of partition ${partition} does not match ${source}`;
  throw new MismatchError({ what, partition, position });
}

/** An event whose time is not that of its commit. */
export function findMisdated(commits: readonly Commit[], events: readonly Folded[]): Mismatch | undefined {
  let i = 0;
  for (const { partition, position, recordedAt, leaves } of commits)
    for (const end = i + leaves.length; i < end; i++) {
      const event = events[i];
      if (!event || event.recordedAt === recordedAt) continue;
      const what = `the event at offset ${event.offset} of partition ${partition} has the time ${event.recordedAt}, its commit ${recordedAt}`;
      return { what, partition, position, offset: event.offset };
    }
  return undefined;
}

/** A directory that is useless after a check has ended. */
export interface Scratch {
  readonly directory: string;
  /** Removes the directory with everything in it. */
  remove(): void;
}

/** Creates a temporary directory, which is removed at the latest when this process exits. */
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

/** The shortest interval between saves. */
const SAVE_MS = 1000;

/** The number of rows that a partition's events make, by read model. */
export type RowCounts = Readonly<Record<string, number>>;

/** A check at its start. */
export interface VerifyStart {
  /** See `EventLog.history`: a restored log is checked from its beginning. */
  readonly history: string;
  /** By partition. */
  readonly ends: readonly Checkpoint[];
  readonly comparedModels: readonly ComparedModel[];
  readonly trustedHeads: readonly TrustedHead[];
}

interface Notes extends Pick<VerifyStart, 'history' | 'comparedModels'> {
  /** How far each partition is checked, the trusted heads it was compared with, and the counts so far. */
  readonly heads: readonly Head[];
  readonly made: readonly RowCounts[];
  readonly trustedHeads: readonly string[];
}

const nameOf = ({ partition, size, root, commit }: TrustedHead): string =>
  `${partition}/${size}/${root}/${commit.position}/${commit.hash}`;

/**
 * The intermediate results of a check, so that an interrupted one can continue. `state.json` holds its
 * progress, and files beside it hold the rows folded so far. Whoever can write there can forge the result of
 * a check.
 */
export class VerifyState {
  readonly heads: Head[];
  readonly made: RowCounts[];
  #savedAt = 0;

  private constructor(
    readonly directory: string,
    private readonly begun: VerifyStart,
    notes: Pick<Notes, 'heads' | 'made'> | undefined,
    /** The temporary directory, if no later run may continue. */
    private readonly scratch?: Scratch,
  ) {
    this.heads = begun.ends.map((_, partition) => notes?.heads[partition] ?? emptyHead(partition));
    this.made = begun.ends.map((_, partition) => notes?.made[partition] ?? {});
  }

  /** Continues from the directory if it holds this check; without a directory, begins in a temporary one. */
  static open(begun: VerifyStart, directory?: string): VerifyState {
    if (directory === undefined) {
      const temporary = scratch();
      return new VerifyState(temporary.directory, begun, undefined, temporary);
    }
    makeDirectory(directory);
    const notes = readNotes(directory);
    if (notes && canContinue(notes, begun)) return new VerifyState(directory, begun, notes);
    removeState(directory);
    return new VerifyState(directory, begun, undefined);
  }

  /** Records that a partition is checked up to this head, with the rows counted so far. */
  record(head: Head, made: RowCounts): void {
    // Beyond a model's checkpoint a later run has more to fold, once the model is stored further.
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
    const { history, comparedModels, trustedHeads } = this.begun;
    const { heads, made } = this;
    const notes: Notes = { history, comparedModels, heads, made, trustedHeads: trustedHeads.map(nameOf) };
    const file = join(this.directory, FILE);
    writeFileSync(`${file}.new`, JSON.stringify(notes));
    renameSync(`${file}.new`, file);
  }

  /** Removes the results: all of them after a check that has ended. */
  discard(): void {
    if (this.scratch) this.scratch.remove();
    else removeState(this.directory);
  }

  /** Keeps the results of an interrupted check for the next run, if there is one. */
  leave(): void {
    if (this.scratch) this.scratch.remove();
    else this.save();
  }
}

const FILE = 'state.json';

/**
 * Whether this check can continue those notes: nothing has gone back since, and no trusted head was missed.
 */
function canContinue({ history, heads, comparedModels, trustedHeads }: Notes, begun: VerifyStart): boolean {
  const isFurther = (comparedModel: ComparedModel) =>
    comparedModels.some(
      ({ name, checkpoints }) =>
        name === comparedModel.name &&
        checkpoints.every(({ position }, i) => position <= (comparedModel.checkpoints[i]?.position ?? 0)),
    );
  // A trusted head inside the checked part needs a check from the beginning.
  const isMissed = (trusted: TrustedHead) =>
    trusted.size <= (heads[trusted.partition]?.size ?? 0) && !trustedHeads.includes(nameOf(trusted));
  return (
    history === begun.history &&
    heads.every(({ position }, i) => position <= (begun.ends[i]?.position ?? 0)) &&
    begun.comparedModels.every(isFurther) &&
    !begun.trustedHeads.some(isMissed)
  );
}

/** Removes a check's own files, and nothing else in its directory. */
function removeState(directory: string): void {
  for (const name of readdirSync(directory))
    if (name.startsWith(FILE) || /^folded-\d+\.db(-wal|-shm)?$/.test(name)) rmSync(join(directory, name));
}

function readNotes(directory: string): Notes | undefined {
  try {
    // `save` wrote it, and renamed it when complete.
    return JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Notes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
