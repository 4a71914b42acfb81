import { stat, writeFile } from 'node:fs/promises';
import type { Worker } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { SLOTS } from '../../src/log/appendSlots.js';
import { checkCommit, emptyHead, loadHead } from '../../src/log/commit.js';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import { AppendError, type Commit, HoleError, StorageError } from '../../src/log/log.js';
import { SqliteStore } from '../../src/log/logFile.js';
import { openLogReader } from '../../src/log/logFileReader.js';
import { eventLogConformance, type LogStore } from '../conformance/eventLog.js';
import { rejection } from '../support/rejection.js';
import { start } from './child.js';
import { chain, commitAfter } from './commitChain.js';
import { sqliteStore } from './stores.js';

/** A commit as it reaches the thread that appends. */
const slotted = ({ leaves, ...fields }: Commit) => ({ ...fields, leaves: Buffer.from(leaves.join('\n')) });

describe('the event log on SQLite', () => {
  eventLogConformance('file', sqliteStore);
});

describe('the event log on SQLite, besides the common contract,', () => {
  let store: LogStore & { readonly file: string };

  beforeEach(async () => {
    store = await sqliteStore();
  });

  afterEach(() => store.discard());

  it('keeps every acknowledged commit when its process is killed', async () => {
    const child = start(new URL('./appendingChild.js', import.meta.url), store.file);
    const acknowledged: string[] = [];
    while (acknowledged.length < 200) acknowledged.push((await child.lines.next()).value);
    await child.kill();
    const log = await store.open();
    const commits = await log.read(0, 0, 1_000_000);
    expect(commits.slice(0, 200).map((commit) => commit.id)).to.deep.equal(acknowledged);
    expect(await loadHead(log, 0)).to.deep.equal(commits.reduce(checkCommit, emptyHead(0)));
  });

  it('keeps its write-ahead log short under continuous appends', async () => {
    const log = await store.open();
    let head = emptyHead(0);
    let longest = 0;
    for (let i = 0; i < 240; i++) {
      const next = commitAfter(
        head,
        Array.from({ length: 256 }, () => `"${'x'.repeat(1000)}"`),
      );
      await log.append(next.commit);
      head = next.head;
      longest = Math.max(longest, (await stat(`${store.file}-wal`)).size);
    }
    expect(longest).to.be.lessThan(40 * 1024 * 1024);
    expect(await loadHead(log, 0)).to.deep.equal(head);
  });

  it('can be read from any thread, with each commit as soon as it is acknowledged', async () => {
    expect(() => openLogReader(store.file)).to.throw(StorageError);
    const log = await store.open();
    const reader = openLogReader(store.file);
    expect([reader.id, reader.partitions]).to.deep.equal([log.id, log.partitions]);
    expect(reader.tail(0)).to.equal(undefined);
    const commits = chain(5);
    for (const commit of commits) {
      await log.append(commit);
      expect(reader.tail(0)).to.deep.equal(commit);
    }
    expect(reader.read(0, 1, 3)).to.deep.equal(commits.slice(1, 4));
    await store.remove(0, 3);
    expect(() => reader.read(0, 1, 3)).to.throw(HoleError);
    reader.close();
  });

  it('can be opened read-only beside its writer', async () => {
    const log = await store.open();
    const [first, second] = chain(2);
    if (!first || !second) throw new Error('two are needed');
    await log.append(first);
    const beside = await openSqliteLog({ file: store.file, readOnly: true });
    expect(await beside.read(0, 0, 10)).to.deep.equal([first]);
    const refused = await beside.append(second).catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(AppendError);
    await beside.close();
    expect(await log.tail(0)).to.deep.equal(first);
  });

  it('throws StorageError for a file that is not a database', async () => {
    await writeFile(store.file, 'x'.repeat(8192));
    expect(await store.open().catch((error: unknown) => error)).to.be.instanceOf(StorageError);
  });

  it('refuses each append with StorageError once its thread has ended, those that wait too', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    const partitions = 3 * SLOTS;
    const log = await openSqliteLog({ file: `${store.file}-of-many`, partitions });
    process.off('worker', note);
    // More than its slots, so that some wait for one. No turn passes between them and the end of the thread.
    const commits = Array.from({ length: partitions }, (_, partition) => chain(1, partition)[0]);
    const appends = commits.map((commit) => commit && log.append(commit));
    await threads[0]?.terminate();
    const settled = await Promise.allSettled(appends);
    const refused = settled.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length, 'those that waited').to.be.at.least(partitions - SLOTS);
    for (const { reason } of refused) expect(reason).to.be.instanceOf(StorageError);
    const [first] = commits;
    expect(first && (await rejection(log.append(first)))).to.be.instanceOf(StorageError);
    expect(
      await rejection(log.tail(0)),
      'nothing is read of a log that may lack what was appended',
    ).to.be.instanceOf(StorageError);
    await log.close();
  });

  it('appends nothing after a failure, even if the disk works again', () => {
    const [first, second] = chain(2);
    if (!first || !second) throw new Error('two are needed');
    const failing = new SqliteStore(store.file);
    failing.append(slotted(first));
    const aside = new DatabaseSync(store.file);
    aside.exec('ALTER TABLE commits_0 RENAME TO gone');
    expect(() => failing.append(slotted(second)))
      .to.throw(StorageError)
      .with.nested.property('cause.errcode');
    aside.exec('ALTER TABLE gone RENAME TO commits_0');
    expect(() => failing.append(slotted(second))).to.throw(StorageError);
    expect(failing.rows.tail(0)?.position).to.equal(1);
    aside.close();
    failing.close();
  });

  it('appends the commits of several partitions in one transaction, each with its own outcome', () => {
    const [first, second] = chain(2);
    const [other] = chain(1, 1);
    if (!first || !second || !other) throw new Error('all are needed');
    const both = new SqliteStore(store.file, 2);
    const outcomes = both.appendAll([slotted(second), slotted(other)]);
    // The first position of partition 0 is still free: a commit behind it would leave a hole.
    expect(outcomes.map((outcome) => (outcome instanceof Error ? outcome.name : outcome.kind))).to.deep.equal(
      ['AppendError', 'committed'],
    );
    expect(both.appendAll([slotted(first), slotted(other)])).to.deep.include({ kind: 'committed' });
    expect(both.rows.tail(0)?.position).to.equal(1);
    expect(both.rows.tail(1)?.position).to.equal(1);
    both.close();
  });
});
