import type { Bus, CommitFrame } from './bus.js';

/** The bus of a single process: handlers run in the publisher's turn, in the order of subscription. */
export function memoryBus(): Bus {
  const handlers = new Set<(frame: CommitFrame) => void>();
  return {
    publish(frame) {
      for (const handler of handlers) handler(frame);
    },
    subscribe(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
  };
}
