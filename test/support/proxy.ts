import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy that can fail as networks do: refuse, cut, or let nothing through. */
export class TcpProxy {
  readonly #sockets = new Set<Socket>();
  #mode: 'through' | 'cut' | 'stalled' = 'through';

  private constructor(private readonly server: Server) {}

  static async to(host: string, port: number): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server);
    server.on('connection', (near) => proxy.#pass(near, () => connect(port, host)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    // A server that listens on TCP has an address of this kind.
    return (this.server.address() as AddressInfo).port;
  }

  /** Ends every connection with a reset, and refuses new ones. */
  cut(): void {
    this.#mode = 'cut';
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Keeps connections open and lets nothing through, either way. */
  stall(): void {
    this.#mode = 'stalled';
    for (const socket of this.#sockets) socket.pause();
  }

  /** Lets all through again, what was held back first. */
  restore(): void {
    this.#mode = 'through';
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  #pass(near: Socket, open: () => Socket): void {
    if (this.#mode === 'cut') {
      near.resetAndDestroy();
      return;
    }
    const far = open();
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      // Not `pipe`: it would resume, at a `drain`, what a stall has paused.
      from.on('data', (chunk) => to.write(chunk));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#mode === 'stalled') from.pause();
    }
  }
}
