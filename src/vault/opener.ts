import type { RoomId, UserId } from '../events/ids.js';
import { type Sealed, sealContext } from '../events/types.js';
import { open } from './cipher.js';
import type { TextMemory } from './textMemory.js';
import type { KeyStore } from './vault.js';

export interface SealedMessage {
  readonly senderId: UserId;
  readonly roomId: RoomId;
  readonly messageId: string;
  readonly text: Sealed;
}

export interface SealedName {
  readonly userId: UserId;
  readonly username: Sealed;
}

/**
 * Opens what was sealed, in the order given. Null means: erased, its key was destroyed. Rejects with
 * `VaultUnavailable` when a key cannot be had, with `CipherError` when the text was altered: neither is null.
 */
export interface Opener {
  messages(messages: readonly SealedMessage[]): Promise<(string | null)[]>;
  usernames(names: readonly SealedName[]): Promise<(string | null)[]>;
  /** Without waiting, and once, what this process has just sealed or opened itself; else undefined. */
  take(sealed: Sealed): string | undefined;
}

interface SealedText {
  readonly owner: UserId;
  readonly sealed: Sealed;
  readonly context: string;
}

export function createOpener(keys: KeyStore, memory: TextMemory): Opener {
  async function openAll(texts: readonly SealedText[]): Promise<(string | null)[]> {
    const opened: (string | null | undefined)[] = texts.map(({ sealed }) => memory.recall(sealed));
    const rest = texts.filter((_, i) => opened[i] === undefined);
    if (rest.length === 0) return opened.map((text) => text ?? null);
    const keyOf = await keys.keys(rest.map(({ owner }) => owner));
    return texts.map((text, i) => opened[i] ?? openOne(text, keyOf.get(text.owner)));
  }

  function openOne(
    { owner, sealed, context }: SealedText,
    key: Buffer | 'destroyed' | undefined,
  ): string | null {
    if (key === undefined) throw new TypeError(`no key of ${owner} was asked for`);
    if (key === 'destroyed') return null;
    const text = open(key, sealed, context);
    memory.remember(sealed, text, owner);
    return text;
  }

  return {
    messages: (messages) =>
      openAll(
        messages.map(({ senderId, roomId, messageId, text }) => ({
          owner: senderId,
          sealed: text,
          context: sealContext.message(roomId, messageId),
        })),
      ),
    usernames: (names) =>
      openAll(
        names.map(({ userId, username }) => ({
          owner: userId,
          sealed: username,
          context: sealContext.username(userId),
        })),
      ),
    take: (sealed) => memory.take(sealed),
  };
}
