import type { Moment } from '../commands/commands.js';
import { VaultUnavailable } from '../errors.js';
import type { UserId } from '../events/ids.js';
import type { TextMemory } from '../vault/textMemory.js';
import type { CachedKeys } from '../vault/vault.js';

/** What of a node remembers people. */
export interface Memories {
  readonly keys: Pick<CachedKeys, 'fresh'>;
  /** Resolves when the node has fanned out these moments; rejects if that takes too long. */
  readonly fannedOut: (at: readonly Moment[]) => Promise<void>;
  readonly texts: Pick<TextMemory, 'forget'>;
  readonly writers: { forget(user: UserId): void };
  readonly gateway: { forget(user: UserId): void };
  readonly projections: { unlist(user: UserId): Promise<void> };
}

/**
 * Lets this node forget a user whose key was destroyed, which it asks of the vault itself: nobody is forgotten on
 * hearsay. The order matters: once the key is known to be destroyed nothing of the user is opened any more, and once
 * all of theirs is fanned out nothing that was opened before comes to be remembered.
 */
export async function forgetHere(parts: Memories, user: UserId, at: readonly Moment[]): Promise<void> {
  const key = (await parts.keys.fresh([user])).get(user);
  if (key !== 'destroyed') throw new VaultUnavailable(`the key of ${user} is not destroyed`);
  parts.writers.forget(user);
  await parts.fannedOut(at);
  parts.texts.forget(user);
  parts.gateway.forget(user);
  await parts.projections.unlist(user);
}
