import { COMMIT_LIMITS, type PackedCommit } from './commit.js';
import type { Commit } from './log.js';

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

/** What the log's thread is asked for: to append a commit, or what the word says. */
export type Asked = Commit | 'checkpoint' | 'close';

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

  /**
   * Writes a call: a commit is to be appended. It is taken after the next `wake`. The slot must be free. Throws
   * `RangeError` for a too large commit.
   */
  call(slot: number, asked: Asked): void {
    const bytes = this.#bytes[slot];
    if (!bytes) throw new RangeError(`there is no slot ${slot}`);
    const at = slot * SLOT_WORDS;
    let kind: SlotCall['kind'] = 'append';
    if (typeof asked === 'string') kind = asked;
    else {
      const { leaves, ...fields } = asked;
      const head = JSON.stringify(fields);
      const text = leaves.join('\n');
      if (Buffer.byteLength(head) > HEAD_BYTES || Buffer.byteLength(text) > SLOT_BYTES - HEAD_BYTES)
        throw new RangeError(`commit ${asked.position} of partition ${asked.partition} is too large`);
      Atomics.store(this.#words, at + WORDS.headBytes, bytes.write(head, 0));
      Atomics.store(this.#words, at + WORDS.textBytes, bytes.write(text, HEAD_BYTES));
    }
    Atomics.store(this.#words, at + WORDS.call, CALL_NUMBERS[kind]);
  }

  /** Lets the log's thread take the calls that were written. */
  wake(): void {
    Atomics.add(this.#words, CALLS, 1);
    Atomics.notify(this.#words, CALLS);
  }

  /** Called by the log's thread: sleeps until there are calls, and takes all of them. */
  take(): SlotCall[] {
    const words = this.#words;
    const taken: SlotCall[] = [];
    for (;;) {
      const seen = Atomics.load(words, CALLS);
      for (const [slot, bytes] of this.#bytes.entries()) {
        const at = slot * SLOT_WORDS;
        const call = Atomics.exchange(words, at + WORDS.call, CALL_NUMBERS.none);
        if (call === CALL_NUMBERS.none) continue;
        if (call === CALL_NUMBERS.append) {
          const head = bytes.toString('utf8', 0, Atomics.load(words, at + WORDS.headBytes));
          const end = HEAD_BYTES + Atomics.load(words, at + WORDS.textBytes);
          // Copied, because SQLite must not read memory that another thread may write.
          const leaves = Buffer.from(bytes.subarray(HEAD_BYTES, end));
          // `call` wrote the fields of a commit.
          taken.push({ slot, kind: 'append', commit: { ...JSON.parse(head), leaves } });
        } else taken.push({ slot, kind: call === CALL_NUMBERS.checkpoint ? 'checkpoint' : 'close' });
      }
      if (taken.length > 0) return taken;
      Atomics.wait(words, CALLS, seen);
    }
  }
}
