import { fromWire, type ToWriters } from './wire.js';

type GuardReply = Extract<ToWriters, { mayAppend: number }>;

/** For a thread that has no vault: asks the one that has it whether a partition may be appended to. */
export class RemoteGuard {
  readonly #open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #next = 0;

  constructor(private readonly ask: (partition: number, request: number) => void) {}

  /** As `WriterDeps.mayAppend`. */
  mayAppend(partition: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = this.#next++;
      this.#open.set(request, { resolve, reject });
      this.ask(partition, request);
    });
  }

  receive({ mayAppend: request, refusal }: GuardReply): void {
    const waiting = this.#open.get(request);
    this.#open.delete(request);
    if (refusal) waiting?.reject(fromWire(refusal));
    else waiting?.resolve();
  }
}
