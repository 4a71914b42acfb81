import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { verifyLog } from '../../src/audit/verify/verify.js';
import { foldedTables } from '../../src/projections/allProjections.js';
import { readFileOf } from '../../src/projections/store/engine.js';
import { type SmallLog, smallLog } from '../audit/smallLog.js';
import { isSoak } from '../support/lanes.js';
import { parley } from '../support/parley.js';
import { tempDir } from '../support/tempDir.js';

/** Overwrites bytes of a file, and returns the function that restores them. */
function damage(file: string, at: number, bytes: Buffer): () => void {
  const descriptor = openSync(file, 'r+');
  const before = Buffer.alloc(bytes.length);
  readSync(descriptor, before, 0, before.length, at);
  writeSync(descriptor, bytes, 0, bytes.length, at);
  return () => {
    writeSync(descriptor, before, 0, before.length, at);
    closeSync(descriptor);
  };
}

describe('A damaged page of the read models', function () {
  this.timeout(180_000);
  let small: SmallLog;
  let dataDir: string;
  /** The first page of each table by name, counted from 1. */
  const roots = new Map<string, number>();
  let pageSize: number;

  before(async () => {
    dataDir = tempDir();
    small = await smallLog({ kind: 'sqlite', dataDir });
    const db = new DatabaseSync(readFileOf(dataDir), { readOnly: true });
    for (const { name, rootpage } of db.prepare('SELECT name, rootpage FROM sqlite_master').all())
      roots.set(String(name), Number(rootpage));
    pageSize = readFileSync(readFileOf(dataDir)).readUInt16BE(16);
    db.close();
  });

  const wrongWith = async (page: number, bytes: Buffer): Promise<string | undefined> => {
    const mend = damage(readFileOf(dataDir), (page - 1) * pageSize, bytes);
    try {
      return (await verifyLog({ engine: small.engine, heads: [], since: [], keys: [] })).mismatch?.what;
    } finally {
      mend();
    }
  };

  it('is a wrong place, whichever read model it is of', async () => {
    // The short form damages every third table.
    for (const table of foldedTables.filter((_, i) => isSoak || i % 3 === 0)) {
      const name = table.replace(/_v\d+$/, '');
      const what = await wrongWith(roots.get(table) ?? 0, Buffer.alloc(pageSize, 0xff));
      expect(what, table).to.match(new RegExp(`^the read model ${name} cannot be read: `));
    }
    const header = await wrongWith(1, Buffer.alloc(100, 0xff));
    expect(header).to.match(/^the read models? .*cannot be read: /);
    const checkpoints = await wrongWith(roots.get('checkpoints') ?? 0, Buffer.alloc(pageSize, 0xff));
    expect(checkpoints).to.match(/^the read models cannot be read: /);
    expect(await wrongWith(1, Buffer.alloc(0)), 'all as it was').to.equal(undefined);
  });

  it('ends the command with 1 and one line', async () => {
    const page = roots.get(foldedTables[0] ?? '') ?? 0;
    const mend = damage(readFileOf(dataDir), (page - 1) * pageSize, Buffer.alloc(pageSize, 0xff));
    const ran = await parley(['audit', 'verify'], {
      DATA_DIR: dataDir,
      MASTER_KEY: small.masterKey.toString('base64'),
    });
    mend();
    expect(ran.code).to.equal(1);
    expect(ran.err).to.match(/^wrong: the read model states cannot be read: .*\n$/);
  });
});
