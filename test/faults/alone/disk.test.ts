import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Device, newDevice, signUp } from '../../support/people.js';
import { type ServerProcess, startServer } from '../../support/server.js';
import { Ledger } from '../ledger.js';

const FREE_BYTES = 512 * 1024;
/** More than fits into what is free. */
const MESSAGES = 200;

/** Whether this machine lets a test do so; if not, says in one line what is left out. */
function allowed(what: string, command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'pipe' });
    return true;
  } catch {
    process.stderr.write(`left out: ${what}, as "${command}" is not permitted or not there\n`);
    return false;
  }
}

describe('a disk that fails (sqlite)', function () {
  this.timeout(300_000);
  let server: ServerProcess;
  let device: Device;
  let roomId: string;
  let ledger: Ledger;

  async function begin(dataDir?: string): Promise<void> {
    const place = dataDir === undefined ? {} : { dataDir };
    server = await startServer({ engine: 'sqlite', ...place, env: { RATE_LIMIT: 'off' } });
    const [ada, ben] = [await signUp(server, 'ada'), await signUp(server, 'ben')];
    device = await newDevice(server, ada);
    roomId = await device.chatWith(ben);
    ledger = new Ledger();
    for (let n = 0; n < 5; n++) await ledger.send(device, roomId, `all is well ${n}`);
  }

  /** Writes until the server ends; nothing it acknowledged may be missing when it is started again. */
  async function writeUntilItEnds(says: RegExp, repair: () => void): Promise<void> {
    const text = 'x'.repeat(8000);
    const sending = Promise.allSettled(
      Array.from({ length: MESSAGES }, (_, n) => ledger.send(device, roomId, `${n} ${text}`)),
    );
    const { code } = await server.exited;
    expect(code, 'it ends as a failure').to.be.a('number').that.is.not.equal(0);
    expect(server.log).to.match(says);
    expect(ledger.acknowledged, 'the fault came before the end').to.be.below(5 + MESSAGES);
    const acknowledged = ledger.acknowledged;

    repair();
    // Those who wait would send the rest at once: see first what is there without it.
    device.close();
    await sending;
    expect(ledger.acknowledged).to.equal(acknowledged);
    await server.start();
    await device.reopen();
    ledger.check(roomId, await device.history(roomId));
    await ledger.send(device, roomId, 'all is well again');
    ledger.check(roomId, await device.history(roomId));
  }

  afterEach(async () => {
    device?.close();
    await server?.stop();
  });

  describe('by being full', () => {
    const mountPoint = mkdtempSync(join(tmpdir(), 'parley-full-'));
    let mounted = false;

    before(function () {
      mounted = allowed('a full disk', 'mount', ['-t', 'tmpfs', '-o', 'size=16m', 'parley', mountPoint]);
      if (!mounted) this.skip();
    });

    after(() => {
      if (mounted) execFileSync('umount', [mountPoint]);
      rmdirSync(mountPoint);
    });

    it('stops, says why, and has all it acknowledged when there is room again', async () => {
      await begin(join(mountPoint, 'data'));
      const filler = join(mountPoint, 'filler');
      const { bavail, bsize } = statfsSync(mountPoint);
      writeFileSync(filler, Buffer.alloc(bavail * bsize - FREE_BYTES));
      await writeUntilItEnds(/full|ENOSPC|no space/i, () => rmSync(filler));
    });
  });

  describe('by an fsync that fails', () => {
    before(function () {
      if (!allowed('a failing fsync', 'strace', ['-qq', '-e', 'trace=none', 'true'])) this.skip();
    });

    it('stops without a second try, says why, and has all it acknowledged', async () => {
      await begin();
      const calls = 'fsync,fdatasync';
      const inject = `inject=${calls}:error=EIO:when=4+`;
      const strace = spawn('strace', ['-f', '-e', `trace=${calls}`, '-e', inject, '-p', String(server.pid)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const detached = once(strace, 'close');
      // Its first words: "strace: Process … attached".
      await once(strace.stderr, 'data');
      strace.stderr.resume();
      await writeUntilItEnds(/I\/O error|EIO|fsync/i, () => {});
      await detached;
    });
  });
});
