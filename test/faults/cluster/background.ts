import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { eventually } from '../../support/eventually.js';

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A helper server of a test: on one port, started and stopped as often as one likes, and gone with this process. */
export class BackgroundServer {
  #child: ChildProcess | undefined;

  constructor(
    private readonly command: string,
    private readonly args: readonly string[],
    readonly port: number,
  ) {}

  /** Resolves when its port takes connections. */
  async start(): Promise<void> {
    const child = spawn(this.command, this.args, { stdio: 'ignore' });
    await once(child, 'spawn');
    children.add(child);
    child.once('exit', () => children.delete(child));
    this.#child = child;
    await eventually(`${this.command} listens`, () => {
      if (!children.has(child)) throw new Error(`${this.command} ended before it listened`);
      return takesConnections(this.port);
    });
  }

  /** As a crash would: no connection of it is closed with a word. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || !children.has(child)) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (isOpen: boolean) => () => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', answer(true)).once('error', answer(false));
  });
}
