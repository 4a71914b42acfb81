import { messageTerm, type StoredMessage, sealedMessage } from '../events/changes.js';
import type { StreamName } from '../events/ids.js';
import type { Recorded } from '../events/types.js';

/** Keeps all that is in the tail now, until everyone who shares it has let go. */
export interface Pin {
  readonly floor: number;
  holders: number;
}

const none: readonly Recorded[] = [];

/**
 * A partition's newest events: all that the read models may not have stored yet. A look-up first pins the tail,
 * then asks the read models, and looks into the tail last: whatever they had not stored when they were asked
 * is then still here, however far they have come since.
 */
export class Tail {
  #floor: number;
  readonly #events: Recorded[] = [];
  readonly #streams = new Map<StreamName, Recorded[]>();
  readonly #messages = new Map<string, StoredMessage>();
  // In the order they were taken, so the first has the smallest floor.
  readonly #pins = new Set<Pin>();

  /** `floor`: the offset below which the read models have stored everything. */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** How many events it holds. */
  get length(): number {
    return this.#events.length;
  }

  /** Events come in the order of their offsets. */
  add(event: Recorded): void {
    this.#events.push(event);
    const stream = this.#streams.get(event.stream);
    if (stream) stream.push(event);
    else this.#streams.set(event.stream, [event]);
    if (event.type === 'MessageSent')
      this.#messages.set(messageTerm(event.data.roomId, event.data.messageId), sealedMessage(event));
  }

  /** The events of one stream that are here, in order. */
  of(stream: StreamName): readonly Recorded[] {
    return this.#streams.get(stream) ?? none;
  }

  /** A message by its `messageTerm`, if it is here. */
  message(term: string): StoredMessage | undefined {
    return this.#messages.get(term);
  }

  /** To be let go `holders` times. */
  pin(holders: number): Pin {
    const pin = { floor: this.#floor, holders };
    this.#pins.add(pin);
    return pin;
  }

  letGo(pin: Pin): void {
    if (--pin.holders === 0) this.#pins.delete(pin);
  }

  /** The read models have stored every offset below `size`: forgets what no pin keeps. */
  trim(size: number): void {
    const [oldest] = this.#pins;
    const floor = Math.min(size, oldest?.floor ?? size);
    if (floor <= this.#floor) return;
    this.#floor = floor;
    // Offsets have no hole: the first tells how many are below the floor.
    const first = this.#events[0]?.offset ?? floor;
    for (const event of this.#events.splice(0, floor - first)) this.#forget(event);
  }

  #forget(event: Recorded): void {
    const stream = this.#streams.get(event.stream);
    if (stream && stream.length > 1) stream.shift();
    else this.#streams.delete(event.stream);
    if (event.type === 'MessageSent')
      this.#messages.delete(messageTerm(event.data.roomId, event.data.messageId));
  }
}
