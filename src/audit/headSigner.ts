import { NotExtended } from '../log/notExtended.js';
import type { Heads } from './heads.js';

const EVERY_MS = 10_000;

/** What the signer knows of the system. */
export interface HeadSignerParts {
  readonly heads: Pick<Heads, 'advance'>;
  /** The partitions that this node owns now. */
  readonly owned: () => readonly number[];
  /** How many events of a partition are in tiles. */
  readonly folded: (partition: number) => number;
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

  /** Resolves once what there is now is signed, or cannot be. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#sign();
    await this.#running;
  }

  /** One round behind the other: a slow vault must not gather them. */
  #sign(): void {
    const { owned, folded } = this.parts;
    const grown = owned().filter((partition) => folded(partition) > (this.#signed.get(partition) ?? 0));
    this.#running = this.#running.then(async () => {
      await Promise.all(grown.map((partition) => this.#advance(partition)));
    });
  }

  async #advance(partition: number): Promise<void> {
    const { heads, report } = this.parts;
    try {
      const { size } = await heads.advance(partition);
      this.#signed.set(partition, size);
    } catch (error) {
      const message =
        error instanceof NotExtended ? 'the log is not what was signed' : 'a head could not be signed yet';
      report(message, error);
    }
  }
}
