import { ExpiringCache } from '../base/collections.js';
import { type Sealed, sealContext } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { open } from './cipher.js';
import type { KeyStore } from './vault.js';

/** Like a cached key: no memory holds an erased text after 60 s, the 5 s of forgetting included. */
const PLAINTEXT_TTL_MS = 55_000;
const MAX_TEXTS = 100_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** What this process has itself just sealed or opened, so that it need not be opened once more. */
export interface PlaintextCache {
  set(sealed: Sealed, text: string, owner: UserId): void;
  get(sealed: Sealed): string | undefined;
  /** Recalls and forgets: a text that is pushed at once is best gone before the garbage collector meets it. */
  take(sealed: Sealed): string | undefined;
  /** For an owner whose key was destroyed. */
  deleteOwner(owner: UserId): void;
  close(): void;
}

/** Bounded by bytes (16 MiB) and by age (60 s). */
export function createPlaintextCache(): PlaintextCache {
  const texts = new ExpiringCache<{ text: string; owner: UserId }>({
    ttlMs: PLAINTEXT_TTL_MS,
    maxEntries: MAX_TEXTS,
    maxBytes: MAX_BYTES,
    // Text outside Latin-1 takes two bytes a unit.
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
 * Opens what was sealed, in the order given. Null means: erased, its key was destroyed. Rejects with
 * `VaultUnavailable` when a key cannot be had, with `CipherError` when the text was altered: neither is null.
 */
export interface TextOpener {
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

export function createTextOpener(keys: KeyStore, cache: PlaintextCache): TextOpener {
  async function openAll(texts: readonly SealedText[]): Promise<(string | null)[]> {
    const opened: (string | null | undefined)[] = texts.map(({ sealed }) => cache.get(sealed));
    const uncached = texts.filter((_, i) => opened[i] === undefined);
    if (uncached.length === 0) return opened.map((text) => text ?? null);
    const keyOf = await keys.keys(uncached.map(({ owner }) => owner));
    return texts.map((text, i) => opened[i] ?? openOne(text, keyOf.get(text.owner)));
  }

  function openOne(
    { owner, sealed, context }: SealedText,
    key: Buffer | 'destroyed' | undefined,
  ): string | null {
    if (key === undefined) throw new TypeError(`no key of ${owner} was asked for`);
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
    take: (sealed) => cache.take(sealed),
  };
}
