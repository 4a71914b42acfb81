import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * The system gives none of these to a program that asks for any port (Linux begins at 32,768, others at 49,152). Of
 * those that it gives, one may be another test's by the time it is used.
 */
const [FIRST, COUNT] = [20_000, 10_000];

/** A port of this machine that nobody listens on; somebody who asks for this very port may take it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}
