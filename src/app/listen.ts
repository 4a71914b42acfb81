import type { AddressInfo } from 'node:net';
import type Koa from 'koa';
import { systemClock } from '../base/clock.js';
import type { Bus } from '../cluster/bus.js';
import { PartitionRouter } from '../cluster/commandRouter.js';
import { ForwardedCommandReceiver } from '../cluster/forwardReceiver.js';
import type { RunningGateway } from '../gateway/startGateway.js';
import { createHttpServer } from '../http/app.js';
import type { WriterThreadClient } from '../writer/writerThreadClient.js';

/** The ways of commands: from this node to whoever owns their partition, and from other nodes to its own writers. */
export interface Routes {
  readonly router: PartitionRouter;
  readonly receiver: ForwardedCommandReceiver;
}

/** Creates both. The router sends nothing before it is told the owners. */
export function routeCommands(bus: Bus, writers: WriterThreadClient): Routes {
  const router = new PartitionRouter({
    ...{ partitions: writers.partitions, bus, writers, clock: systemClock },
    onStaleOwner: () => writers.rebalance(),
  });
  bus.onNote((note) => {
    if (note.kind === 'owners') writers.rebalance();
  });
  return {
    router,
    receiver: new ForwardedCommandReceiver(writers, (partition) => router.epochOf(partition)),
  };
}

/** A port that is served. */
export interface Listening {
  readonly url: string;
  /** Takes no more, and lets those go who are connected, with what they asked for answered. */
  stop(): Promise<void>;
}

/** Serves HTTP, and sockets beside it. Throws what listening throws. */
export async function listen(
  { HOST, PORT }: { readonly HOST: string; readonly PORT: number },
  app: Koa,
  gateway: Pick<RunningGateway, 'upgrade' | 'close'>,
): Promise<Listening> {
  const server = createHttpServer(app);
  server.on('upgrade', (request, socket, head) => void gateway.upgrade(request, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(PORT, HOST, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo; // It listens on a port, not on a pipe.
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await gateway.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
