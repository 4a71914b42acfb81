import { type Clock, sleep } from '../base/clock.js';
import { NotOwner } from '../base/errors.js';
import { commitFrame } from '../cluster/bus.js';
import { decodeLeaf, UnknownEventType } from '../domain/codec.js';
import { buildCommit, type Head, loadHead, nextRecordedAt } from '../log/commit.js';
import { AppendError, type Commit, type EventLog, HoleError, StorageError } from '../log/log.js';
import { MessageIds } from './messageIds.js';
import { StreamCache, Tail } from './streamState.js';
import type { Lease, WriterDeps } from './writerPorts.js';

/** Idle streams that a writer keeps in memory: 16,384 private rooms, or 250 groups of 1,000. */
const MAX_STREAM_BYTES = 16 * 1024 * 1024;
const PAGE_COMMITS = 64;
/** Attempts to fence before backing off, each lost to a faster writer. */
const MAX_FENCE_ATTEMPTS = 16;
const RETRY_MS = { min: 50, max: 2000 };

/** A writer's state while it owns its partition. It is dropped when the partition is lost. */
export interface WriterTerm {
  /** The head after the last durable commit. */
  head: Head;
  readonly lease: Lease;
  /** The epoch of the fence, at least that of the lease. */
  readonly epoch: number;
  readonly tail: Tail;
  readonly streams: StreamCache;
  readonly ids: MessageIds;
}

/** The partition to take over, while its lease is wanted. */
export interface TakeOverTarget {
  readonly partition: number;
  readonly lease: Lease;
  /** Returns false once the lease has been given up. */
  isWanted(): boolean;
}

/** What a fence is made with; a part of `WriterEnvironment`. */
interface FenceEnvironment {
  readonly clock: Clock;
  readonly now: () => number;
  readonly newId: () => string;
}

/** Errors that no retry can resolve. */
const FINAL_ERRORS = [StorageError, HoleError, AppendError, UnknownEventType, NotOwner];

/**
 * Takes a partition over. Appends a fence, an empty commit with a higher epoch, so that the former owner
 * finds its next position taken. Then loads the events that the read models lack. Retries while a store is
 * unreachable or the log does not extend its signed head. Throws `NotOwner` if the lease has expired or is
 * not wanted. Throws `StorageError`, `HoleError`, `AppendError` and `UnknownEventType` at once.
 */
export async function takeOver(target: TakeOverTarget, deps: WriterDeps): Promise<WriterTerm> {
  const { partition, lease } = target;
  for (let wait = RETRY_MS.min; ; wait = Math.min(wait * 2, RETRY_MS.max)) {
    try {
      await checkSignedHead(target, deps);
      const { commit, head } = await appendFence(deps.storage.log, target, deps.environment);
      deps.storage.bus.publish(commitFrame(commit, new Map()));
      const tail = await loadTail(head, deps);
      const ids = await MessageIds.load(head, tail, deps);
      return { head, lease, epoch: head.epoch, tail, streams: new StreamCache(MAX_STREAM_BYTES), ids };
    } catch (error) {
      if (FINAL_ERRORS.some((kind) => error instanceof kind)) throw error;
      deps.events.report(`cannot take over partition ${partition} yet; retrying`, error);
      await sleep(deps.environment.clock, wait);
    }
  }
}

/** While this node owns the partition, a log that does not extend its signed head waits for an operator. */
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

/**
 * Appends a fence, an empty commit, to a partition, so that its owner before finds the next position taken. Throws `NotOwner` if the lease has
 * expired or is not wanted, and the errors of the log.
 */
export async function appendFence(
  log: EventLog,
  target: TakeOverTarget,
  { clock, now, newId }: FenceEnvironment,
): Promise<{ readonly commit: Commit; readonly head: Head }> {
  const { partition, lease } = target;
  for (let attempt = 1; attempt <= MAX_FENCE_ATTEMPTS; attempt++) {
    const last = await loadHead(log, partition);
    // Must come after the read. If another node took the lease before the read, ours has expired and we stop here.
    // If it took the lease after the read, its fence follows ours. So no writer fences after a later owner.
    if (!target.isWanted() || clock.now() >= lease.validUntil) throw new NotOwner(partition);
    const epoch = Math.max(lease.epoch, last.epoch + 1);
    const recordedAt = nextRecordedAt(last, now());
    const fence = buildCommit({ head: last, id: newId(), epoch, recordedAt, leaves: [] });
    const outcome = await log.append(fence.commit);
    if (outcome.kind === 'committed') return fence;
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
    tail ??= new Tail(partition, first.firstOffset);
    for (const { firstOffset, leaves } of commits)
      for (const [i, leaf] of leaves.entries()) tail.add(decodeLeaf(leaf, partition, firstOffset + i), leaf);
    at += commits.length;
  }
  return tail ?? new Tail(partition, size);
}
