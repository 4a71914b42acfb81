import type { UserId } from '../../domain/ids.js';
import { preferencesIn } from '../../domain/people/preferences.js';
import { DEFAULT_PREFERENCES, type OnlineInfo, type Preferences } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';
import { presenceModel } from './userRows.js';

/** What users permit others by their preferences. */

/** Preferences by user id; a user who has changed none has no row. */
export const preferencesModel: Model<Preferences> = { name: 'preferences', version: 1, indexes: {} };

/** Folds preferences. */
export const preferencesProjection: Projection<Preferences> = {
  model: preferencesModel,
  keys: (event) => (event.type === 'PreferencesChanged' ? [event.data.userId] : []),
  evolve: (value, event) =>
    event.type === 'PreferencesChanged' ? preferencesIn(event.data) : (value ?? null),
};

/** The preferences of each user asked for. */
export async function preferencesOf(
  rows: RowReader,
  users: readonly UserId[],
): Promise<Map<UserId, Preferences>> {
  const found = users.length === 0 ? undefined : await rows.get(preferencesModel, [...new Set(users)]);
  return new Map(users.map((user) => [user, found?.get(user)?.value ?? DEFAULT_PREFERENCES]));
}

const HIDDEN: OnlineInfo = { isOnline: false, lastSeen: null };

/** Presence of each user asked for, as `viewer` is told of it: hidden if either is not visible. Offline if never seen. */
export async function presenceFor(
  rows: RowReader,
  viewer: UserId,
  users: readonly UserId[],
): Promise<Map<UserId, OnlineInfo>> {
  if (users.length === 0) return new Map();
  const [found, preferences] = await Promise.all([
    rows.get(presenceModel, users),
    preferencesOf(rows, [viewer, ...users]),
  ]);
  const isVisible = (user: UserId): boolean => preferences.get(user)?.visible !== false;
  const show = (user: UserId): OnlineInfo => {
    const isShown = user === viewer || (isVisible(viewer) && isVisible(user));
    return (isShown && found.get(user)?.value) || HIDDEN;
  };
  return new Map(users.map((user) => [user, show(user)]));
}
