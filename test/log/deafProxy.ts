import { connect, createServer, type Socket } from 'node:net';

/** A relay in front of a server that can lose the server's answers, like a failing network. */
export interface DeafProxy {
  readonly port: number;
  /** Forwards the next request that contains `words`, but drops its answer and the connection. */
  loseAnswerTo(words: string): void;
  /** The number of answers dropped. */
  readonly lost: number;
  /** Closes every connection and refuses new ones. */
  goDown(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<void>;
}

export async function deafProxy(target: { host: string; port: number }): Promise<DeafProxy> {
  const sockets = new Set<Socket>();
  let words: string | undefined;
  let lost = 0;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let deaf = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('close', () => sockets.delete(socket))
        .on('close', end)
        .on('error', end);
    }
    client.on('data', (request) => {
      if (words !== undefined && request.includes(words)) {
        words = undefined;
        deaf = true;
      }
      upstream.write(request);
    });
    upstream.on('data', (answer) => {
      if (!deaf) return void client.write(answer);
      lost++;
      end();
    });
  });
  const listen = (port: number) =>
    new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  await listen(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const { port } = address;
  return {
    port,
    loseAnswerTo(these) {
      words = these;
    },
    get lost() {
      return lost;
    },
    goDown() {
      for (const socket of sockets) socket.destroy();
      return new Promise((closed) => server.close(() => closed()));
    },
    comeBack: () => listen(port),
  };
}
