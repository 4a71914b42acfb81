import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { verifyBundle } from '../../src/audit/verify/bundle.js';
import { exportBundle, NotEmpty } from '../../src/audit/verify/exportBundle.js';
import { verifyLog } from '../../src/audit/verify/verify.js';
import type { Engine } from '../../src/projections/store/engine.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';
import { Signer } from './signing.js';
import { type SmallLog, type SmallLogOptions, smallLog } from './smallLog.js';

/** Any 32 bytes. */
const ROOT = Buffer.alloc(32).toString('base64');

const sqlite = (): Engine => ({ kind: 'sqlite', dataDir: tempDir() });

interface Exported extends SmallLog {
  readonly dir: string;
  readonly heads: readonly string[];
  readonly keys: readonly string[];
}

/** Exports a log up to heads of its present size. */
async function exported(signer: Signer, options: SmallLogOptions): Promise<Exported> {
  const log = await smallLog(sqlite(), options);
  const { partitions } = await verifyLog({ engine: log.engine, heads: [], since: [], keys: [] });
  const heads = partitions.map((partition) => signer.head(partition));
  const keys = partitions.map(({ partition }) => signer.key(partition));
  const dir = join(tempDir(), 'bundle');
  await exportBundle({ engine: log.engine, dir, heads, keys });
  return { ...log, dir, heads, keys };
}

const verify = async (dir: string, since: readonly string[] = []) =>
  (await verifyBundle({ dir, since })).mismatch;

describe('a bundle', function () {
  this.timeout(120_000);

  it('is verified with no database, and holds every event', async () => {
    const { dir, events } = await exported(new Signer('here'), { partitions: 2, messages: 300 });
    const { partitions, mismatch } = await verifyBundle({ dir, since: [] });
    expect(mismatch).to.equal(undefined);
    expect(partitions.reduce((sum, partition) => sum + partition.events, 0)).to.equal(events.length);
  });

  it('is not written over anything', async () => {
    const { dir, engine, heads, keys } = await exported(new Signer('here'), {});
    expect(await rejection(exportBundle({ engine, dir, heads, keys }))).to.be.instanceOf(NotEmpty);
  });

  it('with one file altered, shortened or missing is found wrong, whichever it is', async () => {
    const { dir } = await exported(new Signer('here'), { partitions: 2, messages: 150 });
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .map((name) => join(dir, name))
      .filter((path) => statSync(path).isFile());
    expect(files).to.have.lengthOf.above(6);
    for (const file of files) {
      const before = readFileSync(file);
      for (const at of [0, Math.floor(before.length / 2), before.length - 2]) {
        const after = Buffer.from(before);
        after.writeUInt8(before.readUInt8(at) ^ 1, at);
        writeFileSync(file, after);
        expect(await verify(dir), `byte ${at} of ${file}`).to.not.equal(undefined);
      }
      writeFileSync(file, before.subarray(0, before.length - 40));
      expect(await verify(dir), `the start of ${file}`).to.not.equal(undefined);
      writeFileSync(file, before);
      renameSync(file, `${file}.away`);
      expect(await verify(dir), `without ${file}`).to.not.equal(undefined);
      renameSync(`${file}.away`, file);
    }
    expect(await verify(dir)).to.equal(undefined);
  });

  it('extends the checkpoints that were kept of it', async () => {
    const { dir, heads } = await exported(new Signer('here'), { partitions: 2 });
    expect(await verify(dir, heads)).to.equal(undefined);
  });

  it('that lacks a whole partition is found by a checkpoint of that', async () => {
    const { dir, heads } = await exported(new Signer('here'), { partitions: 2 });
    rmSync(join(dir, '1'), { recursive: true });
    expect(await verify(dir)).to.equal(undefined);
    expect(await verify(dir, heads)).to.include({ partition: 1 });
  });
});

describe('a log that was rewritten and signed again', function () {
  this.timeout(120_000);
  const signer = new Signer('here');
  let first: Exported;
  let second: Exported;
  before(async () => {
    first = await exported(signer, { messages: 20 });
    second = await exported(signer, { messages: 20, textOf: (n) => `another ${n}` });
  });

  const check = ({ engine, heads, keys }: Exported, since: readonly string[]) =>
    verifyLog({ engine, heads, since, keys });

  it('is whole by itself', async () => {
    expect((await check(second, [])).mismatch).to.equal(undefined);
    expect(await verify(second.dir)).to.equal(undefined);
  });

  it('is found by a checkpoint that was kept elsewhere', async () => {
    expect((await check(first, first.heads)).mismatch).to.equal(undefined);
    expect((await check(second, first.heads)).mismatch?.what).to.include('checkpoint kept elsewhere');
    expect((await verify(second.dir, first.heads))?.what).to.include('checkpoint kept elsewhere');
  });

  it('is found by a key that was kept elsewhere, if it was signed with another', async () => {
    const other = await exported(new Signer('here'), {});
    expect((await verifyBundle({ dir: other.dir, since: [], keys: first.keys })).mismatch?.what).to.include(
      'no valid signature',
    );
    const { engine, heads } = other;
    expect((await verifyLog({ engine, heads, since: [], keys: first.keys })).mismatch?.what).to.include(
      'no valid signature',
    );
  });

  it('is found when it has lost a partition', async () => {
    const { key, head } = {
      key: signer.key(1),
      head: signer.head({ partition: 1, events: 3, root: ROOT, commits: 1, hash: ROOT }),
    };
    const { engine, heads, keys } = first;
    const { mismatch } = await verifyLog({
      engine,
      heads: [...heads, head],
      since: [],
      keys: [...keys, key],
    });
    expect(mismatch).to.include({ partition: 1 });
    expect(mismatch?.what).to.include('has 1 partitions');
  });

  it('is found when it has lost its end', async () => {
    const longer = await exported(signer, { messages: 30 });
    const { mismatch } = await check(first, longer.heads);
    expect(mismatch).to.include({ partition: 0 });
  });
});
