import { MAX_WIRE_FRAME_BYTES } from './protocol.js';

/**
 * Keeps copies of frames outside the JavaScript heap, so that the garbage collector neither visits nor moves them. The
 * oldest are dropped first. Each frame has a place: 1, 2, 3 … in the order in which they came.
 *
 * The frames follow each other in one buffer. A frame that does not fit before the end is put at the beginning.
 */
export class FrameArena {
  readonly #bytes: Buffer;
  readonly #maxFrames: number;
  /** By slot: where the frame begins, and its length. That of an erased frame is 0; its bytes are not used again yet. */
  readonly #starts: Uint32Array;
  readonly #lengths: Uint32Array;
  /** The place of the oldest frame. Above `last` when there is none. */
  first = 1;
  last = 0;
  /** The largest frame that can be kept. */
  readonly maxBytes: number;
  /** Where the last frame ends. */
  #end = 0;

  /** `bytes`: where the frames are kept. */
  constructor(bytes: Buffer, maxFrames: number) {
    this.#bytes = bytes;
    this.maxBytes = bytes.length;
    this.#maxFrames = maxFrames;
    this.#starts = new Uint32Array(maxFrames);
    this.#lengths = new Uint32Array(maxFrames);
  }

  /** The index of what is kept of the frame in arrays. A new frame has that of the one `maxFrames` before it. */
  slotOf(place: number): number {
    return (place - 1) % this.#maxFrames;
  }

  /** Keeps a copy of the frame behind the last. Returns false, and keeps nothing, if the oldest must be dropped first. */
  push(frame: Buffer): boolean {
    const start = this.#startOf(frame);
    if (start === undefined) return false;
    this.#bytes.set(frame, start);
    this.#end = start + frame.length;
    const slot = this.slotOf(++this.last);
    this.#starts[slot] = start;
    this.#lengths[slot] = frame.length;
    return true;
  }

  #startOf({ length }: Buffer): number | undefined {
    const size = this.#bytes.length;
    if (this.first > this.last) return length <= size ? 0 : undefined;
    if (this.last - this.first + 1 === this.#maxFrames) return undefined;
    const head = this.#startAt(this.first);
    if (this.#end <= head) return length <= head - this.#end ? this.#end : undefined;
    if (length <= size - this.#end) return this.#end;
    return length <= head ? 0 : undefined;
  }

  /** Drops the oldest frame. */
  shift(): void {
    this.#zero(this.first++);
  }

  lengthAt(place: number): number {
    return this.#lengths[this.slotOf(place)] ?? 0;
  }

  /** A copy: the bytes are used again while a socket may still wait with it. */
  copyAt(place: number): Buffer {
    const start = this.#startAt(place);
    return Buffer.from(this.#bytes.subarray(start, start + this.lengthAt(place)));
  }

  /**
   * Erases all frames that have the text as a JSON string, and gives their places. Takes about 0.2 ms per MiB.
   */
  eraseWith(text: string): number[] {
    const erased: number[] = [];
    const erase = (place: number) => {
      this.#zero(place);
      erased.push(place);
    };
    const wanted = Buffer.from(JSON.stringify(text));
    for (const [from, to] of this.#usedParts()) {
      const part = this.#bytes.subarray(from, to);
      for (let at = part.indexOf(wanted); at >= 0; at = part.indexOf(wanted, at + 1)) {
        const place = this.#placeOf(from + at);
        // Otherwise it begins in one frame and ends behind it.
        if (from + at + wanted.length <= this.#startAt(place) + this.lengthAt(place)) erase(place);
      }
    }
    // The header of a fragment may stand within the text. Such frames are rare, so that none of them is kept.
    for (let place = this.first; place <= this.last; place++)
      if (this.lengthAt(place) > MAX_WIRE_FRAME_BYTES) erase(place);
    return erased;
  }

  /** Where frames are, from and to. Behind the frame before the end of the buffer may be bytes of no frame. */
  #usedParts(): [number, number][] {
    if (this.first > this.last) return [];
    const head = this.#startAt(this.first);
    if (this.#end > head) return [[head, this.#end]];
    return [
      [head, this.#bytes.length],
      [0, this.#end],
    ];
  }

  /** The place of the last frame that begins at or before the index of the buffer. */
  #placeOf(index: number): number {
    const size = this.#bytes.length;
    const head = this.#startAt(this.first);
    const behindHead = (at: number) => (at - head + size) % size;
    let [low, high] = [this.first, this.last];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (behindHead(this.#startAt(middle)) <= behindHead(index)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #startAt(place: number): number {
    return this.#starts[this.slotOf(place)] ?? 0;
  }

  /** Nothing of a frame stays in memory when it is dropped: it may have been dropped for an erased user. */
  #zero(place: number): void {
    const start = this.#startAt(place);
    this.#bytes.fill(0, start, start + this.lengthAt(place));
    this.#lengths[this.slotOf(place)] = 0;
  }
}
