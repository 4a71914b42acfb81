import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import type { MessageRef } from '../../src/domain/ids.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { messageTerm } from '../../src/domain/messages/sealedMessages.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import {
  FilterKey,
  filterBytesFor,
  filterCapacity,
  IdFilter,
  messageIdFiltersModel,
  messageIdHash,
  type StoredFilter,
} from '../../src/projections/models/messageIdIndex.js';
import { openMongoRows } from '../../src/projections/store/mongoRows.js';
import type {
  Model,
  ModelWrite,
  Row,
  RowStore,
  StoredCheckpoint,
} from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { Tail } from '../../src/writer/streamState.js';
import { start } from '../log/child.js';
import { eventually } from '../support/eventually.js';
import { isSoak, kills, runs } from '../support/lanes.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { type Random, upTo, withSeed } from '../support/random.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { tempDir } from '../support/tempDir.js';
import { storyOf } from './idStory.js';
import { IdWorld, type IdWorldOptions } from './idWorld.js';

const rooms = [roomIdOf(randomUUID(), randomUUID()), roomIdOf(randomUUID(), randomUUID())];
const newRefs = (count: number): MessageRef[] =>
  Array.from({ length: count }, (_, i) => ({ roomId: rooms[i % 2] ?? '', messageId: randomUUID() }));

/** How a call of a store fails: before or after it does its work, or in the middle where it is not one transaction. */
type Failure = 'before' | 'after' | 'half';

/** A store whose calls fail, and whose filters can be read damaged. */
class FaultyRows {
  /** The number of the call that fails, from 1 on. */
  failsIn = 0;
  failure: Failure = 'before';
  hasFailed = false;
  damage: ((filter: StoredFilter) => StoredFilter | null) | undefined;

  constructor(private readonly rows: RowStore) {}

  /** As the projector's thread sees it. */
  get failing(): RowStore {
    const { rows } = this;
    return {
      ...this.damaged,
      prepare: (model) => this.#run(() => rows.prepare(model)),
      get: (model, keys) => this.#run(() => this.damaged.get(model, keys)),
      range: (model, range) => this.#run(() => rows.range(model, range)),
      checkpoints: (partitions) => this.#run(() => rows.checkpoints(partitions)),
      write: (writes, checkpoints) =>
        this.#run(
          () => this.#write(writes, checkpoints),
          () => this.#writeHalf(writes),
        ),
    };
  }

  /** As a writer sees it. */
  get damaged(): RowStore {
    const { rows } = this;
    return {
      prepare: (model) => rows.prepare(model),
      get: async (model, keys) => this.#damageRows(model, await rows.get(model, keys)),
      range: (model, range) => rows.range(model, range),
      find: (model, index, find) => rows.find(model, index, find),
      places: (model, index, find) => rows.places(model, index, find),
      findPrefix: (model, index, ...search) => rows.findPrefix(model, index, ...search),
      write: (writes, checkpoints) => this.#write(writes, checkpoints),
      checkpoints: (partitions) => rows.checkpoints(partitions),
      removeIndexEntries: (model, key, index) => rows.removeIndexEntries(model, key, index),
      scrub: () => rows.scrub(),
      drop: (model) => rows.drop(model),
      close: () => rows.close(),
    };
  }

  #damageRows<R>(model: Model<R>, found: Map<string, Row<R>>): Map<string, Row<R>> {
    const { damage } = this;
    if (!damage || model.name !== messageIdFiltersModel.name) return found;
    const damaged = [...found].map(([key, row]): [string, Row<R>] => {
      // Rows of this model are filters.
      const value = damage(row.value as unknown as StoredFilter) as unknown as R | null;
      return [key, { ...row, value }];
    });
    return new Map(damaged);
  }

  async #write(writes: readonly ModelWrite[], checkpoints: readonly StoredCheckpoint[] = []): Promise<void> {
    await this.rows.write(writes, checkpoints);
    if (writes.some(({ model, rows }) => model.name === messageIdFiltersModel.name && rows.length > 0))
      this.damage = undefined;
  }

  async #writeHalf(writes: readonly ModelWrite[]): Promise<void> {
    const half = writes.map(({ model, rows }) => ({
      model,
      rows: rows.slice(0, Math.ceil(rows.length / 2)),
    }));
    // Of the filters or of the other rows there may be none.
    await this.rows.write(half.slice(0, Math.ceil(half.length / 2)));
  }

  async #run<T>(work: () => Promise<T>, half: () => Promise<void> = async () => {}): Promise<T> {
    if (this.failsIn === 0 || --this.failsIn > 0) return work();
    this.hasFailed = true;
    if (this.failure === 'half') await half();
    if (this.failure === 'after') await work();
    throw new Error('the store fails');
  }
}

const damages: Record<string, (filter: StoredFilter) => StoredFilter | null> = {
  'is cut off': (filter) => ({ ...filter, bits: filter.bits.slice(0, filter.bits.length / 2) }),
  'has a flipped bit': (filter) => {
    const bits = Buffer.from(filter.bits, 'base64');
    bits[7] = (bits[7] ?? 0) ^ 4;
    return { ...filter, bits: bits.toString('base64') };
  },
  'is empty': (filter) => ({ ...filter, bits: Buffer.alloc(4096).toString('base64') }),
  'has another key': (filter) => ({ ...filter, key: randomBytes(16).toString('base64') }),
  'says that it has later ids': (filter) => ({ ...filter, upTo: filter.upTo + 100 }),
  'is gone': () => null,
};

interface Opened {
  readonly rows: RowStore;
  readonly options: IdWorldOptions;
}

const engines: Record<string, () => Promise<Opened>> = {
  memory: async () => ({ rows: new MemoryRows(), options: {} }),
  SQLite: async () => ({ rows: openSqliteRows(join(tempDir(), 'read.db')), options: {} }),
  MongoDB: async () => ({ rows: await openMongoRows(await freshDatabase()), options: { isIndexLive: true } }),
};

/** What makes a look-up wrong on purpose. */
type Defect = (world: IdWorld) => void;

const defects: Record<string, Defect> = {
  'believes a filter that lacks ids': (world) => {
    const { reads } = world;
    const empty = new IdFilter(new FilterKey(randomBytes(16)), new Uint8Array(4096));
    world.reads = { ...reads, filter: async () => empty };
  },
  'takes the index for further than it is': (world) => {
    const { reads } = world;
    world.reads = {
      ...reads,
      stored: async (partition) => {
        const { position, size } = await reads.stored(partition);
        const { position: end } = (await world.log.tail(partition)) ?? { position };
        return end > position ? { position: position + 1, size: size + 1 } : { position, size };
      },
    };
  },
};

/** Sends, writes, fails, damages and restarts at random, and compares each answer with a plain set. */
async function play(random: Random, opened: Opened, defect: Defect = () => {}): Promise<void> {
  const { rows, options } = opened;
  const faulty = new FaultyRows(rows);
  const world = await IdWorld.open(faulty.damaged, { ...options, projected: faulty.failing });
  defect(world);
  const used: MessageRef[] = [];
  const set = new Set<string>();
  const isAtomic = !(rows instanceof MemoryRows) && !options.isIndexLive;
  const kinds: Failure[] = isAtomic ? ['before', 'after'] : ['before', 'after', 'half'];
  const guarded = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!faulty.hasFailed) throw error;
      faulty.hasFailed = false;
      faulty.failsIn = 0;
      if (upTo(2, random) === 0) await world.restart();
      else {
        await world.life.live.reset();
        await world.life.batches.reset();
      }
      await world.fold();
    }
  };
  for (let turn = 0; turn < 60; turn++) {
    const fresh = newRefs(1 + upTo(9, random));
    await guarded(() => world.append(fresh));
    for (const ref of fresh) set.add(messageTerm(ref));
    used.push(...fresh);
    if (upTo(4, random) === 0) {
      faulty.failsIn = 1 + upTo(12, random);
      faulty.failure = kinds[upTo(kinds.length, random)] ?? 'before';
    }
    if (upTo(10, random) === 0)
      faulty.damage = Object.values(damages)[upTo(Object.keys(damages).length, random)];
    await guarded(() => world.fold());
    if (upTo(2, random) === 0) await guarded(() => world.step());
    if (upTo(8, random) === 0) await guarded(() => world.flush());
    if (upTo(12, random) === 0) await guarded(() => world.restart());
    const asked = [
      ...newRefs(3),
      ...Array.from({ length: 5 }, () => used[upTo(used.length, random)] ?? newRefs(1)[0]),
      // An id of the other room.
      { roomId: rooms[0] ?? '', messageId: fresh[1]?.messageId ?? 'none' },
    ].filter((ref) => ref !== undefined);
    const found = await world.findUsed(asked);
    for (const ref of asked)
      expect(found.has(messageTerm(ref)), `id ${ref.messageId}`).to.equal(set.has(messageTerm(ref)));
  }
  faulty.failsIn = 0;
  await world.restart();
  // A write that failed half may have left rows behind the checkpoint. `flush` alone writes nothing if many wait.
  await world.step();
  await world.flush();
  await world.restart();
  expect(await world.stored()).to.equal(used.length);
  expect((await world.findUsed(used)).size).to.equal(set.size);
  expect(await world.index()).to.deep.equal(world.expectedIndex(await world.stored()));
}

for (const [engine, open] of Object.entries(engines))
  describe(`message ids on ${engine}`, function () {
    this.timeout(120_000);
    const stores: RowStore[] = [];
    const opened = async (): Promise<Opened> => {
      const one = await open();
      stores.push(one.rows);
      return one;
    };
    before(async function () {
      if (engine === 'MongoDB' && (await mongoUrl()) === undefined) this.skip();
    });
    after(() => Promise.all(stores.map((store) => store.close())));

    it('are answered as by a plain set, whatever is written, fails, is damaged or restarts', () =>
      withSeed(async (random) => {
        const rounds = { memory: 30, SQLite: 5, MongoDB: 1 }[engine] ?? 1;
        for (let round = 0; round < runs(rounds); round++) await play(random, await opened());
      }));

    if (engine === 'memory')
      for (const [what, defect] of Object.entries(defects))
        it(`are seen to be answered wrong when a writer ${what}`, () =>
          withSeed(async (random) => {
            let failed = 0;
            for (let round = 0; round < 10; round++)
              await play(random, await opened(), defect).catch(() => failed++);
            expect(failed).to.be.above(0);
          }));

    it('are whole after a crash at each step of writing them', async () => {
      const half: Failure[] = engine === 'SQLite' ? [] : ['half'];
      for (const failure of ['before', 'after', ...half] as const)
        for (let call = 1, isMore = true; isMore; call++) {
          const { rows, options } = await opened();
          const faulty = new FaultyRows(rows);
          const world = await IdWorld.open(rows, { ...options, projected: faulty.failing });
          const refs = newRefs(16);
          await world.send(refs);
          await world.step();
          for (let i = 0; i < 6; i++) {
            const some = newRefs(7);
            refs.push(...some);
            await world.send(some);
          }
          Object.assign(faulty, { failsIn: call, failure });
          await world.step().catch(() => {});
          isMore = faulty.hasFailed;
          faulty.failsIn = 0;
          const what = `call ${call} fails ${failure}`;
          expect((await world.findUsed(refs)).size, `before the restart, ${what}`).to.equal(refs.length);
          await world.restart();
          expect((await world.findUsed(refs)).size, what).to.equal(refs.length);
          expect((await world.findUsed(newRefs(20))).size, what).to.equal(0);
          await world.step();
          await world.flush();
          expect(await world.index(), what).to.deep.equal(world.expectedIndex(58));
          const filter = await world.filter();
          expect(filter?.upTo, what).to.equal(58);
          for (const ref of refs) {
            const digest = filter?.filter.key.digest(messageIdHash(ref));
            expect(digest && filter?.filter.mayHave(digest), what).to.equal(true);
          }
        }
    });

    for (const [what, damage] of Object.entries(damages))
      it(`are looked for in the index when a filter ${what}, which is made again`, async () => {
        const { rows, options } = await opened();
        const faulty = new FaultyRows(rows);
        const world = await IdWorld.open(faulty.damaged, { ...options, projected: faulty.failing });
        const refs = newRefs(40);
        await world.send(refs);
        await world.step();
        faulty.damage = damage;
        await world.restart();
        expect(world.select(newRefs(20)), 'all may be in the index').to.have.length(20);
        expect((await world.findUsed([...refs, ...newRefs(20)])).size).to.equal(40);
        const more = newRefs(16);
        await world.send(more);
        await world.step();
        expect(faulty.damage, 'a new one is stored').to.equal(undefined);
        await world.restart();
        expect((await world.findUsed([...refs, ...more, ...newRefs(20)])).size).to.equal(56);
        expect(world.select(newRefs(20)), 'none may be in the index').to.have.length(0);
      });

    it('are looked for in the index when the filter is of another log', async () => {
      const { rows, options } = await opened();
      const world = await IdWorld.open(rows, options);
      const refs = newRefs(40);
      await world.send(refs);
      await world.step();
      const log = Object.assign(world.log, { id: '33333333-3333-4333-8333-333333333333' });
      const other = await IdWorld.open(rows, { ...options, log });
      expect(other.select(newRefs(20))).to.have.length(20);
      expect((await other.findUsed([...refs, ...newRefs(20)])).size).to.equal(40);
    });

    it('are found in the tail while the history lacks them and the index has them', async () => {
      const { rows, options } = await opened();
      const world = await IdWorld.open(rows, options);
      const refs = newRefs(40);
      await world.send(refs);
      await world.step();
      await world.flush();
      expect(await world.stored()).to.equal(40);
      // A writer whose read models are behind the index: the tail holds all 40, and the rows are not asked.
      world.tail = new Tail(0, 0);
      for (const event of world.log.commits().flatMap((commit) => decodeCommit(commit).events))
        world.tail.add(event, event.leaf);
      await world.loadIds();
      const inTail = () => refs.filter((ref) => world.ids.findInTail(world.ids.name(ref))).length;
      expect(inTail()).to.equal(40);
      const more = newRefs(2000);
      await world.append(more);
      expect(inTail(), 'after many others').to.equal(40);
      await world.fold();
      await world.step();
      await world.flush();
      expect(inTail(), 'after it was trimmed').to.equal(0);
      expect((await world.findUsed([...refs, ...more, ...newRefs(20)])).size).to.equal(2040);
    });

    it('are found after many others', async () => {
      const count = engine === 'SQLite' ? (isSoak ? 1_100_000 : 70_000) : 4000;
      const { rows, options } = await opened();
      const world = await IdWorld.open(rows, { ...options, batchEvents: 65_536 });
      const kept: MessageRef[] = [];
      for (let sent = 0; sent < count; sent += 500) {
        const refs = newRefs(500);
        kept.push(...refs.slice(0, 10));
        await world.send(refs);
        await world.step();
      }
      const check = async () => {
        for (let at = 0; at < kept.length; at += 1000) {
          const some = kept.slice(at, at + 1000);
          expect((await world.findUsed(some)).size).to.equal(some.length);
        }
        const fresh = newRefs(20_000);
        expect((await world.findUsed(fresh)).size).to.equal(0);
        expect(world.select(fresh).length / fresh.length).to.be.below(0.004);
      };
      await check();
      await world.restart();
      await check();
      await world.flush();
      await world.restart();
      expect(await world.stored()).to.equal(count);
      await check();
    }).timeout(600_000);

    it('cost one read each if they are chosen against a known key, and are taken all the same', async () => {
      const { rows, options } = await opened();
      const world = await IdWorld.open(rows, options);
      const refs = newRefs(2000);
      await world.send(refs);
      await world.step();
      await world.flush();
      await world.restart();
      const { filter } = (await world.filter()) ?? expect.fail('there is no filter');
      const hostile: MessageRef[] = [];
      while (hostile.length < 20) {
        const [ref] = newRefs(1);
        if (ref && filter.mayHave(filter.key.digest(messageIdHash(ref)))) hostile.push(ref);
      }
      expect(world.select(hostile)).to.have.length(20);
      expect((await world.findUsed([...hostile, ...refs])).size).to.equal(2000);
      // The same ids in a filter of another key.
      const other = new IdFilter(new FilterKey(randomBytes(16)), new Uint8Array(filter.bits.length));
      const digest = (ref: MessageRef) => other.key.digest(messageIdHash(ref));
      for (const ref of refs) other.add(digest(ref));
      expect(hostile.filter((ref) => other.mayHave(digest(ref))).length).to.be.below(3);
    });

    it('are refused while too many wait for the index, and taken again after it is stored', async () => {
      const { rows, options } = await opened();
      const world = await IdWorld.open(rows, { ...options, isIndexLive: false, mostRecent: 50 });
      const refs = newRefs(49);
      await world.append(refs);
      expect(world.select(newRefs(1))).to.have.length(0);
      const [last = expect.fail()] = newRefs(1);
      await world.append([last]);
      expect(() => world.select(newRefs(1))).to.throw('too many message ids wait');
      expect(world.select([]), 'other commands').to.have.length(0);
      await world.fold();
      await world.step();
      await world.flush();
      expect(() => world.select(newRefs(1))).to.throw('too many message ids wait');
      await world.time.advance(1000);
      expect(() => world.select(newRefs(1)), 'reads how far it is stored').to.throw('too many');
      await eventually('ids are taken', () => {
        try {
          return world.select(newRefs(1)).length === 0;
        } catch {
          return false;
        }
      });
      expect((await world.findUsed([...refs, last, ...newRefs(20)])).size).to.equal(50);
    });
  });

describe('the index of message ids of a process that is killed', function () {
  this.timeout(600_000);

  it(`has exactly the ids up to its checkpoint, and all are found, over ${kills} kills`, () =>
    withSeed(async (random) => {
      const log = await storyOf(3000);
      const refs = log
        .commits()
        .flatMap((commit) => decodeCommit(commit).events)
        .flatMap(({ type, data }) => (type === 'MessageSent' ? [data] : []));
      let file = join(tempDir(), 'read.db');
      for (let round = 0, before = -1; round < kills; round++) {
        const child = start(new URL('./idChild.js', import.meta.url), file);
        for (let lines = 1 + upTo(30, random); lines > 0; lines--) await child.lines.next();
        for (let turns = upTo(40, random); turns > 0; turns--) await new Promise(setImmediate);
        await child.kill();
        const rows = openSqliteRows(file);
        // Nothing is folded before it is looked at.
        const size = await storedSize(rows);
        expect(size).to.be.above(before);
        const world = await IdWorld.open(rows, { log });
        expect(await world.index()).to.deep.equal(world.expectedIndex(size));
        expect((await world.filter())?.upTo).to.equal(size);
        expect((await world.findUsed([...refs, ...newRefs(500)])).size).to.equal(refs.length);
        await rows.close();
        before = size;
        if (size === refs.length) [file, before] = [join(tempDir(), 'read.db'), -1];
      }
    }));
});

async function storedSize(rows: RowStore): Promise<number> {
  const stored = await rows.checkpoints([0]);
  return stored.find(({ tables }) => tables.includes('messageIds_v1'))?.size ?? 0;
}

describe('the filter of message ids', () => {
  it('hashes with SipHash-2-4', () => {
    const key = new FilterKey(Uint8Array.from({ length: 16 }, (_, i) => i));
    const { low, high } = key.digest(String.fromCharCode(...Array.from({ length: 16 }, (_, i) => i)));
    // Of the reference implementation's vectors, the one of 16 bytes.
    expect([high >>> 0, low >>> 0]).to.deep.equal([0x3f2acc7f, 0x57c29bdb]);
  });

  it('has each id that was added, and at most 0.1% of others when it is full', () => {
    for (const ids of [filterCapacity(2 ** 12), filterCapacity(2 ** 15), filterCapacity(2 ** 18)]) {
      const filter = new IdFilter(new FilterKey(randomBytes(16)), new Uint8Array(filterBytesFor(ids)));
      expect(filter.bits.length * 8).to.equal(ids * 16);
      const digest = (i: number) => filter.key.digest(messageIdHash({ roomId: 'room', messageId: `${i}` }));
      for (let i = 0; i < ids; i++) filter.add(digest(i));
      for (let i = 0; i < ids; i++) if (!filter.mayHave(digest(i))) expect.fail(`id ${i} is missing`);
      let others = 0;
      for (let i = ids; i < ids + 20_000; i++) if (filter.mayHave(digest(i))) others++;
      expect(others / 20_000).to.be.below(0.001);
    }
  });
});
