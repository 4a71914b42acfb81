import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type Koa from 'koa';
import { ConfigError } from '../config.js';
import { controlSocketOf } from './operations.js';

/** What every system takes as the address of a socket; a longer one would be cut off without a word. */
const MAX_PATH_BYTES = 100;

/** Throws `ConfigError` for a data directory whose control socket's path no system would take. */
export function checkControlPath(dataDir: string): void {
  if (Buffer.byteLength(controlSocketOf(dataDir)) > MAX_PATH_BYTES)
    throw new ConfigError(`DATA_DIR: the path of control.sock in it is longer than ${MAX_PATH_BYTES} bytes`);
}

/**
 * Serves the application on the data directory's control socket, for its owner only (0600). This process must have
 * the directory: a socket that is there was left by one that was killed, and is replaced. `close` removes it, and lets
 * go of those who wait.
 */
export async function serveControl(dataDir: string, app: Koa): Promise<{ close(): Promise<void> }> {
  const path = controlSocketOf(dataDir);
  rmSync(path, { force: true });
  const server = createServer(app.callback());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // Until now the directory's own mode has kept others away.
  chmodSync(path, 0o600);
  return {
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}
