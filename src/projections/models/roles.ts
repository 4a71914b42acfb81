import { streamOf, type UserId } from '../../domain/ids.js';
import { type EventLog, partitionOf } from '../../log/log.js';
import type { Projection } from '../projection.js';
import type { Progress, Queries } from '../queries.js';
import type { Model, RowReader } from '../store/rowStore.js';

/** A user's special roles; a user who never had one has no row. */
export interface RoleRow {
  readonly isAuditor: boolean;
}

/** Roles, by user id. */
export const rolesModel: Model<RoleRow> = { name: 'roles', version: 1, indexes: {} };

/** Folds roles. */
export const rolesProjection: Projection<RoleRow> = {
  model: rolesModel,
  keys(event) {
    switch (event.type) {
      case 'AuditorAppointed':
      case 'AuditorDismissed':
      case 'UserErased':
        return [event.data.userId];
      default:
        return [];
    }
  },
  evolve: (_, event) => ({ isAuditor: event.type === 'AuditorAppointed' }),
};

/** Whether the folded row of this user has the role of an auditor. */
export async function hasAuditorRow(rows: RowReader, userId: UserId): Promise<boolean> {
  return (await rows.get(rolesModel, [userId])).get(userId)?.value?.isAuditor ?? false;
}

/** The log and the read model that decide whether a user is an auditor. */
export interface RoleSource {
  readonly log: Pick<EventLog, 'partitions' | 'tail'>;
  readonly queries: Pick<Queries, 'isAuditor'>;
  readonly progress: Pick<Progress, 'folded'>;
}

/** Checks the role of an auditor against everything in the log at the time of the call. */
export function auditorsOf({ log, queries, progress }: RoleSource): (userId: UserId) => Promise<boolean> {
  return async (userId) => {
    const partition = partitionOf(streamOf('user', userId), log.partitions);
    const folded = progress.folded(rolesModel.name, partition);
    // Read together: the model has nearly always folded everything that is in the log.
    const [tail, isAuditor] = await Promise.all([log.tail(partition), queries.isAuditor(userId, [])]);
    const size = tail?.size ?? 0;
    return size <= folded ? isAuditor : queries.isAuditor(userId, [{ partition, size }]);
  };
}
