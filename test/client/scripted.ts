import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { User } from '../../packages/client/src/types.js';

export interface RequestFrame {
  readonly id: number;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

export const someone: User = {
  userId: '00000000-0000-4000-8000-000000000001',
  username: 'ada',
  backgroundColor: '#336699',
  createdAt: '2026-01-01T00:00:00.000Z',
};

/** One connection as the script sees it. */
export class Scripted {
  constructor(readonly socket: WebSocket) {}
  answer({ id, event }: RequestFrame, data: unknown): void {
    this.socket.send(JSON.stringify({ id, event, data }));
  }
  refuse({ id, event }: RequestFrame, error: { code: string; [field: string]: unknown }): void {
    this.socket.send(JSON.stringify({ id, event, error: { message: error.code, ...error } }));
  }
  push(event: string, data: unknown, cursor?: string): void {
    this.socket.send(JSON.stringify({ event, data, cursor }));
  }
  /** As a cable that is pulled: no close frame. */
  drop(): void {
    this.socket.terminate();
  }
}

type Script = (connection: Scripted, frame: RequestFrame) => void;

/** Signs in whoever comes: at the cursor given, and at `start` without one. */
export const identify: Script = (connection, frame) => {
  const { cursor } = frame.data;
  connection.answer(frame, { user: someone, cursor: cursor ?? 'start' });
  if (cursor !== undefined) connection.push('identity', { caughtUp: true });
};

/** A WebSocket server that does what a test says, on a real socket. */
export class ScriptedServer {
  readonly frames: RequestFrame[] = [];
  readonly connections: Scripted[] = [];
  #script: Script = () => {};

  private constructor(private readonly server: WebSocketServer) {
    server.on('connection', (socket) => {
      const connection = new Scripted(socket);
      this.connections.push(connection);
      socket.on('message', (text) => {
        // The client under test sends what its types say.
        const frame = JSON.parse(String(text)) as RequestFrame;
        this.frames.push(frame);
        this.#script(connection, frame);
      });
    });
  }

  static async start(): Promise<ScriptedServer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    return new ScriptedServer(server);
  }

  get url(): string {
    // A server that listens on TCP has an address of this kind.
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get last(): Scripted {
    const last = this.connections.at(-1);
    if (!last) throw new Error('nobody has connected');
    return last;
  }

  /** What to do with frames from now on; `identity` is answered by `identify` unless it is in here. */
  on(script: Record<string, Script>): this {
    const scripts = new Map(Object.entries({ identity: identify, ...script }));
    this.#script = (connection, frame) => scripts.get(frame.event)?.(connection, frame);
    return this;
  }

  sent(event: string): RequestFrame[] {
    return this.frames.filter((frame) => frame.event === event);
  }

  async stop(): Promise<void> {
    for (const { socket } of this.connections) socket.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
