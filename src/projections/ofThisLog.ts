import type { ProjectorEngine } from './engine.js';
import { readOverGap } from './frame.js';
import type { AnyModel } from './rows.js';

/** The read models were folded from commits that the log does not have: it is an older one, or another. */
export class NotOfThisLog extends Error {
  override readonly name = 'NotOfThisLog';
}

/**
 * Resolves if the log has the commit up to which each of these tables is folded. Else new events would be taken for
 * such as are folded already, and streams would go on from versions that the log has not: throws `NotOfThisLog`.
 */
export async function checkOfThisLog(
  { log, checkpoints, partitions }: Pick<ProjectorEngine, 'log' | 'checkpoints' | 'partitions'>,
  models: readonly AnyModel[],
): Promise<void> {
  const places = models.flatMap((model) =>
    Array.from({ length: partitions }, (_, partition) => ({ model, partition })),
  );
  // First the checkpoints, then the log, which is ahead of them at all times.
  const found = await checkpoints(places);
  const folded = new Map<string, { partition: number; position: number; size: number; name: string }>();
  for (const [i, { model, partition }] of places.entries()) {
    const { position, size } = found[i] ?? { position: 0, size: 0 };
    // Most tables are equally far: one look is enough for them.
    if (position > 0)
      folded.set(`${partition}/${position}/${size}`, { partition, position, size, name: model.name });
  }
  for (const { partition, position, size, name } of folded.values()) {
    const [commit] = await readOverGap(log, partition, position - 1, 1);
    if (commit?.size === size) continue;
    throw new NotOfThisLog(
      `the read model ${name} was folded from ${size} events of partition ${partition}, which the log does not have: ` +
        'it is an older one, or another; remove the read models, as docs/audit.md says: they are folded anew',
    );
  }
}
