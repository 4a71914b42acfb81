import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverProgram } from './program.js';

/** Nobody listens there: where a server that is down is looked for. */
const NOWHERE = '127.0.0.1:1';
/** How long a start may take: less than a test, so that the server's log is told and not only the test's end. */
const START_MS = 100_000;

export type Engine = 'sqlite' | 'mongodb';

export interface ServerOptions {
  readonly engine: Engine;
  /** Default: a new directory, removed when this process ends. */
  readonly dataDir?: string;
  /** The `main.js` of another build; default: the one under test. */
  readonly main?: string;
  /** On top of the tests' own settings; `mongodb` needs its `MONGO_URL` here. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The server ended before it was ready; `log` is all it said. */
export class DidNotStart extends Error {
  override readonly name = 'DidNotStart';
  constructor(
    readonly exit: Exit,
    readonly log: string,
  ) {
    super(`the server ended with ${exit.code ?? exit.signal} before it was ready:\n${log}`);
  }
}

const children = new Set<ChildProcess>();
const directories = new Set<string>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'parley-'));
  directories.add(directory);
  return directory;
}

/** The real server in a process of its own, which may be killed and started again on the same data. */
export class ServerProcess {
  readonly dataDir: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> | undefined;
  #address = NOWHERE;
  #log = '';

  constructor(options: ServerOptions) {
    this.#options = options;
    this.dataDir = options.dataDir ?? temporaryDirectory();
  }

  /** Changes with every start; ask again before every connection. */
  get url(): string {
    return `http://${this.#address}`;
  }
  get wsUrl(): string {
    return `ws://${this.#address}/ws`;
  }
  /** With these the command line finds it. */
  get settings(): Readonly<Record<string, string>> {
    return { DATA_DIR: this.dataDir, ...this.env };
  }

  /** What it was given on top of the tests' own settings. */
  get env(): Readonly<Record<string, string>> {
    return this.#options.env ?? {};
  }
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the server was never started');
    return this.#child.pid;
  }
  /** All that this start has written, standard output and error together. */
  get log(): string {
    return this.#log;
  }
  /** How this start ends. */
  get exited(): Promise<Exit> {
    return this.#exited ?? Promise.reject(new Error('the server was never started'));
  }

  /** Resolves when it listens; rejects with `DidNotStart` when it ends before that, or is killed as too slow. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<this> {
    const { main = serverProgram } = this.#options;
    const child = spawn(process.execPath, [main], {
      env: {
        // Nothing else is handed down: the tests' own MONGO_URL is not for the embedded engine.
        PATH: process.env.PATH,
        PORT: '0',
        DATA_DIR: this.dataDir,
        BCRYPT_COST: '4',
        AUTH_RATE_LIMIT: 'off',
        ...this.#options.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    this.#child = child;
    this.#log = '';
    // 'close' comes when its output has been read too, so that the log is whole.
    this.#exited = once(child, 'close').then(([code, signal]) => {
      children.delete(child);
      this.#address = NOWHERE;
      return { code, signal };
    });
    const listening = new Promise<string>((resolve) => {
      const read = (chunk: string): void => {
        this.#log += chunk;
        const address = /listening on http:\/\/([^\s"]+)/.exec(this.#log)?.[1];
        if (address !== undefined) resolve(address);
      };
      child.stdout.setEncoding('utf8').on('data', read);
      child.stderr.setEncoding('utf8').on('data', read);
    });
    const ended = this.#exited.then((exit) => {
      throw new DidNotStart(exit, this.#log);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
    this.#address = await Promise.race([listening, ended]).finally(() => clearTimeout(timer));
    // From here on its end is no failure to start.
    ended.catch(() => {});
    return this;
  }

  /** Sends a signal and waits for the end it brings. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    this.#child?.kill(signal);
    return this.exited;
  }

  /** Asks it to stop, and starts it again on the same data. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Asks it to stop. */
  stop(): Promise<Exit> {
    return this.kill('SIGTERM');
  }
}

/** Starts a server; see `ServerOptions`. */
export function startServer(options: ServerOptions): Promise<ServerProcess> {
  return new ServerProcess(options).start();
}
