import { setTimeout as pass } from 'node:timers/promises';
import { DidNotStart, type ServerOptions, ServerProcess } from '../../support/server.js';
import type { Door } from './device.js';
import type { BreakableWay } from './toxiproxy.js';

/** Where nobody listens. */
const NOWHERE = 'ws://127.0.0.1:1/ws';
const START_MS = 60_000;

/** One node of the cluster: a process, and the one that takes its place when it is gone. */
export class ClusterNode implements Door {
  /** Ends that nobody asked for. */
  readonly deaths: string[] = [];
  readonly #starts: ServerProcess[] = [];
  /** It is to run: an end that was not asked for is followed by another start. */
  #wanted = false;

  constructor(
    readonly name: string,
    private readonly options: ServerOptions,
    /** Its way to the database; none on the embedded engine. */
    readonly database: BreakableWay | undefined,
  ) {}

  get wsUrl(): string {
    return this.#current?.wsUrl ?? NOWHERE;
  }
  get url(): string {
    if (!this.#current) throw new Error(`${this.name} does not run`);
    return this.#current.url;
  }
  /** All that its processes have said. */
  get log(): string {
    return this.#starts.map(({ log }) => log).join('');
  }

  /** The directory of all its processes. */
  get dataDir(): string {
    const [first] = this.#starts;
    if (!first) throw new Error(`${this.name} was never started`);
    return first.dataDir;
  }

  get #current(): ServerProcess | undefined {
    return this.#wanted ? this.#starts.at(-1) : undefined;
  }

  /**
   * Starts another process in the place of the last, and tries until it listens, as whoever runs servers does:
   * while its database is away it may end again. Rejects after a minute; the very first start at once.
   */
  async start(): Promise<void> {
    this.#wanted = true;
    const deadline = performance.now() + START_MS;
    for (;;) {
      const same = this.#starts.length > 0 ? { dataDir: this.dataDir } : {};
      const server = new ServerProcess({ ...this.options, ...same });
      this.#starts.push(server);
      try {
        await server.start();
        void this.#watch(server);
        return;
      } catch (error) {
        const isLast = this.#starts.length === 1 || performance.now() > deadline;
        if (isLast || !(error instanceof DidNotStart)) throw error;
        await pass(100);
      }
    }
  }

  /** Ends it with a signal, and waits for the end. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#wanted = false;
    await this.#starts.at(-1)?.kill(signal);
  }

  /** The process stands still, or goes on; nothing, if it has ended. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const server = this.#current;
    if (server) process.kill(server.pid, signal);
  }

  async isReady(): Promise<boolean> {
    const server = this.#current;
    if (!server) return false;
    return fetch(`${server.url}/ready`, { signal: AbortSignal.timeout(5000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  async #watch(server: ServerProcess): Promise<void> {
    const { code, signal } = await server.exited;
    if (this.#current !== server) return;
    this.deaths.push(`${this.name} ended with ${code ?? signal}:\n${server.log.slice(-2000)}`);
    await this.start();
  }
}
