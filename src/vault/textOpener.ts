import { ExpiringCache } from '../base/collections.js';
import type { Sealed } from '../domain/fields.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { messageContext } from '../domain/messages.js';
import { usernameContext } from '../domain/signUp.js';
import { open } from './dataKeys.js';
import { type KeyStore, SECRET_TTL_MS } from './vault.js';

const MAX_TEXTS = 100_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Texts that this process has just sealed or opened, which need not be opened again. */
export interface PlaintextCache {
  set(sealed: Sealed, text: string, owner: UserId): void;
  get(sealed: Sealed): string | undefined;
  /**
   * Returns and removes a text. A text pushed at once should leave memory before garbage collection promotes
   * it.
   */
  take(sealed: Sealed): string | undefined;
  /** Removes all texts of a user whose key was destroyed. */
  deleteOwner(owner: UserId): void;
  close(): void;
}

/** Creates a cache limited to `MAX_BYTES` and, by age, to `ERASED_WITHIN_MS`. */
export function createPlaintextCache(): PlaintextCache {
  const texts = new ExpiringCache<{ text: string; owner: UserId }>({
    ttlMs: SECRET_TTL_MS,
    maxEntries: MAX_TEXTS,
    maxBytes: MAX_BYTES,
    // Counts two bytes per unit, which text outside Latin-1 takes.
    sizeOf: ({ text }, sealed) => sealed.length + 2 * text.length + 1,
  });
  return {
    set: (sealed, text, owner) => texts.set(sealed, { text, owner }),
    get: (sealed) => texts.get(sealed)?.text,
    take(sealed) {
      const text = texts.get(sealed)?.text;
      texts.delete(sealed);
      return text;
    },
    deleteOwner: (owner) => texts.deleteWhere((entry) => entry.owner === owner),
    close: () => texts.close(),
  };
}

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
 * Opens sealed texts, in the given order. Null means that the text is erased: its key was destroyed. An
 * unavailable key rejects with `VaultUnavailable` and an altered text with `CipherError`, never with null.
 */
export interface TextOpener {
  messages(messages: readonly SealedMessage[]): Promise<(string | null)[]>;
  usernames(names: readonly SealedName[]): Promise<(string | null)[]>;
  /** Returns, at once and only once, a text that this process has just sealed or opened; else undefined. */
  take(sealed: Sealed): string | undefined;
}

interface SealedText {
  readonly owner: UserId;
  readonly sealed: Sealed;
  readonly context: string;
}

export function createTextOpener(keys: KeyStore, cache: PlaintextCache): TextOpener {
  async function openAll(texts: readonly SealedText[]): Promise<(string | null)[]> {
    const opened: (string | null | undefined)[] = texts.map(({ sealed }) => cache.get(sealed));
    const uncached = texts.filter((_, i) => opened[i] === undefined);
    if (uncached.length === 0) return opened.map((text) => text ?? null);
    const keyOf = await keys.getKeys(uncached.map(({ owner }) => owner));
    return texts.map((text, i) => opened[i] ?? openOne(text, keyOf.get(text.owner)));
  }

  function openOne(
    { owner, sealed, context }: SealedText,
    key: Buffer | 'destroyed' | undefined,
  ): string | null {
    if (key === undefined) throw new TypeError(`the key of ${owner} was not requested`);
    if (key === 'destroyed') return null;
    const text = open(key, sealed, context);
    cache.set(sealed, text, owner);
    return text;
  }

  return {
    messages: (messages) =>
      openAll(
        messages.map(({ senderId, roomId, messageId, text }) => ({
          owner: senderId,
          sealed: text,
          context: messageContext(roomId, messageId),
        })),
      ),
    usernames: (names) =>
      openAll(
        names.map(({ userId, username }) => ({
          owner: userId,
          sealed: username,
          context: usernameContext(userId),
        })),
      ),
    take: (sealed) => cache.take(sealed),
  };
}
