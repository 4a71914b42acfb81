import { frameOf, type LogSource, readOverGap } from './frame.js';
import type { Projector } from './projector.js';

/** So many are read at once; fewer, and the end of the log is there. */
const pageCommits = 64;

/** Folds and writes what the log holds of these many partitions, whoever else folds them. Throws what these throw. */
export async function catchUp(projector: Projector, log: LogSource, partitions: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition++)
    for (let isMore = true; isMore; ) {
      const commits = await readOverGap(log, partition, projector.position(partition), pageCommits);
      await projector.fold(commits.map(frameOf));
      await projector.write();
      isMore = commits.length === pageCommits;
    }
}
