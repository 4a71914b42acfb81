import { COMMIT_LIMITS, type PackedCommit } from './commit.js';

/** Calls that may be in progress at once. More wait for a slot. */
export const SLOTS = 8;
/** The fields of a commit as JSON. A frontier has at most 53 hashes of 46 characters. */
const HEAD_BYTES = 4096;
const SLOT_BYTES = HEAD_BYTES + COMMIT_LIMITS.bytes + COMMIT_LIMITS.events;

/** The words of a slot. */
const WORDS = { call: 0, headBytes: 1, textBytes: 2 } as const;
const SLOT_WORDS = 3;
/** The word that the log's thread sleeps on: the number of calls made. */
const CALLS = SLOTS * SLOT_WORDS;

/** What a slot asks for. `none`: the slot is free, or its call was taken. */
const CALL_NUMBERS = { none: 0, append: 1, checkpoint: 2, close: 3 } as const;

/** A commit as the log's thread takes it: its leaves are UTF-8 lines. */
export interface SlottedCommit extends Omit<PackedCommit, 'text'> {
  readonly leaves: Uint8Array;
}

/** A call that the log's thread takes from a slot. */
export type SlotCall =
  | { readonly slot: number; readonly kind: 'append'; readonly commit: SlottedCommit }
  | { readonly slot: number; readonly kind: 'checkpoint' | 'close' };

/**
 * Memory through which a thread calls the thread that appends to the log. A call is written into a slot, and
 * `Atomics.notify` wakes the other thread for a few µs of the caller's time. `postMessage` to a sleeping thread takes
 * 60–130 µs of it. Results come back by message, because `Atomics.waitAsync` does not wake the event loop of Node 20.
 */
export class AppendSlots {
  readonly #words: Int32Array;
  readonly #bytes: readonly Buffer[];

  /** Pass `memory` to the other thread, which makes its own object of it. */
  constructor(
    readonly memory: SharedArrayBuffer = new SharedArrayBuffer(
      (CALLS + 1) * Int32Array.BYTES_PER_ELEMENT + SLOTS * SLOT_BYTES,
    ),
  ) {
    this.#words = new Int32Array(memory, 0, CALLS + 1);
    const from = this.#words.byteLength;
    this.#bytes = Array.from({ length: SLOTS }, (_, slot) =>
      Buffer.from(memory, from + slot * SLOT_BYTES, SLOT_BYTES),
    );
  }

  /** Asks to append a commit. The slot must be free. Throws `RangeError` if the commit exceeds its limits. */
  append(slot: number, { text, ...fields }: PackedCommit): void {
    const bytes = this.#bytesOf(slot);
    const head = JSON.stringify(fields);
    if (Buffer.byteLength(head) > HEAD_BYTES || Buffer.byteLength(text) > SLOT_BYTES - HEAD_BYTES)
      throw new RangeError(`commit ${fields.position} of partition ${fields.partition} is too large`);
    this.#set(slot, 'headBytes', bytes.write(head, 0));
    this.#set(slot, 'textBytes', bytes.write(text, HEAD_BYTES));
    this.ask(slot, 'append');
  }

  /** Makes a call. The slot must be free. */
  ask(slot: number, kind: SlotCall['kind']): void {
    this.#set(slot, 'call', CALL_NUMBERS[kind]);
    Atomics.add(this.#words, CALLS, 1);
    Atomics.notify(this.#words, CALLS);
  }

  /** Called by the log's thread: sleeps until there are calls, and takes all of them. */
  take(): SlotCall[] {
    for (;;) {
      const seen = Atomics.load(this.#words, CALLS);
      const taken = this.#takeNow();
      if (taken.length > 0) return taken;
      Atomics.wait(this.#words, CALLS, seen);
    }
  }

  #takeNow(): SlotCall[] {
    const taken: SlotCall[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      const call = Atomics.exchange(this.#words, slot * SLOT_WORDS + WORDS.call, CALL_NUMBERS.none);
      if (call === CALL_NUMBERS.append) taken.push({ slot, kind: 'append', commit: this.#commitIn(slot) });
      else if (call === CALL_NUMBERS.checkpoint) taken.push({ slot, kind: 'checkpoint' });
      else if (call === CALL_NUMBERS.close) taken.push({ slot, kind: 'close' });
    }
    return taken;
  }

  #commitIn(slot: number): SlottedCommit {
    const bytes = this.#bytesOf(slot);
    const head = bytes.toString('utf8', 0, this.#get(slot, 'headBytes'));
    // Copied, because SQLite must not read memory that another thread may write.
    const leaves = Buffer.from(bytes.subarray(HEAD_BYTES, HEAD_BYTES + this.#get(slot, 'textBytes')));
    return { ...JSON.parse(head), leaves }; // `append` wrote the fields of a commit.
  }

  #bytesOf(slot: number): Buffer {
    const bytes = this.#bytes[slot];
    if (!bytes) throw new RangeError(`there is no slot ${slot}`);
    return bytes;
  }

  #get(slot: number, word: keyof typeof WORDS): number {
    return Atomics.load(this.#words, slot * SLOT_WORDS + WORDS[word]);
  }

  #set(slot: number, word: keyof typeof WORDS, value: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS + WORDS[word], value);
  }
}
