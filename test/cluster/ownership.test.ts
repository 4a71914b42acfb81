import { expect } from 'chai';
import { NotOwner } from '../../src/base/errors.js';
import type { NodeId } from '../../src/cluster/bus.js';
import { type Owners, Ownership } from '../../src/cluster/ownership.js';
import { UnknownEventType } from '../../src/domain/codec.js';
import { StorageError } from '../../src/log/log.js';
import type { Lease } from '../../src/writer/writerPorts.js';
import { virtualTime } from '../support/virtualTime.js';
import { gate } from '../writer/world.js';
import { SharedLeases } from './sharedLeases.js';

const PARTITIONS = 4;
const all = [0, 1, 2, 3];

/** A writer that records its calls, and may be slow or fail. */
class FakeWriter {
  lease: Lease | undefined;
  renewals = 0;
  takes: () => Promise<void> = async () => {};
  givesUp: () => Promise<void> = async () => {};

  async takeOver(lease: Lease): Promise<void> {
    this.lease = lease;
    await this.takes();
    if (this.lease !== lease) throw new NotOwner(0);
  }

  async giveUp(): Promise<void> {
    this.lease = undefined;
    await this.givesUp();
  }

  handleRenewal(): void {
    this.renewals++;
  }
}

class FakeNode {
  readonly writers = all.map(() => new FakeWriter());
  readonly reported: unknown[] = [];
  readonly fatal: unknown[] = [];
  owners: Owners = [];
  knownToAll: ReadonlySet<string> = new Set();
  readonly ownership: Ownership;

  constructor(
    readonly world: World,
    readonly name: NodeId,
    capabilities: readonly string[],
  ) {
    this.ownership = new Ownership({
      node: name,
      cluster: { leases: world.shared.leasesOf(name), nodes: world.shared.nodesOf(name, capabilities) },
      writers: this.writers,
      clock: world.time,
      events: {
        onOwners: (owners) => {
          this.owners = owners;
        },
        onSharedCapabilities: (shared) => {
          this.knownToAll = shared;
        },
        // Stands for the note.
        onLeasesChanged: () => {
          for (const node of world.nodes) if (node !== this) node.ownership.rebalance();
        },
        onFatal: (error) => this.fatal.push(error),
        report: (_, error) => this.reported.push(error),
      },
    });
  }

  /** The partitions whose writers may write. */
  get writes(): number[] {
    return all.filter((partition) => this.writers[partition]?.lease);
  }
  get believes(): (NodeId | undefined)[] {
    return this.owners.map((owner) => owner?.node);
  }
}

class World {
  readonly time = virtualTime();
  readonly shared = new SharedLeases(this.time, PARTITIONS);
  readonly nodes: FakeNode[] = [];

  async start(name: NodeId, capabilities: readonly string[] = ['MessageSent']): Promise<FakeNode> {
    const node = this.add(name, capabilities);
    void node.ownership.start();
    await this.time.advance(5000);
    return node;
  }

  add(name: NodeId, capabilities: readonly string[] = ['MessageSent']): FakeNode {
    const node = new FakeNode(this, name, capabilities);
    this.nodes.push(node);
    return node;
  }
}

describe('ownership', () => {
  it('of a lone node covers all partitions before its start ends', async () => {
    const world = new World();
    const node = world.add('a');
    let isStarted = false;
    const { open, opened } = gate();
    for (const writer of node.writers) writer.takes = () => opened;
    void node.ownership.start().then(() => {
      isStarted = true;
    });
    await world.time.advance(500);
    // Commands may be sent already, and wait for the take-over.
    expect(node.believes).to.deep.equal(['a', 'a', 'a', 'a']);
    expect(isStarted).to.equal(false);
    open();
    await world.time.advance(1);
    expect(isStarted).to.equal(true);
    await world.time.advance(60_000);
    expect(node.writes).to.deep.equal(all);
    expect(node.writers.every(({ renewals }) => renewals > 50)).to.equal(true);
  });

  it('is spread evenly as nodes join', async () => {
    const world = new World();
    const [a, b] = [await world.start('a'), await world.start('b')];
    expect([a.writes.length, b.writes.length]).to.deep.equal([2, 2]);
    const c = await world.start('c');
    expect([a, b, c].map(({ writes }) => writes.length).sort()).to.deep.equal([1, 1, 2]);
    for (const node of [a, b, c]) expect(node.believes).to.deep.equal(world.shared.holders);
  });

  it('passes to the other nodes at once when a node stops', async () => {
    const world = new World();
    const [a, b] = [await world.start('a'), await world.start('b')];
    await a.ownership.stop();
    await world.time.advance(1);
    expect([a.writes, b.writes]).to.deep.equal([[], all]);
    expect(b.believes).to.deep.equal(['b', 'b', 'b', 'b']);
  });

  it('is not released before appends in flight have their outcome', async () => {
    const world = new World();
    const [a, b] = [await world.start('a'), await world.start('b')];
    const { open, opened } = gate();
    for (const writer of a.writers) writer.givesUp = () => opened;
    const stopped = a.ownership.stop();
    await world.time.advance(1000);
    expect(b.writes).to.have.length(2);
    expect(a.believes.filter((owner) => owner === 'a')).to.deep.equal([]);
    open();
    await stopped;
    await world.time.advance(1);
    expect(b.writes).to.deep.equal(all);
  });

  it('ends for a stop that cannot settle its appends, and passes on when the lease expires', async () => {
    const world = new World();
    const [a, b] = [await world.start('a'), await world.start('b')];
    for (const writer of a.writers) writer.givesUp = () => new Promise(() => {});
    let isStopped = false;
    void a.ownership.stop().then(() => {
      isStopped = true;
    });
    await world.time.advance(4500);
    expect(isStopped).to.equal(true);
    await world.time.advance(3000);
    expect(b.writes).to.deep.equal(all);
  });

  it('of a dead node passes on within 10 s', async () => {
    const world = new World();
    const [a, b] = [await world.start('a'), await world.start('b')];
    world.shared.cutOff.add('a');
    await world.time.advance(10_000);
    expect(b.writes).to.deep.equal(all);
    // If it was only disconnected, it gave up before another node could take over.
    expect(a.writes).to.deep.equal([]);
    expect(a.reported).not.to.deep.equal([]);
  });

  it('survives an outage of the database shorter than a lease', async () => {
    const world = new World();
    const node = await world.start('a');
    const before = node.owners;
    world.shared.cutOff.add('a');
    await world.time.advance(3000);
    world.shared.cutOff.delete('a');
    await world.time.advance(3000);
    expect(node.owners).to.deep.equal(before);
  });

  it('returns after a long outage of the database', async () => {
    const world = new World();
    const node = await world.start('a');
    const before = node.owners.map((owner) => owner?.epoch ?? 0);
    world.shared.cutOff.add('a');
    await world.time.advance(30_000);
    expect(node.writes).to.deep.equal([]);
    expect(node.owners).to.deep.equal(all.map(() => undefined));
    world.shared.cutOff.delete('a');
    await world.time.advance(2000);
    expect(node.writes).to.deep.equal(all);
    // Under new leases, so that nothing addressed to the old ones is accepted.
    for (const [partition, owner] of node.owners.entries())
      expect(owner?.epoch).to.be.above(before[partition] ?? 0);
  });

  it('is retried if a partition cannot be taken over', async () => {
    const world = new World();
    const node = world.add('a');
    const [first] = node.writers;
    if (!first) throw new Error('there is no writer');
    first.takes = () => Promise.reject(new Error('the log is away'));
    void node.ownership.start();
    await world.time.advance(5000);
    expect(node.reported.length).to.be.above(2);
    expect(node.fatal).to.deep.equal([]);
    first.takes = async () => {};
    await world.time.advance(2000);
    expect(node.writes).to.deep.equal(all);
  });

  it('is acquired again if a writer stopped by itself', async () => {
    const world = new World();
    const node = await world.start('a');
    const before = node.owners[1]?.epoch ?? 0;
    node.ownership.release(1);
    await world.time.advance(2000);
    expect(node.writes).to.deep.equal(all);
    expect(node.owners[1]?.epoch).to.be.above(before);
  });

  for (const error of [new StorageError('the disk failed'), new UnknownEventType('MessageWhispered')])
    it(`ends with ${error.name}`, async () => {
      const world = new World();
      const node = world.add('a');
      for (const writer of node.writers) writer.takes = () => Promise.reject(error);
      void node.ownership.start();
      await world.time.advance(100);
      expect(node.fatal).to.include(error);
    });

  it('allows only events that every live node can read', async () => {
    const world = new World();
    const a = await world.start('a', ['MessageSent', 'MessageEdited']);
    expect(a.knownToAll.has('MessageEdited')).to.equal(true);
    const b = await world.start('b', ['MessageSent']);
    expect(a.knownToAll.has('MessageEdited')).to.equal(false);
    expect(a.knownToAll.has('MessageSent')).to.equal(true);
    await b.ownership.stop();
    await world.time.advance(1000);
    expect(a.knownToAll.has('MessageEdited')).to.equal(true);
  });
});
