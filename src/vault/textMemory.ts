import type { UserId } from '../events/ids.js';
import type { Sealed } from '../events/types.js';
import { Expiring } from './expiring.js';

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
