import type { UserId } from '../events/ids.js';
import { readGenerations } from './generations.js';
import type { RowStore } from './rows.js';
import { generationOf } from './tables.js';
import { usersModel } from './users/model.js';

/**
 * Takes an erased user's plain name out of every table of users that the store may have: those of earlier versions,
 * which nobody folds any more, and one that is being built, which has not got to the erasure. The table that is read
 * has folded it. To be called with nothing folded that was opened before the key was destroyed and is not written.
 */
export async function unlistUser(store: RowStore, userId: UserId): Promise<void> {
  const versions = Array.from({ length: usersModel.version }, (_, i) => ({
    model: { ...usersModel, version: i + 1 },
  }));
  const generations = await readGenerations(store, versions);
  for (const [i, { model }] of versions.entries()) {
    const { active = 0, other = null } = generations[i] ?? {};
    for (const generation of new Set([0, active, other ?? 0]))
      await store.unlist(generationOf(model, generation), userId, 'suffix');
  }
  await store.scrub();
}
