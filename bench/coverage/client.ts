import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryDirectory } from '../temporary.js';
import type { ThreadCoverage } from './report.js';

const preload = new URL('./preload.js', import.meta.url).href;

/** Asks a server that was started with `env` which functions its threads ran. */
export class CoverageClient {
  readonly #path = join(temporaryDirectory(), 'coverage.sock');
  #socket: Socket | undefined;

  /** The variables for the server's process. */
  get env(): NodeJS.ProcessEnv {
    return { NODE_OPTIONS: `--import=${preload}`, BENCH_COVERAGE_SOCKET: this.#path };
  }

  /** The functions that ran in each thread since the last call. */
  async take(): Promise<ThreadCoverage[]> {
    if (!this.#socket) {
      this.#socket = connect(this.#path);
      await once(this.#socket, 'connect');
    }
    const lines = createInterface(this.#socket);
    const answer = once(lines, 'line');
    this.#socket.write('\n');
    const [line] = await answer;
    lines.close();
    return JSON.parse(line) as ThreadCoverage[]; // the preload is ours
  }

  close(): void {
    this.#socket?.destroy();
  }
}
