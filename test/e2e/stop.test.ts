import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { RawSocket } from '../support/rawSocket.js';
import { rejection } from '../support/rejection.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';
import { Newcomer } from './newcomer.js';

describe('stopping', () => {
  let server: ServerProcess;
  beforeEach(async () => {
    server = await startServer({ engine: 'sqlite' });
  });
  afterEach(() => server.kill());

  /** Holds a stop up for a while: it does not answer the close. */
  const unhurried = async (): Promise<RawSocket> => {
    const socket = await (await Newcomer.at(server)).device();
    socket.socket.pause();
    return socket;
  };

  it('closes sockets with 1012 and exits with 0, whoever has identified', async () => {
    const device = await (await Newcomer.at(server)).device();
    const unknown = await RawSocket.connect(server.wsUrl);
    const exit = server.stop();
    expect(await Promise.all([device.closed, unknown.closed])).to.deep.equal([1012, 1012]);
    expect(await exit).to.deep.equal({ code: 0, signal: null });
  });

  it('cuts off a client that does not answer the close, and exits with 0', async () => {
    const socket = await unhurried();
    expect(await server.stop()).to.deep.equal({ code: 0, signal: null });
    socket.socket.resume();
    expect(await socket.closed).to.equal(1012);
  });

  it('accepts nobody any more', async () => {
    await unhurried();
    const { wsUrl, url } = server;
    const exit = server.stop();
    await eventually('it is stopping', () => server.log.includes('stopping'));
    await rejection(RawSocket.connect(wsUrl));
    await rejection(fetch(`${url}/health`));
    await exit;
  });

  it('stops in order at each signal that asks for it', async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      const device = await (await Newcomer.at(server)).device();
      expect(await server.kill(signal), signal).to.deep.equal({ code: 0, signal: null });
      expect(await device.closed, signal).to.equal(1012);
      expect(server.log, signal).to.contain('"msg":"stopped"');
      await server.start();
    }
  });

  it('exits at once at a second signal, with another code', async function () {
    // The first stop is over after 5 s, which may pass on a machine that stands still for a moment.
    this.retries(2);
    await unhurried();
    const exit = server.stop();
    await eventually('it is stopping', () => server.log.includes('stopping'));
    void server.kill('SIGINT');
    expect((await exit).code).to.not.equal(0);
  });

  it('counts the same signal at once as one, and that of a closed terminal', async function () {
    // At once is within 2 s, which may pass on a machine that stands still for a moment.
    this.retries(2);
    await unhurried();
    const exit = server.stop();
    await eventually('it is stopping', () => server.log.includes('stopping'));
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) void server.kill(signal);
    expect(await exit).to.deep.equal({ code: 0, signal: null });
  });

  /** Runs `npm start` in a process group of its own, as a terminal does, and resolves when it listens. */
  async function startByNpm(): Promise<{ group: number; readLog: () => string; ended: Promise<string> }> {
    const child = spawn('npm', ['start', '--ignore-scripts'], {
      cwd: join(import.meta.dirname, '..', '..', '..'),
      env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: tempDir(), BCRYPT_COST: '4' },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
    // What the server has written when npm ends: npm's exit comes before the rest of the output.
    const ended = once(child, 'exit').then(() => log);
    await eventually('it listens', () => log.includes('listening on'));
    if (child.pid === undefined) throw new Error('npm did not start');
    return { group: child.pid, readLog: () => log, ended };
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    it(`ends before npm does when the group of \`npm start\` gets ${signal}`, async () => {
      const { group, ended } = await startByNpm();
      process.kill(-group, signal);
      expect(await ended).to.contain('"msg":"stopped"');
    });

  it('stops in order when the terminal of `npm start` is closed', async () => {
    const { group, readLog } = await startByNpm();
    process.kill(-group, 'SIGHUP');
    await eventually('it has stopped', () => readLog().includes('"msg":"stopped"'));
  });
});
