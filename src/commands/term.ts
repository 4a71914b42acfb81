import { setTimeout as delay } from 'node:timers/promises';
import { commitFrame } from '../bus/frame.js';
import { decodeLeaf } from '../events/codec.js';
import { buildCommit, type Head, timeAfter } from '../log/commit.js';
import { loadHead } from '../log/head.js';
import { AppendError, HoleError, StorageError } from '../log/log.js';
import type { WriterDeps } from './ports.js';
import { StreamCache } from './streams.js';
import { Tail } from './tail.js';

/** How many streams a writer keeps in memory beside those in use; a room takes about a kilobyte. */
const STREAMS = 16_384;
const PAGE = 64;
/** How often a fence is tried again at once when another writer was faster. */
const FENCES = 16;
/** How often a take-over is tried, a little later each time: for about a minute. */
const ATTEMPTS = 32;
const RETRY_MS = { first: 50, most: 2000 };

/** What a writer knows while it owns its partition; all of it is dropped when the partition is lost. */
export interface Term {
  /** After the last durable commit. */
  head: Head;
  readonly epoch: number;
  readonly tail: Tail;
  readonly streams: StreamCache;
}

/**
 * Takes a partition over: appends an empty commit with an epoch above all before, so that whoever owned it finds
 * the position taken, and reads what the read models have not stored. Tries again while the log cannot be
 * reached, for about a minute; throws `StorageError`, `HoleError` and `AppendError` at once.
 */
export async function takeOver(partition: number, deps: WriterDeps): Promise<Term> {
  for (let attempt = 1; ; attempt++) {
    try {
      const head = await fence(partition, deps);
      const tail = await loadTail(head, deps);
      return { head, epoch: head.epoch, tail, streams: new StreamCache(STREAMS) };
    } catch (error) {
      const mustStop =
        error instanceof StorageError || error instanceof HoleError || error instanceof AppendError;
      if (mustStop || attempt === ATTEMPTS) throw error;
      deps.report(`partition ${partition} could not be taken over yet`, error);
      await delay(Math.min(RETRY_MS.first * 2 ** (attempt - 1), RETRY_MS.most));
    }
  }
}

async function fence(partition: number, { log, bus, now, newId }: WriterDeps): Promise<Head> {
  for (let attempt = 1; attempt <= FENCES; attempt++) {
    const last = await loadHead(log, partition);
    const recordedAt = timeAfter(last, now());
    const fencing = { head: last, id: newId(), epoch: last.epoch + 1, recordedAt, leaves: [] };
    const { commit, head } = buildCommit(fencing);
    const outcome = await log.append(commit);
    if (outcome.kind === 'lost') continue;
    bus.publish(commitFrame(commit));
    return head;
  }
  throw new Error(`partition ${partition} was lost to another writer ${FENCES} times in a row`);
}

async function loadTail({ partition, position, size }: Head, { log, reads }: WriterDeps): Promise<Tail> {
  let at = await reads.foldedPosition(partition);
  let tail: Tail | undefined;
  while (at < position) {
    const commits = await log.read(partition, at, Math.min(PAGE, position - at));
    const [first] = commits;
    if (!first) throw new Error(`partition ${partition} ended at position ${at}, before its tail`);
    tail ??= new Tail(first.firstOffset);
    for (const { firstOffset, leaves } of commits)
      for (const [i, leaf] of leaves.entries()) tail.add(decodeLeaf(leaf, partition, firstOffset + i));
    at += commits.length;
  }
  return tail ?? new Tail(size);
}
