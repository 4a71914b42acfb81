import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Why an upgrade is refused: an HTTP status before any WebSocket is there. */
export type Refusal = 401 | 403 | 404 | 503;

const reasons: Record<Refusal, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  503: 'Service Unavailable',
};

/**
 * Whether a browser's page may connect. Without a list, only a page of the same host; other clients send no
 * `Origin`. Origins are compared whole: scheme, host and port.
 */
export function originAllowed(request: IncomingMessage, allowed: readonly string[] | undefined): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return true;
  if (allowed) return allowed.includes(origin);
  return URL.canParse(origin) && new URL(origin).host === host;
}

/** Answers the upgrade with a status and nothing more. */
export function refuseUpgrade(socket: Duplex, status: Refusal): void {
  const extra = status === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${reasons[status]}\r\n${extra}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
