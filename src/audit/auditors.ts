import { partitionOf, streamOf, type UserId } from '../events/ids.js';
import type { EventLog } from '../log/log.js';
import type { Progress, Queries } from '../projections/queries.js';
import { rolesModel } from '../projections/roles/model.js';

/** What tells who an auditor is. */
export interface RoleSource {
  readonly log: Pick<EventLog, 'partitions' | 'tail'>;
  readonly queries: Pick<Queries, 'isAuditor'>;
  readonly progress: Pick<Progress, 'folded'>;
}

/** Whether somebody is an auditor by all that is in the log when it is asked. */
export function auditorsOf({ log, queries, progress }: RoleSource): (userId: UserId) => Promise<boolean> {
  return async (userId) => {
    const partition = partitionOf(streamOf('user', userId), log.partitions);
    const folded = progress.folded(rolesModel.name, partition);
    // Both at once: nearly always all that is in the log had been folded before.
    const [tail, isAuditor] = await Promise.all([log.tail(partition), queries.isAuditor(userId, [])]);
    const size = tail?.size ?? 0;
    return size <= folded ? isAuditor : queries.isAuditor(userId, [{ partition, size }]);
  };
}
