import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { checkChain } from '../../src/audit/verify/verifyState.js';
import { emptyHead } from '../../src/log/commit.js';
import { openLogReader } from '../../src/log/logFileReader.js';
import { tempDir } from '../support/tempDir.js';
import { smallLog } from './smallLog.js';

const texts = ['id', 'recordedAt', 'root', 'frontier', 'hash', 'leaves'] as const;
const numbers = ['position', 'epoch', 'firstOffset', 'size'] as const;
/** SQLite stores 64 bits, but JavaScript reads 53. */
const NUMBER_BYTES = 6;

describe('one flipped byte of a log', function () {
  this.timeout(300_000);

  it('is found, whichever it is', async () => {
    const dataDir = tempDir();
    await smallLog({ kind: 'sqlite', dataDir }, { messages: 2 });
    const file = join(dataDir, 'log.db');
    const db = new DatabaseSync(file);
    // The flips need not survive a crash of the machine.
    db.exec('PRAGMA synchronous = OFF');
    const reader = openLogReader(file);
    const end = reader.tail(0);
    if (!end) throw new Error('the log has commits');

    const isFound = async (): Promise<boolean> => {
      try {
        const { head, mismatch } = await checkChain(reader, emptyHead(0), reader.tail(0)?.position ?? 0, []);
        return mismatch !== undefined || head.hash !== end.hash;
      } catch {
        // The tail cannot be read.
        return true;
      }
    };
    expect(await isFound(), 'before any flip').to.equal(false);

    const missed: string[] = [];
    let flips = 0;
    const change = async (
      what: string,
      position: number,
      column: string,
      sql: string,
      value: unknown,
      back: unknown,
    ) => {
      const now = column === 'position' ? value : position;
      db.prepare(`UPDATE commits_0 SET ${column} = ${sql} WHERE position = ?`).run(value, position);
      if (!(await isFound())) missed.push(what);
      db.prepare(`UPDATE commits_0 SET ${column} = ${sql} WHERE position = ?`).run(back, now);
      flips++;
    };
    for (let position = 1; position <= end.position; position++) {
      const row = db.prepare('SELECT * FROM commits_0 WHERE position = ?').get(position);
      for (const column of texts) {
        if (row[column] === null) continue;
        const bytes = Buffer.from(row[column]);
        const sql = column === 'leaves' ? '?' : 'CAST(? AS TEXT)';
        for (const at of bytes.keys()) {
          const flipped = Buffer.from(bytes);
          flipped.writeUInt8(bytes.readUInt8(at) ^ (1 << (at % 8)), at);
          await change(`${column} of ${position} at ${at}`, position, column, sql, flipped, bytes);
        }
      }
      for (const column of numbers)
        for (let byte = 0; byte < NUMBER_BYTES; byte++) {
          const flipped = Number(BigInt(row[column]) ^ (1n << BigInt(8 * byte + ((position + byte) % 8))));
          const isTaken = column === 'position' && flipped >= 1 && flipped <= end.position;
          // Two rows cannot have one position.
          if (!isTaken)
            await change(
              `${column} of ${position}, byte ${byte}`,
              position,
              column,
              '?',
              flipped,
              row[column],
            );
        }
    }
    reader.close();
    db.close();
    expect(flips).to.be.greaterThan(5000);
    expect(missed).to.deep.equal([]);
  });
});
