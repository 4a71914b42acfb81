import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLogger, LogOutput } from '../../src/app/logOutput.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { serverProgram } from '../support/program.js';
import { tempDir } from '../support/tempDir.js';

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** A pipe with a name, and descriptors of both its ends. Linux opens both ends at once. */
class Pipe {
  readonly #path = join(tempDir(), 'pipe');
  readonly #reader: number;
  /** Given to the server; `flags` may say that its writes do not wait. */
  readonly writer: number;

  constructor(flags = 0) {
    execFileSync('mkfifo', [this.#path]);
    // Opened for both, so that it does not wait for the other end.
    const both = openSync(this.#path, O_RDWR);
    this.#reader = openSync(this.#path, O_RDONLY | O_NONBLOCK);
    this.writer = openSync(this.#path, O_WRONLY | flags);
    closeSync(both);
  }

  /** From now on nothing more fits into it. */
  fill(): void {
    const end = openSync(this.#path, O_WRONLY | O_NONBLOCK);
    for (const size of [65_536, 4096, 1])
      try {
        for (;;) writeSync(end, Buffer.alloc(size, '.'));
      } catch {
        // It is full for this size.
      }
    closeSync(end);
  }

  /** What is in it now. */
  read(): string {
    const chunk = Buffer.alloc(1024 * 1024);
    try {
      return chunk.toString('utf8', 0, readSync(this.#reader, chunk));
    } catch {
      return '';
    }
  }

  closeReader(): void {
    closeSync(this.#reader);
  }
}

describe("the server's log, when it cannot be written", () => {
  let child: ChildProcess | undefined;
  before(function () {
    // Only there is a disk that is always full.
    if (process.platform !== 'linux') this.skip();
  });
  afterEach(() => child?.kill('SIGKILL'));

  /** Starts a server that writes its log there, and waits until it serves. */
  async function serveWith(
    stdout: number,
    triesLeft = 2,
  ): Promise<{ url: string; stop: () => Promise<number | null> }> {
    const port = await freePort();
    const env = { PATH: process.env.PATH, PORT: String(port), DATA_DIR: tempDir(), BCRYPT_COST: '4' };
    const started = spawn(process.execPath, [serverProgram], { env, stdio: ['ignore', stdout, 'inherit'] });
    child = started;
    const exited = once(started, 'exit').then(([code]) => code as number | null); // As Node documents.
    const url = `http://127.0.0.1:${port}`;
    const hasEnded = (): boolean => started.exitCode !== null;
    await eventually('it serves', async () => {
      const health = await fetch(`${url}/health`).catch(() => undefined);
      return hasEnded() || health?.ok === true;
    });
    // Somebody may have taken the port meanwhile, which the log cannot tell.
    if (hasEnded() && triesLeft > 0) return serveWith(stdout, triesLeft - 1);
    if (hasEnded()) throw new Error(`it ended with ${started.exitCode}`);
    return {
      url,
      stop: () => {
        started.kill('SIGTERM');
        return exited;
      },
    };
  }

  /** Makes the server write a line: a token that nobody has. */
  const ask = async (url: string): Promise<number> =>
    (await fetch(`${url}/ready`, { headers: { authorization: 'Bearer none' } })).status;

  it('serves and stops in order while its disk is full', async () => {
    const { url, stop } = await serveWith(openSync('/dev/full', 'w'));
    expect(await ask(url)).to.equal(200);
    expect(await stop()).to.equal(0);
  });

  it('serves and stops in order when its reader has gone', async () => {
    const pipe = new Pipe();
    const { url, stop } = await serveWith(pipe.writer);
    pipe.closeReader();
    expect(await ask(url)).to.equal(200);
    expect(await stop()).to.equal(0);
  });

  for (const [name, flags] of [
    ['a pipe', 0],
    ['a pipe whose writes do not wait', O_NONBLOCK],
  ] as const)
    it(`serves and stops in order while nobody reads ${name}`, async () => {
      const pipe = new Pipe(flags);
      pipe.fill();
      const { url, stop } = await serveWith(pipe.writer);
      expect(await ask(url)).to.equal(200);
      expect(await stop()).to.equal(0);
    });

  it('writes the lines that wait when its reader goes on', async () => {
    const pipe = new Pipe();
    pipe.fill();
    const { stop } = await serveWith(pipe.writer);
    let read = '';
    await eventually('it goes on', () => {
      read += pipe.read();
      return read.includes('listening on http');
    });
    expect(read).to.match(/too cheap for real passwords.*\n.*created a new log in .*\n.*listening on/);
    expect(await stop()).to.equal(0);
  });

  it('keeps 1 MiB of lines for later, and tells how many it lost', async () => {
    const pipe = new Pipe();
    pipe.fill();
    const logger = createLogger(new LogOutput(pipe.writer), 'info');
    for (let n = 0; n < 2000; n++) logger.info({ n, text: 'x'.repeat(1024) }, 'a line');
    let read = '';
    await eventually('it goes on', () => {
      read += pipe.read();
      return read.includes('are lost');
    });
    const lines = read
      .slice(read.indexOf('{'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const kept = lines.filter(({ msg }) => msg === 'a line').map(({ n }) => n);
    expect(kept).to.deep.equal(kept.map((_, at) => at));
    expect(kept.length).to.be.within(900, 1024);
    expect(lines.at(-1).msg).to.contain(`${2000 - kept.length} lines of this log are lost`);
  });
});
