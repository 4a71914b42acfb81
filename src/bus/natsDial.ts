import { isIP, connect as openSocket } from 'node:net';
import { connect, type NatsConnection, type TlsOptions } from 'nats';
import type { NatsServer } from './natsServers.js';

/** How long a server may take to greet, and again to let us in. */
const PATIENCE_MS = 2000;
/** More than this is no greeting. */
const MAX_GREETING = 65_536;

/** The host and the port, for people. */
export const addressOf = ({ host, port }: NatsServer): string =>
  `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/**
 * Connects to one server, once; what is published here does not come back here. Rejects when it cannot be had. A
 * connection that is lost stays so: it is closed, with all that was under way.
 */
export async function dial(server: NatsServer, name: string): Promise<NatsConnection> {
  const isOffered = /"tls_(required|available)":\s*true/.test(await greeting(server));
  return connect({
    servers: addressOf(server),
    name,
    timeout: PATIENCE_MS,
    ...server.credentials,
    ...(server.tls || isOffered ? { tls: identity(server) } : {}),
    noEcho: true,
    reconnect: false,
    // The system's own resolver, which knows the hosts file.
    resolve: false,
    noAsyncTraces: true,
  });
}

/**
 * The first line a server says, which tells what it wants and can. The client would forget a socket, open, whose
 * server accepts and then says nothing: so we listen before it does.
 */
async function greeting({ host, port }: NatsServer): Promise<string> {
  const socket = openSocket({ host, port, signal: AbortSignal.timeout(PATIENCE_MS) });
  let said = '';
  // Leaving the loop destroys the socket.
  for await (const text of socket.setEncoding('utf8')) {
    said += text;
    if (said.includes('\n') || said.length > MAX_GREETING) break;
  }
  return said;
}

/** Whose certificate it must be: the client hands this on to `tls.connect`, though its types do not say so. */
function identity({ host }: NatsServer): TlsOptions {
  return { host, ...(isIP(host) ? {} : { servername: host }) } as TlsOptions;
}
