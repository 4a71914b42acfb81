import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Report, WorkProgress } from '../../src/audit/verify/report.js';
import { type VerifyOptions, verifyLog } from '../../src/audit/verify/verify.js';
import { foldedTables } from '../../src/projections/allProjections.js';
import type { Engine } from '../../src/projections/store/engine.js';
import { allEngines, hasEngine } from '../support/engines.js';
import { isSoak } from '../support/lanes.js';
import { freshDatabase } from '../support/mongo.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';
import { smallLog } from './smallLog.js';
import { copyStore, type StoredCopy } from './storedCopy.js';
import { tamper } from './tamper.js';

async function freshEngine(kind: Engine['kind']): Promise<Engine> {
  return kind === 'sqlite' ? { kind, dataDir: tempDir() } : { kind, url: await freshDatabase() };
}

const verify = (engine: Engine, more: Partial<VerifyOptions> = {}): Promise<Report> =>
  verifyLog({ engine, heads: [], since: [], keys: [], ...more });

for (const kind of allEngines)
  describe(`parley audit verify on ${kind}`, function () {
    this.timeout(120_000);
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
    });

    it('finds a whole log and its read models whole, and says how far', async () => {
      const { engine, events, masterKey } = await smallLog(await freshEngine(kind), { partitions: 3 });
      const { partitions, models, mismatch } = await verify(engine, { masterKey });
      expect(mismatch).to.equal(undefined);
      expect(partitions.reduce((sum, partition) => sum + partition.events, 0)).to.equal(events.length);
      expect(models).to.deep.include({ name: 'messages', rows: 12, missing: 0 });
      expect(models).to.deep.include({ name: 'users', rows: 3, missing: 0 });
    });

    describe('names the commit', () => {
      let engine: Engine;
      let end: number;
      let copy: StoredCopy;
      before(async () => {
        ({ engine } = await smallLog(await freshEngine(kind)));
        end = (await verify(engine)).partitions[0]?.commits ?? 0;
        copy = await copyStore(engine);
      });
      afterEach(() => copy?.restore());
      /** What is done to a log of one partition whose last commit is at `end`, and where it shows first. */
      const changes: Record<string, (engine: Engine, end: number) => Promise<number>> = {
        async 'whose event was changed'(engine) {
          await tamper(engine).edit(0, 5);
          return 5;
        },
        async 'that is missing'(engine) {
          await tamper(engine).drop(0, 5);
          return 5;
        },
        async 'that is missing at the end, which the read models hold'(engine, end) {
          await tamper(engine).drop(0, end);
          return end;
        },
        async 'that changed places with the next'(engine) {
          await tamper(engine).swap(0, 5, 6);
          return 5;
        },
        async 'that changed places with one far off'(engine) {
          await tamper(engine).swap(0, 3, 9);
          return 3;
        },
        async 'that is there twice'(engine, end) {
          await tamper(engine).repeat(0, 5, end);
          return end + 1;
        },
      };
      for (const [which, change] of Object.entries(changes))
        it(which, async () => {
          const position = await change(engine, end);
          expect((await verify(engine)).mismatch).to.include({ partition: 0, position });
        });
    });

    it('finds a row of any read model that was changed, moved, added or removed', async () => {
      const { engine } = await smallLog(await freshEngine(kind), { partitions: 2 });
      const hand = tamper(engine);
      /** What is done to a row by hand, and undone once it was found. */
      const wrongs: Record<string, (table: string, key: string, find: () => Promise<void>) => Promise<void>> =
        {
          async 'a change'(table, key, find) {
            let before = '';
            await hand.editRow(table, key, (value) => {
              before = value;
              return changed(value);
            });
            await find();
            await hand.editRow(table, key, () => before);
          },
          async 'a move'(table, key, find) {
            await hand.moveRow(table, key, 1000);
            await find();
            await hand.moveRow(table, key, -1000);
          },
          async 'an addition'(table, key, find) {
            const added = `${key.slice(0, -1)}!`;
            await hand.copyRow(table, key, added);
            await find();
            await hand.removeRow(table, added);
          },
          async 'a removal'(table, key, find) {
            await hand.copyRow(table, key, `${key}!`);
            await hand.removeRow(table, key);
            await find();
            await hand.copyRow(table, `${key}!`, key);
            await hand.removeRow(table, `${key}!`);
          },
        };
      const all = Object.entries(wrongs);
      for (const [at, table] of foldedTables.entries()) {
        const [key] = await hand.keys(table);
        // Of these the small log has no row.
        if (key === undefined) continue;
        const name = table.replace(/_v\d+$/, '');
        // One of the four for every second read model, for the others on the other engine; the long form tries all.
        const turn = kind === 'sqlite' ? at : at + 1;
        const tried = isSoak ? all : all.filter((_, i) => turn % 2 === 0 && i === (turn / 2) % all.length);
        for (const [what, mismatch] of tried)
          await mismatch(table, key, async () => {
            expect((await verify(engine)).mismatch?.what, `${what} in ${table}`).to.include(
              `the read model ${name}`,
            );
          });
      }
      expect((await verify(engine)).mismatch, 'all as it was').to.equal(undefined);
    }).timeout(300_000);

    it('judges rows that were stored after its begin at their own event', async () => {
      const { engine } = await smallLog(await freshEngine(kind));
      const hand = tamper(engine);
      const { partitions } = await verify(engine);
      const end = { position: partitions[0]?.commits ?? 0, size: partitions[0]?.events ?? 0 };
      // As if all but the first commits had been folded while the check runs.
      const beginEarly = async (): Promise<Report> => {
        await hand.setCheckpoints({ position: 2, size: 1 });
        return verify(engine, { onProgress: () => void hand.setCheckpoints(end) });
      };
      expect((await beginEarly()).mismatch).to.equal(undefined);
      const [key = ''] = await hand.keys(chats);
      await hand.editRow(chats, key, changed);
      expect((await beginEarly()).mismatch?.what).to.include('the read model chats');
    });

    // Threads divide the log in the same way on both engines; the long form has both.
    const inThreads = isSoak || kind === 'sqlite' ? it : it.skip;
    inThreads('finds the first wrong place, whichever thread comes to it', async () => {
      const { engine } = await smallLog(await freshEngine(kind), { messages: 300 });
      const inSections = () => verify(engine, { sectionEvents: 1 });
      const whole = await inSections();
      expect(whole, 'as in one go').to.deep.equal(await verify(engine));
      expect(whole.mismatch).to.equal(undefined);
      expect(whole.partitions[0]?.commits, 'several sections').to.be.greaterThan(192);
      const hand = tamper(engine);
      const first = async (): Promise<unknown> => (await inSections()).mismatch?.position;
      const [key = ''] = (await hand.keys(chats)).slice(-1);
      await hand.editRow(chats, key, changed);
      expect((await inSections()).mismatch?.what).to.include('the read model chats');
      await hand.edit(0, 190);
      expect(await first(), 'the log comes before the rows').to.equal(190);
      await hand.edit(0, 128);
      expect(await first(), 'with what the next section begins with').to.equal(128);
      await hand.edit(0, 65);
      expect(await first()).to.equal(65);
      await hand.drop(0, 64);
      expect(await first()).to.equal(64);
    });

    it('goes on where it was broken off, and begins anew once the log was restored', async () => {
      const { engine, events } = await smallLog(await freshEngine(kind), { partitions: 2, messages: 200 });
      const state = join(tempDir(), 'state');
      const file = join(state, 'state.json');
      const error = new Error('the power went');
      const done: number[] = [];
      const breakOff = async () => {
        const broken = verify(engine, {
          ...{ state, sectionEvents: 1 },
          onProgress(progress) {
            done.push(progress.done);
            if (progress.done > progress.total / 2) throw error;
          },
        });
        expect(await rejection(broken)).to.equal(error);
        const notes = JSON.parse(readFileSync(file, 'utf8'));
        const reached = notes.heads.reduce((sum: number, { size }: { size: number }) => sum + size, 0);
        expect(reached).to.be.within(1, events.length - 1);
        return { notes, reached };
      };
      const { notes, reached: before } = await breakOff();
      writeFileSync(file, JSON.stringify({ ...notes, history: randomUUID() }));
      done.length = 0;
      const { reached } = await breakOff();
      expect(done[0], 'it began anew').to.be.lessThan(before);

      done.length = 0;
      const onProgress = (progress: WorkProgress) => done.push(progress.done);
      const report = await verify(engine, { state, sectionEvents: 1, onProgress });
      expect(report.mismatch).to.equal(undefined);
      expect(report.models).to.deep.include({ name: 'messages', rows: 400, missing: 0 });
      expect(done[0]).to.be.at.least(reached);
      expect(report.partitions.reduce((sum, partition) => sum + partition.events, 0)).to.equal(events.length);
      expect(readdirSync(state), 'nothing is left to go on with').to.deep.equal([]);
    });

    it('changes nothing, and makes no log where there is none', async () => {
      const engine = await freshEngine(kind);
      await rejection(verify(engine));
      await rejection(verify(engine));
    });
  });

const chats = foldedTables.find((table) => table.startsWith('chats')) ?? '';

/** The first letter, digit or whole number of a value changed to another. */
function changed(value: string): string {
  const text = value.replace(/[0-9a-f]{8}-[0-9a-f]{4}/, randomUUID().slice(0, 13));
  return text === value
    ? value.replace(/true|[1-9]\d*|(?<="[^"]*)[A-Za-z](?=[^"]*"\]?\})/, (found) => {
        if (found === 'true') return 'false';
        return found === '7' ? '8' : '7';
      })
    : text;
}
