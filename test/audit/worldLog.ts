import { randomUUID } from 'node:crypto';
import { buildCommit, emptyHead, type Head } from '../../src/log/commit.js';
import type { AnyProjection, Folded } from '../../src/projections/projection.js';
import type { RowStore } from '../../src/projections/store/rowStore.js';
import { foldBatch } from '../projections/models/fold.js';
import { MemoryLog } from '../support/memoryLog.js';

/**
 * Writes a world's events into a log, one commit each. `together` adjacent events of one partition share a
 * commit.
 */
export async function logOf(events: readonly Folded[], partitions: number, together = 1): Promise<MemoryLog> {
  const log = new MemoryLog(partitions);
  const heads = Array.from({ length: partitions }, (_, partition): Head => emptyHead(partition));
  for (const [partition, head] of heads.entries()) {
    const own = events.filter((event) => event.partition === partition);
    let at = head;
    for (let i = 0; i < own.length; i += together) {
      const some = own.slice(i, i + together);
      const recordedAt = some.at(-1)?.recordedAt ?? '';
      const next = buildCommit({
        head: at,
        id: randomUUID(),
        epoch: 1,
        recordedAt,
        leaves: some.map(({ leaf }) => leaf),
      });
      await log.append(next.commit);
      at = next.head;
    }
  }
  return log;
}

/** Folds events into existing rows. */
export async function foldInto(
  rows: RowStore,
  projections: readonly AnyProjection[],
  events: readonly Folded[],
): Promise<void> {
  for (const { model } of projections) await rows.prepare(model);
  await foldBatch(rows, projections, events);
}
