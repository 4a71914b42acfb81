import type { Push, PushHandler, PushName } from './types.js';

type AnyHandler = (data: Push['data']) => void | Promise<void>;

/** Who wants to hear of which push. */
export class Listeners {
  readonly #handlers = new Map<PushName, Set<AnyHandler>>();

  constructor(private readonly report: (error: unknown) => void) {}

  add<N extends PushName>(name: N, handler: PushHandler<N>): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers);
    // A handler is kept under its own name, and called with the data of that name only.
    const kept = handler as AnyHandler;
    handlers.add(kept);
    return () => handlers.delete(kept);
  }

  /** Calls the handlers of a push in the order they were added, waiting for each; never throws. */
  async call(push: Push): Promise<void> {
    for (const handler of [...(this.#handlers.get(push.event) ?? [])]) {
      try {
        await handler(push.data);
      } catch (error) {
        // One handler's mistake must not stop the others, nor bring the push back for ever.
        this.report(error);
      }
    }
  }
}
