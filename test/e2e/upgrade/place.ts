import type { FrontDoor } from '../../faults/cluster/people.js';
import { eventually } from '../../support/eventually.js';
import { ServerProcess } from '../../support/server.js';

/** Where nobody listens. */
const NOWHERE = '127.0.0.1:1';

/** A place for a node: one process after the other, of any build, in one data directory. */
export class Place implements FrontDoor {
  #server: ServerProcess | undefined;

  constructor(
    readonly name: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  get url(): string {
    return this.#server?.url ?? `http://${NOWHERE}`;
  }
  get wsUrl(): string {
    return this.#server?.wsUrl ?? `ws://${NOWHERE}/ws`;
  }
  /** The process that is there now. */
  get server(): ServerProcess {
    if (!this.#server) throw new Error(`${this.name} was never started`);
    return this.#server;
  }

  /** Stops the process by SIGTERM, starts one of the build with this `main.js`, and waits until it is ready. */
  async run(main: string): Promise<void> {
    const dataDir = this.#server?.dataDir;
    await this.stop();
    const same = dataDir === undefined ? {} : { dataDir };
    this.#server = new ServerProcess({ engine: 'mongodb', env: this.env, main, ...same });
    await this.#server.start();
    await eventually(`${this.name} is ready`, async () => (await this.failing()) === undefined);
  }

  /** By SIGTERM, if there is a process; rejects if it ends in another way than it should. */
  async stop(): Promise<void> {
    const exit = await this.#server?.stop();
    if (exit && exit.code !== 0) throw new Error(`${this.name} ended with ${exit.code ?? exit.signal}`);
  }

  /** As `stop`, but however it ends, and also when it stands still. */
  async end(): Promise<void> {
    if (this.#server) process.kill(this.#server.pid, 'SIGCONT');
    await this.stop().catch(() => {});
  }

  /** Why it is not ready; undefined: it is. */
  async failing(): Promise<unknown> {
    const answer = await fetch(`${this.url}/ready`);
    const { failing } = (await answer.json()) as { failing?: unknown }; // An object, whatever is in it.
    return answer.ok ? undefined : failing;
  }

  /** How many partitions it owns. */
  async owned(): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(/^parley_partitions_owned (\d+)$/m.exec(text)?.[1]);
  }
}
