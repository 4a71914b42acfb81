import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeEvent } from '../../src/domain/codec.js';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import type { Commit, EventLog } from '../../src/log/log.js';
import { openMongoLog } from '../../src/log/mongoLog.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import type { Folded } from '../../src/projections/projection.js';
import { type Projections, startProjections } from '../../src/projections/startProjections.js';
import type { Engine } from '../../src/projections/store/engine.js';
import type { Model } from '../../src/projections/store/rowStore.js';
import { eventually } from '../support/eventually.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { digestsModel, foldedRows, linesModel, type Note, Pages, rowsOf } from '../support/notebook.js';
import { tempDir } from '../support/tempDir.js';

const notebook = new URL('../support/notebook.js', import.meta.url);
/** A row belongs to one partition, which the number of its room gives. */
const message = (partition: number, n: number): Note => ({ room: partition + 2 * (n % 3), message: n });

/** A log of two partitions with its projections, as in a server process. */
class System {
  readonly fatal: unknown[] = [];
  readonly troubles: Error[] = [];
  readonly #pages = [new Pages(0), new Pages(1)];
  readonly #events: Folded[] = [];
  readonly #commits: Commit[] = [];
  #log: EventLog | undefined;
  #projections: Projections | undefined;

  constructor(private readonly engine: Engine) {}

  get projections(): Projections {
    return this.#projections ?? expect.fail('not started');
  }

  get log(): EventLog {
    return this.#log ?? expect.fail('not started');
  }

  async start(projections?: URL): Promise<this> {
    const { engine } = this;
    if (engine.kind === 'sqlite') mkdirSync(engine.dataDir, { recursive: true });
    this.#log ??= await (engine.kind === 'sqlite'
      ? openSqliteLog({ file: join(engine.dataDir, 'log.db'), partitions: 2 })
      : openMongoLog({ url: engine.url, partitions: 2 }));
    this.#projections = await startProjections({
      engine,
      names: { notes: async (texts) => texts.map(({ owner }) => `name-of-${owner}`) },
      ...(projections ? { projections } : {}),
      cluster: { settleMs: 0 },
      errors: { onFatal: (error) => this.fatal.push(error), onRetry: (error) => this.troubles.push(error) },
    });
    return this;
  }

  async append(partition: number, ...notes: Note[]): Promise<Commit> {
    const commit = (this.#pages[partition] ?? expect.fail('no such partition')).next(notes);
    await this.log.append(commit);
    this.#events.push(...decodeCommit(commit).events);
    this.#commits.push(commit);
    return commit;
  }

  async publish(partition: number, ...notes: Note[]): Promise<Commit> {
    const commit = await this.append(partition, ...notes);
    this.projections.publish(commit);
    return commit;
  }

  /** Everything appended can be read. */
  async expectAll(): Promise<void> {
    for (const { partition, size } of this.#commits)
      await this.projections.progress.waitFor({ partition, size });
    expect(await rowsOf(this.projections.reader, this.#events)).to.deep.equal(foldedRows(this.#events));
    expect(this.troubles).to.deep.equal([]);
    expect(this.fatal).to.deep.equal([]);
  }

  async stop(): Promise<void> {
    await this.#projections?.close();
    this.#projections = undefined;
    await this.#log?.close();
    this.#log = undefined;
  }
}

const places: Record<string, () => Promise<Engine>> = {
  SQLite: async () => ({ kind: 'sqlite', dataDir: tempDir() }),
  MongoDB: async () => ({ kind: 'mongodb', url: await freshDatabase() }),
};

for (const [name, place] of Object.entries(places))
  describe(`Projections on ${name}`, () => {
    const systems: System[] = [];
    const started = async (projections: URL | undefined = notebook) => {
      const system = new System(await place());
      systems.push(system);
      return system.start(projections);
    };

    before(async function () {
      if (name === 'MongoDB' && (await mongoUrl()) === undefined) this.skip();
    });
    afterEach(() => Promise.all(systems.splice(0).map((system) => system.stop())));

    it('can be read up to what was published', async () => {
      const system = await started();
      for (let n = 0; n < 20; n++)
        await system.publish(n % 2, message(n % 2, n), { user: n % 2, isOnline: n % 5 > 0 });
      await system.projections.flush();
      await system.expectAll();
      const { reader } = system.projections;
      const newest = await reader.find(digestsModel, 'all', { terms: ['all'], reverse: true, limit: 1 });
      expect(newest.map(({ offset }) => offset)).to.deep.equal([18]);
      expect(await reader.range(linesModel, { after: 'line 1/4', limit: 9 })).to.have.length(2);
      const found = await reader.findPrefix(linesModel, 'id', 'message 1', 3);
      expect(found.map(({ term }) => term)).to.deep.equal(['message 1', 'message 10', 'message 11']);
    });

    it('find what they were not told of', async () => {
      const system = await started();
      await system.publish(0, message(0, 1));
      await system.append(0, message(0, 2));
      await system.publish(0, message(0, 3));
      await system.append(1, message(1, 4));
      await system.expectAll();
    });

    it('go on at their checkpoints after a restart', async () => {
      const system = await started();
      await system.publish(0, message(0, 1));
      const { size } = await system.publish(1, message(1, 2));
      await system.projections.flush();
      await system.projections.close();
      await system.start(notebook);
      expect(system.projections.progress.folded(1)).to.equal(size);
      await system.publish(0, message(0, 3));
      await system.expectAll();
    });

    it('are built anew while commits keep coming and are read: no gap, nothing goes back', async () => {
      const system = await started();
      const read = (partition: number, n: number): Note => ({ room: 8 + partition, read: n });
      for (let page = 0; page < 40; page++)
        await system.append(page % 2, ...Array.from({ length: 50 }, (_, n) => read(page % 2, n)));
      await system.expectAll();
      const { reader, progress } = system.projections;
      let isRebuilt = false;
      const rebuild = async () => {
        for (const model of ['digests', 'lines', 'digests', 'digests'])
          await system.projections.rebuild(model);
      };
      const rebuilt = rebuild().finally(() => {
        isRebuilt = true;
      });
      const counts = [1000, 1000];
      for (let n = 0; !isRebuilt; n++) {
        const { partition, size } = await system.publish(n % 2, message(n % 2, n), read(n % 2, n));
        await progress.waitFor({ partition, size });
        const key = `room ${8 + partition}`;
        const count = (await reader.get(digestsModel, [key])).get(key)?.value?.count;
        expect(count, 'all that was reached, and nothing of before is gone').to.equal(
          (counts[partition] ?? 0) + 1,
        );
        counts[partition] = count ?? 0;
      }
      await rebuilt;
      await system.publish(0, message(0, 5000));
      await system.expectAll();
    });

    it('keep to the new table after a restart', async () => {
      const system = await started();
      await system.publish(0, message(0, 1));
      await system.projections.rebuild('digests');
      await system.publish(0, message(0, 2));
      await system.projections.close();
      await system.start(notebook);
      await system.publish(0, message(0, 3));
      await system.expectAll();
    });

    it('refuse to rebuild what is not there', async () => {
      const system = await started();
      const refused = await system.projections.rebuild('nothing').catch((error: unknown) => error);
      expect(refused).to.have.property('code', 'not_found');
    });

    it('stop the process at an event of an unknown type', async () => {
      const system = await started();
      const { leaves } = new Pages().next([message(0, 1)]);
      const commit = new Pages().nextOf(
        leaves.map((leaf) => leaf.replace('MessageSent', 'MessageWhispered')),
      );
      await system.log.append(commit);
      await eventually('the alarm is raised', () => system.fatal.length > 0);
      expect(system.fatal).to.have.length(1);
      expect(system.fatal[0]).to.have.property('name', 'UnknownEventType');
    });

    it('have the models of the program by default, and open what their indexes need in the main thread', async () => {
      const system = await started(new URL('../../src/projections/allProjections.js', import.meta.url));
      const commit = new Pages().nextOf([
        encodeEvent({
          stream: 'user:u1',
          version: 1,
          type: 'UserRegistered',
          data: { userId: 'u1', username: 'sealed', backgroundColor: '#000000' },
          actor: 'system',
          recordedAt: new Date().toISOString(),
          commandId: 'c1',
        }),
      ]);
      await system.log.append(commit);
      system.projections.publish(commit);
      await system.projections.flush();
      const users: Model<{ readonly userId: string }> = { name: 'users', version: 1, indexes: {} };
      const found = await system.projections.reader.findPrefix(users, 'suffix', 'of-u', 9);
      expect(found.map(({ row }) => row.key)).to.deep.equal(['u1']);
    });
  });
