import { forbidden } from '../errors.js';
import type { RoomId, UserId } from '../events/ids.js';
import { type Sealed, sealContext } from '../events/types.js';
import { seal } from './cipher.js';
import type { TextMemory } from './textMemory.js';
import { type CachedKeys, type DataKey, VaultUnavailable } from './vault.js';

/** Seals what goes into the log, without waiting, so that deciding a batch is one step. */
export interface Sealer {
  /** After it, the owners' keys are at hand for 5 s. Rejects with `VaultUnavailable`. */
  ready(owners: readonly UserId[]): Promise<void>;
  /** Undefined when not at hand, or destroyed. */
  key(owner: UserId): DataKey | undefined;
  /** Throws `VaultUnavailable` without `ready`, `forbidden` when the owner was erased; so does `username`. */
  message(owner: UserId, roomId: RoomId, messageId: string, text: string): Sealed;
  username(owner: UserId, name: string): Sealed;
}

export function createSealer(keys: CachedKeys, memory: TextMemory): Sealer {
  function sealed(owner: UserId, text: string, context: string): Sealed {
    const key = keys.cached(owner);
    if (key === undefined) throw new VaultUnavailable(`the key of user ${owner} is not at hand`);
    if (key === 'destroyed') throw forbidden('this account has been erased');
    const result = seal(key, text, context);
    memory.remember(result, text, owner);
    return result;
  }
  return {
    async ready(owners) {
      await keys.keys(owners);
    },
    key(owner) {
      const key = keys.cached(owner);
      return key === 'destroyed' ? undefined : key;
    },
    message: (owner, roomId, messageId, text) => sealed(owner, text, sealContext.message(roomId, messageId)),
    username: (owner, name) => sealed(owner, name, sealContext.username(owner)),
  };
}
