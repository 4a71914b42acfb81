import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { verifyBundle } from '../../../src/audit/verify/bundle.js';
import { exportBundle } from '../../../src/audit/verify/exportBundle.js';
import { checkPartitionChain } from '../../../src/log/checkLog.js';
import { openLogReader } from '../../../src/log/logFileReader.js';
import { rootOf } from '../../../src/log/merkle.js';
import { type Engine, logFileOf } from '../../../src/projections/store/engine.js';
import { Signer } from '../../audit/signing.js';
import { type SmallLogOptions, smallLog } from '../../audit/smallLog.js';
import { tempDir } from '../../support/tempDir.js';
import { buildVerifier, runOnBundle } from './verifier.js';

/** Exports a log, whatever is in it, with heads that are signed all the same. */
async function exportSigned(options: SmallLogOptions): Promise<{ directory: string; keys: string }> {
  const engine: Engine = { kind: 'sqlite', dataDir: tempDir() };
  await smallLog(engine, options);
  const log = openLogReader(logFileOf(engine.dataDir));
  const signer = new Signer('here');
  const heads: string[] = [];
  const keys: string[] = [];
  for (let partition = 0; partition < log.partitions; partition++) {
    const { position: commits, size: events, hash, frontier } = await checkPartitionChain(log, partition);
    heads.push(signer.head({ partition, events, root: rootOf(frontier), commits, hash }));
    keys.push(signer.key(partition));
  }
  log.close();
  const directory = join(tempDir(), 'bundle');
  await exportBundle({ engine, dir: directory, heads, keys });
  return { directory, keys: join(directory, 'key') };
}

describe('a verifier that knows only the format of the log', function () {
  this.timeout(120_000);
  let program: string;
  before(function () {
    const built = buildVerifier();
    if (built === undefined) this.skip();
    program = built;
  });

  /** Whether the verifier accepts the bundle, of which Parley's own check must say the same. */
  const isAccepted = async (bundle: { directory: string; keys: string }): Promise<boolean> => {
    const isRight = (await runOnBundle(program, bundle)).code === 0;
    const { mismatch } = await verifyBundle({ dir: bundle.directory, since: [] });
    expect(mismatch === undefined, mismatch?.what).to.equal(isRight);
    return isRight;
  };

  it('accepts an honest bundle, and counts its events', async () => {
    const bundle = await exportSigned({ partitions: 2, messages: 300, hasDestroyed: true });
    const { out, err, code } = await runOnBundle(program, bundle);
    expect(err).to.equal('');
    expect(code).to.equal(0);
    expect(out).to.match(/^here\/0 \d+\nhere\/1 \d+\n$/);
  });

  it('refuses a bundle with one file altered, shortened or missing, whichever it is', async () => {
    const bundle = await exportSigned({ partitions: 2, messages: 150 });
    const files = readdirSync(bundle.directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(bundle.directory, name))
      .filter((path) => statSync(path).isFile());
    for (const file of files) {
      const before = readFileSync(file);
      for (const at of [0, Math.floor(before.length / 2), before.length - 2]) {
        const after = Buffer.from(before);
        after.writeUInt8(before.readUInt8(at) ^ 1, at);
        writeFileSync(file, after);
        expect(await isAccepted(bundle), `byte ${at} of ${file}`).to.equal(false);
      }
      writeFileSync(file, before.subarray(0, before.length - 40));
      expect(await isAccepted(bundle), `the start of ${file}`).to.equal(false);
      writeFileSync(file, before);
      renameSync(file, `${file}.away`);
      expect(await isAccepted(bundle), `without ${file}`).to.equal(false);
      renameSync(`${file}.away`, file);
    }
    expect(await isAccepted(bundle)).to.equal(true);
    rmSync(join(bundle.directory, '1'), { recursive: true });
    expect((await runOnBundle(program, bundle)).code, 'without a partition').to.equal(1);
  });

  /** Fields of a commit that are changed in the file of commits alone. */
  const fields: Readonly<Record<string, unknown>> = {
    position: 9,
    id: '00000000-0000-4000-8000-000000000000',
    epoch: 2,
    recordedAt: '2026-01-01T00:00:00.001Z',
    firstOffset: 0,
    size: 90,
    root: Buffer.alloc(32, 7).toString('base64'),
    frontier: [Buffer.alloc(32, 7).toString('base64')],
    hash: Buffer.alloc(32, 7).toString('base64'),
    more: 1,
  };

  it('refuses a commit with any other field', async () => {
    const bundle = await exportSigned({});
    const file = join(bundle.directory, '0', 'commits');
    const before = readFileSync(file, 'utf8');
    const lines = before.split('\n');
    for (const [field, value] of Object.entries(fields)) {
      const altered = lines.map((line, i) =>
        i === 3 ? JSON.stringify({ ...JSON.parse(line), [field]: value }) : line,
      );
      writeFileSync(file, altered.join('\n'));
      expect(await isAccepted(bundle), field).to.equal(false);
    }
    writeFileSync(file, before);
    expect(await isAccepted(bundle)).to.equal(true);
  });

  /** What a server could write and sign that no writer writes, and the words that refuse it. */
  const forgeries: Readonly<Record<string, [SmallLogOptions, RegExp]>> = {
    'a leaf with another time than its commit': [{ keepsTimes: true }, /its time is not that of its commit/],
    // So many that hardly ever all streams belong to the first.
    'a stream in another partition': [{ partitions: 32, isInFirst: true }, /belongs to another partition/],
    'a hole in the versions of a stream': [
      { forge: (event) => (event.version === 5 ? { ...event, version: 6 } : event) },
      /its version does not follow/,
    ],
    'a hole in the messages of a room': [
      {
        forge: (event) =>
          event.type === 'MessageSent' && event.data.seq === 6
            ? { ...event, data: { ...event.data, seq: 7 } }
            : event,
      },
      /its seq does not follow/,
    ],
  };

  for (const [what, [options, refusal]] of Object.entries(forgeries))
    it(`refuses a signed bundle with ${what}`, async () => {
      const bundle = await exportSigned(options);
      const { err, code } = await runOnBundle(program, bundle);
      expect(await isAccepted(bundle)).to.equal(false);
      expect(err).to.match(refusal);
      expect(code).to.equal(1);
    });
});
