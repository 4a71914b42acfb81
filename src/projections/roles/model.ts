import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

/** What a user may do beside what all may; who never had a role has no row. */
export interface RoleRow {
  readonly isAuditor: boolean;
}

/** Roles, by user id. */
export const rolesModel: Model<RoleRow> = { name: 'roles', version: 1, indexes: {} };

/** The fold of roles. */
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
