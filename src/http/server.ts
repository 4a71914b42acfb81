import { createServer, type Server } from 'node:http';
import type Koa from 'koa';

/**
 * An HTTP server for the application that nobody can hold up: a request's headers must have come within 10 s
 * and the whole of it within 30 s; idle connections are kept longer than proxies keep theirs (60 s), so that
 * none sends a request into a connection just closed.
 */
export function createHttpServer(app: Koa): Server {
  return createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
    },
    app.callback(),
  );
}
