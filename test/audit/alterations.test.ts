import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Report } from '../../src/audit/verify/report.js';
import { verifyLog } from '../../src/audit/verify/verify.js';
import { roomIdOf, streamOf, type UserId } from '../../src/domain/ids.js';
import { partitionOf } from '../../src/log/log.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { presenceProjection } from '../../src/projections/models/userRows.js';
import { Projector } from '../../src/projections/projector.js';
import { type Engine, openEngine } from '../../src/projections/store/engine.js';
import { changeGeneration, generationOf } from '../../src/projections/store/rowStore.js';
import { openVault } from '../../src/vault/openVault.js';
import { allEngines, hasEngine } from '../support/engines.js';
import { isSoak } from '../support/lanes.js';
import { freshDatabase } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';
import { type Alteration, alterations } from './alterations.js';
import { type SmallLog, type SmallLogOptions, smallLog } from './smallLog.js';
import { copyStore, type StoredCopy, withMongo } from './storedCopy.js';

const freshEngine = async (kind: Engine['kind']): Promise<Engine> =>
  kind === 'sqlite' ? { kind, dataDir: tempDir() } : { kind, url: await freshDatabase() };

const verify = ({ engine, masterKey }: SmallLog): Promise<Report> =>
  verifyLog({ engine, masterKey, heads: [], since: [], keys: [] });

/** Ids whose room of Ann and Bob is in partition 0, and one of whose users is in partition 1. */
function idsInBoth(): [UserId, UserId, UserId] {
  for (;;) {
    const ids: [UserId, UserId, UserId] = [randomUUID(), randomUUID(), randomUUID()];
    const isOne = partitionOf(streamOf('user', ids[0]), 2) === 1;
    if (isOne && partitionOf(streamOf('room', roomIdOf(ids[0], ids[1])), 2) === 0) return ids;
  }
}

/** Puts the presence into a table of generation 1, as a rebuild leaves it. */
async function rebuildPresence(engine: Engine): Promise<void> {
  const { store, log, partitions, close } = await openEngine(engine);
  const model = generationOf(presenceProjection.model, 1);
  const projector = await Projector.open(store, [{ ...presenceProjection, model }], partitions);
  for (let partition = 0; partition < partitions; partition++)
    for (;;) {
      const commits = await log.read(partition, projector.position(partition), 100);
      if (commits.length === 0) break;
      await projector.fold(commits.map(decodeCommit));
      await projector.write();
    }
  const before = { active: 0, other: null, changes: 2 };
  await store.prepare({ name: 'generations', version: 1, indexes: {} });
  await changeGeneration(store, presenceProjection.model, before, { active: 1 });
  await store.drop(presenceProjection.model);
  await close();
}

async function alter({ sqlite, mongodb, vault }: Alteration, world: SmallLog): Promise<void> {
  const { engine, masterKey, ann, bob, cid, annAndBob } = world;
  if (vault) {
    const opened = await openVault({ engine, masterKey });
    await vault(opened, world);
    await opened.close();
  } else if (engine.kind === 'mongodb')
    await withMongo(engine.url, (client) => {
      const db = client.db();
      return mongodb?.({ db, vault: client.db(`${db.databaseName}_vault`) }, world) ?? Promise.resolve();
    });
  else if (sqlite) {
    const [file, sql] = sqlite;
    const ids: Record<string, string> = { ':ann': ann, ':bob': bob, ':cid': cid, ':room': annAndBob };
    const db = new DatabaseSync(join(engine.dataDir, file), { enableDoubleQuotedStringLiterals: false });
    db.enableDefensive?.(false);
    db.exec(sql.replaceAll(/:(ann|bob|cid|room)/g, (name) => ids[name] ?? name));
    db.close();
  }
}

/** Of how many alterations the short form tries one: in a group of up to 30, and in a larger one. */
const ONE_IN = { sqlite: { small: 3, large: 12 }, mongodb: { small: 10, large: 40 } } as const;

for (const kind of allEngines)
  describe(`every alteration on ${kind} is noticed by verify`, () => {
    let world: SmallLog;
    let copy: StoredCopy;
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      const options = { partitions: 2, hasDestroyed: true, hasGroups: true, ids: idsInBoth() };
      world = await smallLog(await freshEngine(kind), options);
      await rebuildPresence(world.engine);
      copy = await copyStore(world.engine);
      expect((await verify(world)).mismatch).to.equal(undefined);
    });

    for (const [group, all] of Object.entries(alterations))
      describe(group, () => {
        const some = all.filter((one) => one[kind] ?? one.vault);
        // Some of each group, because each takes half a second or more; the long form tries all.
        const step = isSoak ? 1 : some.length > 30 ? ONE_IN[kind].large : ONE_IN[kind].small;
        const tried = some.filter((_, i) => i % step === Math.floor(i / step) % step);
        for (const one of tried)
          it(one.what, async () => {
            await alter(one, world);
            const { mismatch } = await verify(world).finally(() => copy.restore());
            const unnoticed = one.unnoticed ?? (kind === 'mongodb' ? one.unnoticedOnMongodb : undefined);
            if (unnoticed !== undefined) expect(mismatch, unnoticed).to.equal(undefined);
            else expect(JSON.stringify(mismatch ?? 'nothing')).to.match(foundBy(one));
          });
      });

    after('all as it was', async () => {
      if (world) expect((await verify(world)).mismatch).to.equal(undefined);
    });

    // What a whole log says is judged by the same code on both engines; the long form has both.
    const onWholeLogs = isSoak || kind === 'sqlite' ? it : it.skip;
    onWholeLogs('and what a writer would not have written is noticed in a whole log', async () => {
      const forgeries: Record<string, { options: SmallLogOptions; found: RegExp }> = {
        'a hole in seq': {
          options: {
            forge: (event) =>
              event.type === 'MessageSent' && event.data.seq === 6
                ? { ...event, data: { ...event.data, seq: 7 } }
                : event,
          },
          found: /message 6 comes next/,
        },
        'a message id twice': {
          options: {
            forge: (event) =>
              event.type === 'MessageSent' && event.data.seq > 4
                ? { ...event, data: { ...event.data, messageId: '5f0c8a5e-6f0e-4c3b-8a54-6d0b3f1c2e71' } }
                : event,
          },
          found: /in common/,
        },
        'a hole in the versions of a stream': {
          options: { forge: (event) => (event.version === 5 ? { ...event, version: 6 } : event) },
          found: /version 5 comes next/,
        },
        'a leaf with another time than its commit': {
          options: { keepsTimes: true },
          found: /has the time/,
        },
        'a stream in another partition': {
          options: { partitions: 32, isInFirst: true },
          found: /belongs to partition [1-9]/,
        },
        'events that destroyed no key': {
          options: { hasDestroyed: 'in the log only' },
          found: /but the (user was erased|message was deleted)/,
        },
      };
      for (const [what, { options, found }] of Object.entries(forgeries)) {
        const forged = await smallLog(await freshEngine(kind), options);
        expect(JSON.stringify((await verify(forged)).mismatch ?? 'nothing'), what).to.match(found);
      }
    });
  });

const foundBy = ({ found = '' }: Alteration): RegExp =>
  new RegExp(found === '' ? '^\\{' : found.replace(/position (\d)/, '(position $1|"position":$1)'));
