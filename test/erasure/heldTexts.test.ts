import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import pino from 'pino';
import { commitFrame } from '../../src/cluster/bus.js';
import { encodeEvent } from '../../src/domain/codec.js';
import { EVIDENCE_MS, reportName } from '../../src/domain/moderation/reports.js';
import { DeletedTexts } from '../../src/erasure/deletedTexts.js';
import { HeldTexts } from '../../src/erasure/heldTexts.js';
import { type OpenVault, openVault, type VaultOptions } from '../../src/vault/openVault.js';
import { RoomKeys, roomKeysId } from '../../src/vault/textKeys.js';
import type { HoldTable } from '../../src/vault/vaultStore.js';
import { eventually } from '../support/eventually.js';
import { runs } from '../support/lanes.js';
import { MemoryLog } from '../support/memoryLog.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';

const START = '2026-01-01T00:00:00.000Z';

const engines: Record<string, () => Promise<VaultOptions['engine'] | undefined>> = {
  sqlite: async () => ({ kind: 'sqlite', dataDir: tempDir() }),
  mongodb: async () => {
    if ((await mongoUrl()) === undefined) return undefined;
    return { kind: 'mongodb', url: await freshDatabase() };
  },
};

for (const [name, engineOf] of Object.entries(engines))
  describe(`texts under a report, ${name}`, function () {
    this.timeout(120_000);
    let vault: OpenVault;
    let ann: string;
    let [roomId, reporter]: string[] = [];
    let log: MemoryLog;
    let now = Date.parse(START);
    const running: DeletedTexts[] = [];

    before(async function () {
      const engine = await engineOf();
      if (!engine) return this.skip();
      vault = await openVault({ engine, masterKey: randomBytes(32) });
    });
    after(() => vault?.close());
    beforeEach(async () => {
      [ann, roomId, reporter] = [randomUUID(), randomUUID(), randomUUID()];
      await vault.keys.create(ann);
      log = new MemoryLog();
      now = Date.parse(START);
      // Each test has a log of its own, which a new generation follows from its beginning.
      await vault.keys.beginGeneration();
    });
    afterEach(async () => {
      for (const one of running.splice(0)) await one.stop();
    });

    const common = (stream: `room:${string}` | `user:${string}`, actor: string) => ({
      ...{ stream, actor, version: 1, recordedAt: START, commandId: 'c' },
    });
    const append = (...leaves: string[]): { partition: number; size: number } => {
      const commit = log.rival(leaves);
      for (const one of running) one.receive(commitFrame(commit));
      return { partition: commit.partition, size: commit.size };
    };
    const deletion = (seq: number): string => {
      const data = { roomId: roomId ?? '', messageId: `m${seq}`, seq, senderId: ann, by: ann };
      return encodeEvent({ ...common(`room:${roomId}`, ann), type: 'MessageDeleted', data });
    };
    const report = (reportId: string, ...seqs: number[]): string => {
      const evidence = seqs.map((seq) => ({ seq, senderId: ann }));
      const data = { reportId, roomId: roomId ?? '', seqs, evidence, category: 'spam' as const };
      return encodeEvent({ ...common(`user:${reporter}`, reporter ?? ''), type: 'MessageReported', data });
    };
    const decision = (reportId: string): string => {
      const data = { reportId, by: 'system', decision: {}, note: null };
      return encodeEvent({ ...common(`user:${reporter}`, 'system'), type: 'ReportDecided', data });
    };

    function node(change: Partial<HoldTable> = {}, owned = [0]): DeletedTexts {
      const { keys } = vault;
      const holds = new Proxy(vault.holds, {
        get: (table, method: keyof HoldTable) => change[method] ?? table[method],
      });
      const made = new DeletedTexts({
        log,
        keys,
        texts: new HeldTexts({ keys, holds, partitions: 1, forgetRoom: () => {}, now: () => now }),
        owned: () => owned,
        logger: pino({ level: 'silent' }),
      });
      running.push(made);
      made.start({ endSessions: async () => {}, finishDecision: async () => {} });
      return made;
    }

    const room = () => ({ owner: ann, roomId: roomId ?? '' });
    const keyed = (keys: RoomKeys | 'destroyed' | undefined, seqs: readonly number[]): number[] =>
      keys instanceof RoomKeys ? seqs.filter((seq) => keys.keyOf(keys.generation, seq, 0) !== undefined) : [];
    /** Which of these messages have a key, for moderators. */
    const kept = async (...seqs: number[]): Promise<number[]> =>
      keyed(await vault.keys.fetchHeldKeys(room()), seqs);
    /** Which have a key for all others. */
    const shown = async (...seqs: number[]): Promise<number[]> =>
      keyed((await vault.keys.getRoomKeys([room()])).get(roomKeysId(room())), seqs);

    it('survive a deletion until the decision, and those beside them do not', async () => {
      const owner = node();
      await owner.waitFor(append(report('r', 1, 2)));
      expect(await shown(1, 2, 3)).to.deep.equal([1, 2, 3]);
      await owner.waitFor(append(deletion(1), deletion(3)));
      expect(await kept(1, 2, 3)).to.deep.equal([1, 2]);
      expect(await shown(1, 2, 3), 'nobody else has its key').to.deep.equal([2]);
      await owner.waitFor(append(decision('r')));
      expect(await kept(1, 2, 3)).to.deep.equal([2]);
      expect(await vault.holds.findHoldsIn(roomId ?? '', [1, 2, 3])).to.deep.equal([]);
      await owner.waitFor(append(deletion(2)));
      expect(await kept(1, 2, 3)).to.deep.equal([]);
    });

    it('are destroyed 30 days after the report, by whichever node then owns the partition', async () => {
      const first = node();
      await first.waitFor(append(report('r', 1, 2)));
      await first.waitFor(append(deletion(1)));
      await first.stop();
      now += EVIDENCE_MS - 1;
      const second = node();
      await second.waitFor(append(deletion(3)));
      expect(await kept(1, 2, 3)).to.deep.equal([1, 2]);
      now += 1;
      await eventually('the key is destroyed', async () => (await kept(1, 2)).length === 1);
      await eventually(
        'nothing is noted any more',
        async () => (await vault.holds.findHoldsOf(reportName(reporter ?? '', 'r'))).length === 0,
      );
      expect(await kept(1, 2)).to.deep.equal([2]);
      // The report is open still, but keeps nothing more.
      await second.waitFor(append(deletion(2)));
      expect(await kept(2)).to.deep.equal([]);
    });

    it('are destroyed when the last of their reports is decided', async () => {
      const owner = node();
      await owner.waitFor(append(report('r', 1), report('s', 1)));
      await owner.waitFor(append(deletion(1)));
      await owner.waitFor(append(decision('r')));
      expect(await kept(1)).to.deep.equal([1]);
      await owner.waitFor(append(decision('s')));
      expect(await kept(1)).to.deep.equal([]);
    });

    it('are destroyed with their writer, whatever is reported', async () => {
      const owner = node();
      await owner.waitFor(append(report('r', 1)));
      await owner.waitFor(append(deletion(1)));
      await vault.keys.destroy(ann);
      expect(await kept(1)).to.deep.equal([]);
      await owner.waitFor(append(decision('r')));
      expect(await vault.holds.findHoldsIn(roomId ?? '', [1])).to.deep.equal([]);
    });

    it('are dealt with by whoever comes next, when a node was cut off at any step', async () => {
      const steps = ['insertHolds', 'markHeld', 'endHolds', 'findHoldsOf', 'removeEndedHolds'] as const;
      for (const step of steps)
        for (const when of ['before', 'after'] as const) {
          [roomId] = [randomUUID()];
          const reportId = randomUUID();
          let isCutOff = false;
          const cutOff = async (...asked: unknown[]): Promise<never> => {
            const call = vault.holds[step] as (...given: unknown[]) => Promise<unknown>; // Of this table.
            if (when === 'after') await call(...asked);
            isCutOff = true;
            throw new Error('cut off');
          };
          // The report is kept, because it is answered only then.
          if (step !== 'insertHolds') await node().waitFor(append(report(reportId, 1)));
          for (const one of running.splice(0)) await one.stop();
          const killed = node({ [step]: cutOff });
          if (step === 'insertHolds') append(report(reportId, 1));
          else if (step === 'markHeld') append(deletion(1));
          else {
            append(deletion(1));
            append(decision(reportId));
          }
          await eventually(`it is cut off ${when} ${step}`, () => isCutOff);
          await killed.stop();
          const next = node();
          if (step === 'insertHolds' || step === 'markHeld') {
            await next.waitFor(append(deletion(1)));
            expect(await kept(1, 2), `${when} ${step}`).to.deep.equal([1, 2]);
            await next.waitFor(append(decision(reportId)));
          } else await next.waitFor(append(deletion(3)));
          expect(await kept(1, 2), `${when} ${step}`).to.deep.equal([2]);
          await next.stop();
        }
    });

    it('are kept by a report of another partition, though the vault is a backup of before both', async () => {
      for (const isDecided of [false, true]) {
        [roomId] = [randomUUID()];
        await vault.keys.beginGeneration();
        log = new MemoryLog(2);
        const reportId = randomUUID();
        log.rival([report(reportId, 1)], 1);
        log.rival([deletion(1), deletion(2)]);
        if (isDecided) log.rival([decision(reportId)], 1);
        // The report's partition has no owner yet.
        const first = node();
        await first.waitFor({ partition: 0, size: 2 });
        expect(await kept(1, 2)).to.deep.equal(isDecided ? [] : [1]);
        expect(await shown(1, 2)).to.deep.equal([]);
        const second = node({}, [1]);
        const { size } = isDecided ? { size: 2 } : log.rival([decision(reportId)], 1);
        await second.waitFor({ partition: 1, size });
        expect(await kept(1, 2)).to.deep.equal([]);
        expect(await vault.holds.findHoldsIn(roomId ?? '', [1, 2])).to.deep.equal([]);
        for (const one of running.splice(0)) await one.stop();
      }
    });

    it('are kept and destroyed exactly, in any order of reports, deletions, decisions and days', async () => {
      const act = fc.record({
        does: fc.constantFrom('report', 'delete', 'decide', 'wait'),
        id: fc.constantFrom('r', 's', 't'),
        seq: fc.constantFrom(1, 2),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(act, { maxLength: 14 }), async (acts) => {
          [roomId, reporter] = [randomUUID(), randomUUID()];
          const [owner] = running.length > 0 ? running : [node()];
          if (!owner) throw new Error('a node was made');
          const open = new Map<string, number>();
          const [done, deleted, gone] = [new Set<string>(), new Set<number>(), new Set<number>()];
          for (const { does, id, seq } of acts) {
            const reportId = `${id}-${roomId}`;
            if (does === 'report' && !open.has(id) && !done.has(id)) {
              // What is deleted already is no evidence: its handler leaves it out.
              await owner.waitFor(append(report(reportId, ...(deleted.has(seq) ? [] : [seq]))));
              if (!deleted.has(seq)) open.set(id, seq);
              done.add(id);
            } else if (does === 'delete' && !deleted.has(seq)) {
              await owner.waitFor(append(deletion(seq)));
              deleted.add(seq);
            } else if (does === 'decide' && open.has(id)) {
              await owner.waitFor(append(decision(reportId)));
              open.delete(id);
            }
            const isKept = (one: number) => [...open.values()].includes(one);
            for (const one of deleted) if (!isKept(one)) gone.add(one);
            expect(await kept(1, 2)).to.deep.equal([1, 2].filter((one) => !gone.has(one)));
            expect(await shown(1, 2)).to.deep.equal([1, 2].filter((one) => !deleted.has(one)));
          }
        }),
        { numRuns: runs(name === 'sqlite' ? 25 : 5) },
      );
    });

    it('are known by all nodes: the one that keeps them need not own the partition of the reports', async () => {
      const owner = node();
      const other = node({}, []);
      await Promise.all([owner, other].map((one) => one.waitFor(append(report('r', 1)))));
      await other.waitFor(append(deletion(1), deletion(2)));
      expect(await kept(1, 2)).to.deep.equal([1]);
      await other.waitFor(append(decision('r')));
      expect(await kept(1)).to.deep.equal([]);
    });
  });
