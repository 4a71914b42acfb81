import { Expiring } from '../base/collections.js';
import type { Sealed } from '../domain/define.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { messageContext } from '../domain/messages.js';
import { usernameContext } from '../domain/users.js';
import { open } from './cipher.js';
import type { KeyStore } from './vault.js';

/** Like a cached key: no memory holds an erased text after 60 s, the 5 s of forgetting included. */
const REMEMBERED_MS = 55_000;
const MAX_TEXTS = 100_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** What this process has itself just sealed or opened, so that it need not be opened once more. */
export interface TextMemory {
  remember(sealed: Sealed, text: string, owner: UserId): void;
  recall(sealed: Sealed): string | undefined;
  /** Recalls and forgets: a text that is pushed at once is best gone before the garbage collector meets it. */
  take(sealed: Sealed): string | undefined;
  /** For an owner whose key was destroyed. */
  forget(owner: UserId): void;
  close(): void;
}

/** Bounded by bytes (16 MiB) and by age (60 s). */
export function textMemory(): TextMemory {
  const texts = new Expiring<{ text: string; owner: UserId }>({
    ttlMs: REMEMBERED_MS,
    maxEntries: MAX_TEXTS,
    maxBytes: MAX_BYTES,
    // Text outside Latin-1 takes two bytes a unit.
    sizeOf: ({ text }, sealed) => sealed.length + 2 * text.length + 1,
  });
  return {
    remember: (sealed, text, owner) => texts.set(sealed, { text, owner }),
    recall: (sealed) => texts.get(sealed)?.text,
    take(sealed) {
      const text = texts.get(sealed)?.text;
      texts.delete(sealed);
      return text;
    },
    forget: (owner) => texts.deleteWhere((entry) => entry.owner === owner),
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
    take: (sealed) => memory.take(sealed),
  };
}
