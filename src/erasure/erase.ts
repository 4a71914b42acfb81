import { randomUUID } from 'node:crypto';
import type { Moment } from '../commands/commands.js';
import type { UserId } from '../events/ids.js';
import type { Queries } from '../projections/queries.js';
import type { BegunErasure, ErasureStore, KeyStore, SessionStore } from '../vault/vault.js';
import { leaveRooms, type RoomParts } from './rooms.js';

/** What erasing somebody needs. */
export interface ErasureParts extends RoomParts {
  readonly vault: {
    readonly keys: Pick<KeyStore, 'destroy'>;
    readonly sessions: Pick<SessionStore, 'endAll'>;
    readonly erasures: ErasureStore;
  };
  readonly queries: Pick<Queries, 'users' | 'changedStreams' | 'openedErased'>;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceEnds: (sessions: readonly string[]) => Promise<void>;
  /** Resolves when no node remembers the user, and their name is in no file or document: see `Forgetting`. */
  readonly forgetEverywhere: (user: UserId, at: readonly Moment[], signal: AbortSignal) => Promise<void>;
}

/**
 * Erases a user. Each step may be repeated, and be the last before a crash: as long as the erasure is listed in the
 * vault it is begun again from the top. Rejects with what a step throws, and nothing that is done is undone; `onDecided`
 * is called when it can be undone no more.
 */
export async function eraseUser(
  erasure: BegunErasure,
  parts: ErasureParts,
  onDecided: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { vault, commands, queries } = parts;
  const { userId } = erasure;
  // From here on it is decided: no command of theirs or with them is accepted that comes later.
  const { moment } = await commands.execute<'erase user'>({ kind: 'erase user', userId }, randomUUID());
  onDecided();
  // The claim before the sessions: a sign-in under way looks at it last, and ends the session that it has made.
  await vault.erasures.eraseClaim(erasure);
  await parts.announceEnds(await vault.sessions.endAll(userId));
  await vault.keys.destroy(userId);
  // Now every query and every decision about others sees it.
  await queries.users([userId], [moment]);
  const last = await leaveRooms(userId, parts);
  await parts.forgetEverywhere(userId, [moment, ...last], signal);
  await vault.erasures.end(userId);
}
