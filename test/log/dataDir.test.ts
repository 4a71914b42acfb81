import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DataDirInUse, lockDataDir } from '../../src/app/dataDir.js';
import { start } from './child.js';

describe('the lock of a data directory', () => {
  let base: string;
  let dir: string;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'parley-dir-'));
    dir = join(base, 'deep', 'data');
  });

  afterEach(() => rm(base, { recursive: true }));

  it('creates the directory, private to its owner', async () => {
    lockDataDir(dir).release();
    expect((await stat(dir)).mode & 0o777).to.equal(0o700);
  });

  it('is held by one process at a time', () => {
    const lock = lockDataDir(dir);
    expect(() => lockDataDir(dir)).to.throw(DataDirInUse, dir);
    lock.release();
    lock.release();
    lockDataDir(dir).release();
  });

  it('is refused while another process lives, and free once it is killed', async () => {
    const child = start(new URL('./lockingChild.js', import.meta.url), dir);
    await child.lines.next();
    expect(() => lockDataDir(dir))
      .to.throw(DataDirInUse, dir)
      .with.property('message')
      .that.does.not.include('\n');
    await child.kill();
    lockDataDir(dir).release();
  });
});
