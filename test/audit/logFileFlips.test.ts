import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { checkChain, findMissedHead, type TrustedHead } from '../../src/audit/verify/verifyState.js';
import { emptyHead } from '../../src/log/commit.js';
import { type LogReader, openLogReader } from '../../src/log/logFileReader.js';
import { isSoak } from '../support/lanes.js';
import { newSeed } from '../support/random.js';
import { tempDir } from '../support/tempDir.js';
import { smallLog } from './smallLog.js';

/** More than a small log has. */
const ALL = 1000;
const COLLECT_EVERY = 512;
/** One byte in five is flipped, from another one in each run; in the long form all are. */
const STEP = isSoak ? 1 : 5;

setFlagsFromString('--expose-gc');
/** Garbage collection, exposed by a flag. */
const gc = runInNewContext('gc') as () => void;

/** The result of a flip: found, no change in what is read, another log id, or unnoticed. */
type Verdict = 'found' | 'harmless' | 'renamed' | 'silent';

describe('one flipped byte of the file of a log', function () {
  this.timeout(600_000);

  it('is found, or changes nothing that is read; the id of the log alone is not proven', async () => {
    const dataDir = tempDir();
    await smallLog({ kind: 'sqlite', dataDir }, { messages: 2 });
    const file = join(dataDir, 'log.db');
    intoOneFile(file);
    const before = readLog(file);
    const { size = 0, root = '', position = 0, hash = '' } = before.commits.at(-1) ?? {};
    const commit = { position, hash };
    const trusted: TrustedHead = { partition: 0, size, root, commit, source: 'the signed head' };

    const verdictOf = async (): Promise<Verdict> => {
      let reader: LogReader | undefined;
      try {
        reader = openLogReader(file);
        if (reader.partitions !== before.partitions) return 'found';
        const end = reader.tail(0)?.position ?? 0;
        const { head, mismatch } = await checkChain(reader, emptyHead(0), end, [trusted]);
        if (mismatch ?? findMissedHead([trusted], head)) return 'found';
        expect(reader.read(0, 0, ALL)).to.deep.equal(before.commits);
        return reader.id === before.id ? 'harmless' : 'renamed';
      } catch (error) {
        return error instanceof Error && error.name === 'AssertionError' ? 'silent' : 'found';
      } finally {
        reader?.close();
      }
    };

    const bytes = readFileSync(file);
    const descriptor = openSync(file, 'r+');
    const flips: Record<Verdict, number[]> = { found: [], harmless: [], renamed: [], silent: [] };
    for (let at = newSeed() % STEP, n = 0; at < bytes.length; at += STEP, n++) {
      const byte = bytes.readUInt8(at);
      writeSync(descriptor, Buffer.of(byte ^ (1 << (at % 8))), 0, 1, at);
      flips[await verdictOf()].push(at);
      writeSync(descriptor, Buffer.of(byte), 0, 1, at);
      if (n % COLLECT_EVERY === 0) await collect();
    }
    closeSync(descriptor);
    expect(await verdictOf(), 'all as it was').to.equal('harmless');
    expect(flips.silent).to.deep.equal([]);
    expect(flips.found.length).to.be.greaterThan(5000 / STEP);
    expect(flips.renamed.length).to.be.within(Math.floor(36 / STEP), Math.ceil(40 / STEP));
  });
});

/**
 * A statement keeps the file of its closed connection open until it is collected. Thousands of them exhaust
 * the file handles.
 */
async function collect(): Promise<void> {
  gc();
  await nextTurn();
}

/** Moves the write-ahead log into the database file. */
function intoOneFile(file: string): void {
  const db = new DatabaseSync(file);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
}

function readLog(file: string) {
  const reader = openLogReader(file);
  const { id, partitions } = reader;
  const commits = reader.read(0, 0, ALL);
  reader.close();
  return { id, partitions, commits };
}
