import { expect } from 'chai';
import type { Note as BusNote } from '../../src/cluster/bus.js';
import type { Moment } from '../../src/domain/commands.js';
import type { Commit, EventLog } from '../../src/log/log.js';
import { openMongoLog } from '../../src/log/mongoLog.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import type { Folded } from '../../src/projections/projection.js';
import { type Projections, startProjections } from '../../src/projections/startProjections.js';
import { eventually } from '../support/eventually.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { digestsModel, foldedRows, type Note, Pages, rowsOf } from '../support/notebook.js';
import { type Random, upTo, withSeed } from '../support/random.js';

const notebook = new URL('../support/notebook.js', import.meta.url);
const nextNotebook = new URL('../support/notebookNext.js', import.meta.url);
const partitions = [0, 1, 2];
/** Settle time of a change of generation: many times the duration of a read. */
const SETTLE_MS = 3000;
/** A row belongs to one partition, which the number of its room or user gives. */
const messageIn = (partition: number, n: number): Note => ({ room: partition + 3 * (n % 3), message: n });
const presenceIn = (partition: number, n: number): Note => ({
  user: partition + 3 * (n % 3),
  isOnline: n % 5 > 0,
});

/** The projections of several processes over one log, and their notes. */
class Nodes {
  readonly all: Projections[] = [];
  readonly fatal: unknown[] = [];
  readonly troubles: Error[] = [];
  readonly told: BusNote[] = [];
  /** Whether a note reaches the other nodes. */
  isHeard: (note: BusNote) => boolean = () => true;
  readonly #pages = partitions.map((partition) => new Pages(partition));
  readonly #events: Folded[] = [];
  readonly #tails = new Map<number, number>();

  private constructor(
    private readonly url: string,
    private readonly log: EventLog,
  ) {}

  static async start(...owned: (readonly number[])[]): Promise<Nodes> {
    const url = await freshDatabase();
    const nodes = new Nodes(url, await openMongoLog({ url, partitions: partitions.length }));
    for (const some of owned) await nodes.join(some);
    return nodes;
  }

  async join(owned: readonly number[], projections = notebook): Promise<Projections> {
    const index = this.all.length;
    const node = await startProjections({
      engine: { kind: 'mongodb', url: this.url },
      names: { notes: async () => [] },
      projections,
      cluster: { owned, settleMs: SETTLE_MS, send: (note) => this.#tell(index, note) },
      errors: { onFatal: (error) => this.fatal.push(error), onRetry: (error) => this.troubles.push(error) },
    });
    this.all.push(node);
    return node;
  }

  node(index: number): Projections {
    return this.all[index] ?? expect.fail('no such node');
  }

  /** Appends a commit, and notifies some of the nodes. */
  async append(
    partition: number,
    notes: readonly Note[],
    isTold: (index: number) => boolean = () => true,
  ): Promise<Commit> {
    const commit = (this.#pages[partition] ?? expect.fail('no such partition')).next(notes);
    await this.log.append(commit);
    this.#events.push(...decodeCommit(commit).events);
    this.#tails.set(partition, commit.size);
    this.all.forEach((node, index) => {
      if (isTold(index)) node.publish(commit);
    });
    return commit;
  }

  /** Each node reports all progress, and then all rows can be read there. */
  async expectAll(): Promise<void> {
    for (const node of this.all) {
      for (const [partition, size] of this.#tails) await reached(node, { partition, size });
      expect(await rowsOf(node.reader, this.#events)).to.deep.equal(foldedRows(this.#events));
    }
    expect(this.troubles).to.deep.equal([]);
    expect(this.fatal).to.deep.equal([]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((node) => node.close()));
    await this.log.close();
  }

  #tell(from: number, note: BusNote): void {
    this.told.push(note);
    if (!this.isHeard(note)) return;
    this.all.forEach((node, index) => {
      if (index !== from) node.receive(note);
    });
  }
}

describe('Projections of several nodes on MongoDB', () => {
  let nodes: Nodes | undefined;
  const started = async (...owned: (readonly number[])[]) => {
    nodes = await Nodes.start(...owned);
    return nodes;
  };

  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });
  afterEach(async () => {
    await nodes?.stop();
    nodes = undefined;
  });

  it('are read on every node up to what any owner has folded', async () => {
    const nodes = await started([0], [1, 2]);
    for (let n = 0; n < 30; n++) await nodes.append(n % 3, [messageIn(n % 3, n), presenceIn(n % 3, n)]);
    await nodes.expectAll();
    expect(new Set(nodes.told.map(({ kind }) => kind))).to.deep.equal(
      new Set(['progress', 'requestProgress']),
    );
  });

  it('find in the store what no note told them, and say that nothing is behind', async () => {
    const nodes = await started([], partitions);
    nodes.isHeard = () => false;
    for (let n = 0; n < 30; n++) await nodes.append(n % 3, [messageIn(n % 3, n)]);
    await nodes.expectAll();
    await nodes.append(0, [messageIn(0, 30)]);
    expect(nodes.node(0).progress.lagMs()).to.equal(0);
    // No query waits for this progress.
    await eventually('the progress is found', () => nodes.node(0).progress.folded(0) === 11);
  });

  it('answer a node again that lost the note it waits for', async () => {
    const nodes = await started([], partitions);
    nodes.isHeard = ({ kind }) => kind === 'requestProgress';
    const first = await nodes.append(0, [messageIn(0, 1)], (index) => index === 1);
    await nodes.node(1).flush();
    nodes.isHeard = () => true;
    await nodes.node(0).progress.waitFor(first);
    expect(nodes.told.filter(({ kind }) => kind === 'requestProgress')).to.have.length(1);
  });

  it('have the rows of a fresh fold however often ownership moves while commits come', () =>
    withSeed(async (random) => {
      const nodes = await started([0, 1], [2]);
      for (let round = 0; round < 25; round++) {
        const appended = appendSome(nodes, round, random);
        // Nodes change ownership independently: a partition may be folded by one, by both, or by none for a
        // while.
        const moved = Promise.all(nodes.all.map((node) => node.own(partitions.filter(() => random() < 0.5))));
        nodes.isHeard = () => random() < 0.7;
        if (random() < 0.5) await moved;
        await appended;
        await moved;
      }
      await Promise.all([nodes.node(0).own([1]), nodes.node(1).own([0, 2])]);
      await nodes.expectAll();
    }));

  it('are not harmed by two owners at once', async () => {
    const nodes = await started(partitions, partitions);
    for (let n = 0; n < 60; n++)
      await nodes.append(n % 3, [messageIn(n % 3, n), presenceIn(n % 3, n)], (index) => index === n % 2);
    await nodes.expectAll();
  });

  it('write what is folded of a partition before it is given up', async () => {
    const nodes = await started([0], []);
    const { partition, size } = await nodes.append(0, [messageIn(0, 1)]);
    await nodes.node(0).own([]);
    nodes.isHeard = () => false;
    await nodes.node(1).own([0]);
    await nodes.node(1).progress.waitFor({ partition, size });
    await nodes.expectAll();
  });

  it('are built anew on one node, and the others fold and read the new table without a gap', async () => {
    const nodes = await started([0], [1, 2]);
    for (let n = 0; n < 60; n++) await nodes.append(n % 3, [messageIn(n % 3, n)]);
    await nodes.expectAll();
    const switched: string[] = [];
    nodes.all.forEach((node, index) => {
      node.onSwitch(async (name, generation) => {
        switched.push(`${index}: ${name} ${generation}`);
      });
    });
    let isRebuilt = false;
    const rebuilt = nodes
      .node(0)
      .rebuild('digests')
      .finally(() => {
        isRebuilt = true;
      });
    const counts = new Map<string, number>();
    for (let n = 60; !isRebuilt; n++) {
      const { partition, size } = await nodes.append(n % 3, [messageIn(n % 3, n)]);
      const key = `room ${partition + 3 * (n % 3)}`;
      const node = nodes.node(n % 2);
      await node.progress.waitFor({ partition, size });
      const count = (await node.reader.get(digestsModel, [key])).get(key)?.value?.count ?? 0;
      expect(count, 'what was reached can be read').to.equal((counts.get(key) ?? count - 1) + 1);
      counts.set(key, count);
    }
    await rebuilt;
    expect(switched.sort()).to.deep.equal(['0: digests 1', '1: digests 1']);
    const late = await nodes.join([]);
    expect(late.start.generations.get('digests')).to.equal(1);
    await nodes.expectAll();
  });

  it('are built anew by the next when the node that was at it has gone', async () => {
    const nodes = await started([0], [1, 2]);
    for (let n = 0; n < 30; n++) await nodes.append(n % 3, [messageIn(n % 3, n)]);
    await nodes.expectAll();
    const [gone] = nodes.all.splice(0, 1);
    gone?.rebuild('digests').catch(() => {});
    await nodes.node(0).own(partitions);
    await gone?.close();
    // Leases may still change hands.
    await gone?.own([0]);
    await nodes.node(0).rebuild('digests');
    await nodes.append(0, [messageIn(0, 30)]);
    await nodes.expectAll();
  });

  it('of another version begin with all that there is, and take no progress of the old for their own', async () => {
    const nodes = await started(partitions);
    for (let n = 0; n < 300; n++) await nodes.append(n % 3, [messageIn(n % 3, n)]);
    await nodes.expectAll();
    const next = await nodes.join([], nextNotebook);
    const folded = () => partitions.map((partition) => next.progress.folded(partition));
    expect(folded()).to.deep.equal([100, 100, 100]);

    const moment = await nodes.append(0, [messageIn(0, 300)]);
    await nodes.node(0).progress.waitFor(moment);
    // The node reads the store too.
    expect(await next.progress.waitFor(moment).catch(({ code }) => code)).to.equal('overloaded');
    // A node with another version folds for itself.
    await next.own(partitions);
    await next.progress.waitFor(moment);
    const old = await nodes.node(0).reader.get(digestsModel, ['room 0']);
    const now = await next.reader.get({ ...digestsModel, version: digestsModel.version + 1 }, ['room 0']);
    expect(now.get('room 0')).to.deep.equal(old.get('room 0'));
    nodes.all.pop();
    await next.close();
    await nodes.expectAll();
  });

  it('go on where the others are when a node joins late', async () => {
    const nodes = await started(partitions);
    for (let n = 0; n < 9; n++) await nodes.append(n % 3, [messageIn(n % 3, n)]);
    await nodes.expectAll();
    const late = await nodes.join([]);
    expect(partitions.map((partition) => late.progress.folded(partition))).to.deep.equal([3, 3, 3]);
    await nodes.node(0).own([]);
    await late.own(partitions);
    await nodes.append(1, [messageIn(1, 9)], () => false);
    await nodes.expectAll();
  });
});

/**
 * Waits until a node has this moment. A query gives up after 5 s. A commit that no owner is told of is found
 * after 2 s at rest, and later under load.
 */
async function reached(node: Projections, moment: Moment): Promise<void> {
  await eventually('the moment is folded', () =>
    node.progress.waitFor(moment).then(
      () => true,
      (error: { code?: string }) => {
        if (error.code !== 'overloaded') throw error;
        return false;
      },
    ),
  );
}

async function appendSome(nodes: Nodes, round: number, random: Random): Promise<void> {
  for (let i = 0; i < 6; i++) {
    const partition = upTo(partitions.length, random);
    const n = round * 6 + i;
    const read: Note = { room: partition, read: upTo(n + 1, random) };
    const notes: Note[] = [messageIn(partition, n), presenceIn(partition, n), read];
    await nodes.append(partition, notes, () => random() < 0.7);
  }
}
