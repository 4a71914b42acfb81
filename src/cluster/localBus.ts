import { type Bus, type CommitFrame, type NodeId, RequestServer, withReplyTimeout } from './bus.js';
import type { NatsBusOptions } from './natsBus.js';

/** The bus of a single process: handlers run in the publisher's turn, in the order of subscription. */
export function memoryBus(node: NodeId, report: (message: string, error: unknown) => void): Bus {
  const handlers = new Set<(frame: CommitFrame) => void>();
  const serving = new RequestServer(report);
  return {
    node,
    publish(frame) {
      for (const handler of handlers) handler(frame);
    },
    subscribe(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    // There is no other node to tell, or to hear of.
    broadcast() {},
    onNote: () => () => {},
    async request(to, body, timeoutMs) {
      if (to !== node) return 'undelivered';
      return withReplyTimeout(timeoutMs, serving.handle(body, node, 0));
    },
    serve: (handler) => serving.serve(handler),
    isConnected: true,
    onConnectionChange: () => () => {},
    async close() {
      serving.close();
      handlers.clear();
    },
  };
}

/** The bus over these NATS servers; without any, of the one process that there is. */
export async function openBus({
  servers,
  ...options
}: Omit<NatsBusOptions, 'servers'> & {
  readonly servers: NatsBusOptions['servers'] | undefined;
}): Promise<Bus> {
  if (!servers) return memoryBus(options.node, options.report);
  // Loaded where it is used: that takes a tenth of a second.
  const { NatsBus } = await import('./natsBus.js');
  return new NatsBus({ servers, ...options });
}
