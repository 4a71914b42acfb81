import { ExpiringCache } from '../base/collections.js';
import type { SealedNote } from '../domain/defineEvent.js';
import type { Sealed } from '../domain/fields.js';
import type { UserId } from '../domain/ids.js';
import { type SealedPart, textContext } from '../domain/messages/sealedMessages.js';
import { open } from './dataKeys.js';
import { openText, roomKeysId } from './textKeys.js';
import { type KeyStore, SECRET_TTL_MS } from './vault.js';

const MAX_BYTES = 16 * 1024 * 1024;

/** A sealed text, and all that its seal is bound to. */
export interface SealedText {
  readonly sealed: Sealed;
  readonly context: string;
  readonly owner: UserId;
  /** Of a message. */
  readonly seq?: number;
}

/** Texts that this process has just opened, which need not be opened again. */
export interface PlaintextCache {
  set(sealed: SealedText, text: string): void;
  /** Only for the place that it was opened at: at another one the seal may not hold. */
  get(sealed: SealedText): string | undefined;
  /** Removes all texts of a user whose key was destroyed. */
  deleteOwner(owner: UserId): void;
  close(): void;
}

/** Creates a cache limited to `MAX_BYTES` and, by age, to `ERASED_WITHIN_MS`. */
export function createPlaintextCache(): PlaintextCache {
  const texts = new ExpiringCache<SealedText & { readonly text: string }>({
    ttlMs: SECRET_TTL_MS,
    maxBytes: MAX_BYTES,
    // Counts two bytes per unit, which text outside Latin-1 takes.
    sizeOf: ({ text, sealed, context }) => sealed.length + context.length + 2 * text.length + 1,
  });
  return {
    set: (text, opened) => texts.set(text.context, { ...text, text: opened }),
    get({ sealed, context, owner, seq }) {
      const known = texts.get(context);
      const isSame = known?.sealed === sealed && known.owner === owner && known.seq === seq;
      return isSame ? known.text : undefined;
    },
    deleteOwner: (owner) => texts.deleteWhere((entry) => entry.owner === owner),
    close: () => texts.close(),
  };
}

/**
 * Opens sealed texts, in the given order. Null means that the text is erased: its key was destroyed. An
 * unavailable key rejects with `VaultUnavailable` and an altered text with `CipherError`, never with null.
 */
export interface TextOpener {
  messages(parts: readonly SealedPart[]): Promise<(string | null)[]>;
  notes(notes: readonly SealedNote[]): Promise<(string | null)[]>;
}

export function createTextOpener(
  keys: Pick<KeyStore, 'getKeys' | 'getRoomKeys'>,
  cache: PlaintextCache,
): TextOpener {
  /** Takes the texts in memory, and opens the others together. */
  async function openAll<T>(
    texts: readonly T[],
    sealedIn: (text: T) => SealedText | null,
    load: (uncached: readonly T[]) => Promise<(text: T) => string | null>,
  ): Promise<(string | null)[]> {
    const sealed = texts.map(sealedIn);
    const opened = sealed.map((each) => (each === null ? null : cache.get(each)));
    const uncached = texts.filter((_, i) => opened[i] === undefined);
    if (uncached.length === 0) return opened.map((text) => text ?? null);
    const open = await load(uncached);
    return texts.map((text, i) => {
      const known = opened[i];
      if (known !== undefined) return known;
      const plain = open(text);
      const from = sealed[i];
      if (plain !== null && from) cache.set(from, plain);
      return plain;
    });
  }

  async function loadTextKeys(uncached: readonly SealedPart[]) {
    const keyOf = await keys.getRoomKeys(
      uncached.map(({ senderId, roomId }) => ({ owner: senderId, roomId })),
    );
    return (part: SealedPart): string | null => {
      const { senderId, roomId, seq, rev = 0, isData, text } = part;
      const found = keyOf.get(roomKeysId({ owner: senderId, roomId }));
      if (found === undefined) throw new TypeError(`the keys of ${senderId} were not requested`);
      if (found === 'destroyed' || text === null) return null;
      // The data has the key of the first text.
      return openText(found, { seq, rev: isData ? 0 : rev }, text, textContext(part));
    };
  }

  async function loadNoteKeys(uncached: readonly SealedNote[]) {
    const keyOf = await keys.getKeys([...new Set(uncached.map(({ owner }) => owner))]);
    return ({ owner, sealed, context }: SealedNote): string | null => {
      const key = keyOf.get(owner);
      if (key === undefined) throw new TypeError(`the key of ${owner} was not requested`);
      return key === 'destroyed' ? null : open(key, sealed, context);
    };
  }

  return {
    messages: (parts) =>
      openAll(
        parts,
        (part) => {
          const { text, senderId: owner, seq } = part;
          return text === null ? null : { sealed: text, context: textContext(part), owner, seq };
        },
        loadTextKeys,
      ),
    notes: (notes) => openAll(notes, (note) => note, loadNoteKeys),
  };
}
