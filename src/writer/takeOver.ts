import { sleep } from '../base/clock.js';
import { NotOwner } from '../base/errors.js';
import { commitFrame } from '../cluster/bus.js';
import { decodeLeaf, UnknownEventType } from '../domain/codec.js';
import { buildCommit, type Head, loadHead, nextRecordedAt } from '../log/commit.js';
import { AppendError, HoleError, StorageError } from '../log/log.js';
import { StreamCache, Tail } from './streamState.js';
import type { Lease, WriterDeps } from './writerPorts.js';

/** How many streams a writer keeps in memory beside those in use; a room takes about a kilobyte. */
const MAX_IDLE_STREAMS = 16_384;
const PAGE_COMMITS = 64;
/** How often a fence is tried again at once when another writer was faster. */
const MAX_FENCE_ATTEMPTS = 16;
const RETRY_MS = { first: 50, most: 2000 };

/** What a writer knows while it owns its partition; all of it is dropped when the partition is lost. */
export interface WriterTerm {
  /** After the last durable commit. */
  head: Head;
  readonly lease: Lease;
  /** At least the lease's: that of the fence. */
  readonly epoch: number;
  readonly tail: Tail;
  readonly streams: StreamCache;
}

/** What is taken over, and for as long as it may be. */
export interface TakeOverTarget {
  readonly partition: number;
  readonly lease: Lease;
  /** False: nobody wants it any more. */
  isWanted(): boolean;
}

/** After these, trying again cannot help. */
const FINAL_ERRORS = [StorageError, HoleError, AppendError, UnknownEventType, NotOwner];

/**
 * Takes a partition over: appends an empty commit with an epoch above all before, so that whoever owned it finds
 * the position taken, and reads what the read models have not stored. Tries again while the log or the read models
 * cannot be reached, or the log is not what was signed; throws `NotOwner` when the lease has ended or is not wanted, and at once `StorageError`,
 * `HoleError`, `AppendError` and `UnknownEventType`.
 */
export async function takeOver(target: TakeOverTarget, deps: WriterDeps): Promise<WriterTerm> {
  const { partition, lease } = target;
  for (let wait = RETRY_MS.first; ; wait = Math.min(wait * 2, RETRY_MS.most)) {
    try {
      await checkSignedHead(target, deps);
      const head = await appendFence(target, deps);
      const tail = await loadTail(head, deps);
      return { head, lease, epoch: head.epoch, tail, streams: new StreamCache(MAX_IDLE_STREAMS) };
    } catch (error) {
      if (FINAL_ERRORS.some((kind) => error instanceof kind)) throw error;
      deps.events.report(`partition ${partition} could not be taken over yet`, error);
      await sleep(deps.environment.clock, wait);
    }
  }
}

/** A log that does not extend what was signed waits for an operator, for as long as this node is to own it. */
async function checkSignedHead(
  { partition, lease, isWanted }: TakeOverTarget,
  deps: WriterDeps,
): Promise<void> {
  try {
    await deps.storage.mayAppend?.(partition);
  } catch (error) {
    if (!isWanted() || deps.environment.clock.now() >= lease.validUntil) throw new NotOwner(partition);
    throw error;
  }
}

async function appendFence(
  target: TakeOverTarget,
  { storage: { log, bus }, environment: { clock, now, newId } }: WriterDeps,
): Promise<Head> {
  const { partition, lease } = target;
  for (let attempt = 1; attempt <= MAX_FENCE_ATTEMPTS; attempt++) {
    const last = await loadHead(log, partition);
    // After the read: a fence of whoever took the lease since is in it, and the lease has ended for us by then. So
    // no writer fences after one that came later, and a later one has the partition for itself.
    if (!target.isWanted() || clock.now() >= lease.validUntil) throw new NotOwner(partition);
    const epoch = Math.max(lease.epoch, last.epoch + 1);
    const recordedAt = nextRecordedAt(last, now());
    const { commit, head } = buildCommit({ head: last, id: newId(), epoch, recordedAt, leaves: [] });
    const outcome = await log.append(commit);
    if (outcome.kind === 'lost') continue;
    bus.publish(commitFrame(commit));
    return head;
  }
  throw new Error(`partition ${partition} was lost to another writer ${MAX_FENCE_ATTEMPTS} times in a row`);
}

async function loadTail(
  { partition, position, size }: Head,
  { storage: { log }, lookups: { reads } }: WriterDeps,
): Promise<Tail> {
  let at = await reads.foldedPosition(partition);
  let tail: Tail | undefined;
  while (at < position) {
    const commits = await log.read(partition, at, Math.min(PAGE_COMMITS, position - at));
    const [first] = commits;
    if (!first) throw new Error(`partition ${partition} ended at position ${at}, before its tail`);
    tail ??= new Tail(first.firstOffset);
    for (const { firstOffset, leaves } of commits)
      for (const [i, leaf] of leaves.entries()) tail.add(decodeLeaf(leaf, partition, firstOffset + i));
    at += commits.length;
  }
  return tail ?? new Tail(size);
}
