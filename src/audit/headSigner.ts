import { NotExtended } from '../log/notExtended.js';
import type { Heads } from './heads.js';

const EVERY_MS = 10_000;

/** What the signer knows of the system. */
export interface HeadSignerParts {
  readonly heads: Pick<Heads, 'advance'>;
  /** The partitions that are this node's to sign. */
  readonly owned: () => readonly number[];
  /** How many events are in a partition. */
  readonly size: (partition: number) => Promise<number>;
  readonly report: (message: string, error: unknown) => void;
}

/** Signs the partitions of this node that have grown, every 10 s and when the system stops. */
export class HeadSigner {
  readonly #signed = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: HeadSignerParts) {}

  start(): void {
    this.#timer = setInterval(() => this.#sign(), EVERY_MS).unref();
    this.#sign();
  }

  /**
   * Resolves once what there is now is signed, or cannot be, or after so many milliseconds. To be called when
   * nothing more comes, and while all of it is still folded.
   */
  async stop(ms: number): Promise<void> {
    clearInterval(this.#timer);
    this.#sign();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.parts.report('the end of the log is not signed yet', new Error(`not within ${ms} ms`));
        resolve();
      }, ms);
    });
    await Promise.race([this.#running, late]);
    clearTimeout(timer);
  }

  /** One round behind the other: a slow vault must not gather them. */
  #sign(): void {
    this.#running = this.#running.then(async () => {
      await Promise.all(this.parts.owned().map((partition) => this.#advance(partition)));
    });
  }

  async #advance(partition: number): Promise<void> {
    const { heads, size, report } = this.parts;
    try {
      if ((await size(partition)) <= (this.#signed.get(partition) ?? 0)) return;
      const head = await heads.advance(partition);
      this.#signed.set(partition, head.size);
    } catch (error) {
      const message =
        error instanceof NotExtended ? 'the log is not what was signed' : 'a head could not be signed yet';
      report(message, error);
    }
  }
}
