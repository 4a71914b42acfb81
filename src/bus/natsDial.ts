import { once } from 'node:events';
import { isIP, connect as openSocket } from 'node:net';
import { connect, type NatsConnection, type TlsOptions } from 'nats';
import type { NatsServer } from './natsServers.js';

/** How long a server may take to greet, and again to let us in. */
const PATIENCE_MS = 2000;

/** The host and the port, for people. */
export const addressOf = ({ host, port }: NatsServer): string =>
  `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/**
 * Connects to one server, once; what is published here does not come back here. Rejects when it cannot be had. A
 * connection that is lost stays so: it is closed, with all that was under way.
 */
export async function dial(server: NatsServer, name: string): Promise<NatsConnection> {
  await greeting(server);
  return connect({
    servers: addressOf(server),
    name,
    timeout: PATIENCE_MS,
    ...server.credentials,
    ...(server.tls ? { tls: identity(server) } : {}),
    noEcho: true,
    reconnect: false,
    // The system's own resolver, which knows the hosts file.
    resolve: false,
    noAsyncTraces: true,
  });
}

/** The client forgets a socket, open, whose server accepts and then says nothing: so we listen before it does. */
async function greeting({ host, port }: NatsServer): Promise<void> {
  const socket = openSocket(port, host);
  try {
    await once(socket, 'data', { signal: AbortSignal.timeout(PATIENCE_MS) });
  } finally {
    socket.destroy();
  }
}

/** Whose certificate it must be: the client hands this on to `tls.connect`, though its types do not say so. */
function identity({ host }: NatsServer): TlsOptions {
  return { host, ...(isIP(host) ? {} : { servername: host }) } as TlsOptions;
}
