/** What a connection may have taken from us without its server's having it: beyond it, nothing more is sent. */
const MAX_UNCONFIRMED_BYTES = 8 * 1024 * 1024;
/** From here on the server is asked without waiting for the next beat. */
const ASK_ABOVE_BYTES = 1024 * 1024;
const BEAT_MS = 1000;
/** Beats without an answer after which a server counts as gone. Beats, as a paused process must not count its pause. */
const MAX_MISSED = 4;

/**
 * What flows out over a connection, bounded: a peer that reads no more would else have us keep everything in memory.
 * The server is asked once a second, and once a mebibyte, whether it has all so far.
 */
export class Outflow {
  readonly #ping: () => Promise<void>;
  readonly #onSilence: () => void;
  readonly #timer: NodeJS.Timeout;
  #given = 0;
  #confirmed = 0;
  #isAsking = false;
  #missed = 0;

  /** `ping` resolves when the server has all that was given before; `onSilence`: it does not answer any more. */
  constructor(ping: () => Promise<void>, onSilence: () => void) {
    this.#ping = ping;
    this.#onSilence = onSilence;
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Whether so many bytes may be sent now; if so, they count as given. */
  admit(bytes: number): boolean {
    const unconfirmed = this.#given + bytes - this.#confirmed;
    if (unconfirmed > MAX_UNCONFIRMED_BYTES) return false;
    this.#given += bytes;
    if (unconfirmed > ASK_ABOVE_BYTES && !this.#isAsking) this.#ask();
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    if (!this.#isAsking) this.#ask();
    else if (++this.#missed === MAX_MISSED) this.#onSilence();
  }

  #ask(): void {
    const asked = this.#given;
    this.#isAsking = true;
    this.#ping().then(
      () => {
        this.#confirmed = asked;
        this.#isAsking = false;
        this.#missed = 0;
      },
      () => {}, // The connection has ended, and with it this.
    );
  }
}
