import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Document } from 'mongodb';
import { roomIdOf, streamOf } from '../../src/domain/ids.js';
import { changedStreams } from '../../src/projections/changedStreams.js';
import { chatPage } from '../../src/projections/chatPages.js';
import { groupMembersPage, openGroups, readersPage, seenGroup } from '../../src/projections/groupQueries.js';
import { pairsUnder, tiesOf } from '../../src/projections/models/contacts.js';
import { countGroups, membershipKey, membershipsOf } from '../../src/projections/models/membershipRows.js';
import { messageIdHash, messageIdKeys } from '../../src/projections/models/messageIdIndex.js';
import { messageKey } from '../../src/projections/models/messageKeys.js';
import { messageFacts, messagePage, openMessages } from '../../src/projections/models/messageRows.js';
import { onlineUsers, openedErased, type ViewSource } from '../../src/projections/models/userRows.js';
import { searchUsers } from '../../src/projections/models/userSearch.js';
import { type Engine, openEngine } from '../../src/projections/store/engine.js';
import { CipherError } from '../../src/vault/dataKeys.js';
import { openVault } from '../../src/vault/openVault.js';
import { createPlaintextCache, createTextOpener } from '../../src/vault/textOpener.js';
import { allEngines, hasEngine } from '../support/engines.js';
import { freshDatabase } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';
import { type SmallLog, smallLog } from './smallLog.js';
import { withMongo } from './storedCopy.js';

/** An index entry that its row does not make. */
interface Planted {
  readonly table: string;
  readonly index: string;
  readonly term: string;
  readonly key: string;
  /** By default behind all others; on MongoDB an entry has the place of its row. */
  readonly sort?: number;
}

async function plant(engine: Engine, { table, index, term, key, sort = 1e15 }: Planted): Promise<void> {
  if (engine.kind === 'mongodb') {
    const path = `ix.${index}`;
    await withMongo(engine.url, async (client) => {
      const rows = client.db().collection<{ _id: string }>(table);
      const row: Document | null = await rows.findOne({ _id: key });
      const terms: readonly string[] = row?.ix?.[index]?.t ?? [];
      const set = { [`${path}.t`]: [...terms, term], [`${path}.s`]: row?.ix?.[index]?.s ?? sort };
      await rows.updateOne({ _id: key }, { $set: set });
    });
    return;
  }
  const db = new DatabaseSync(join(engine.dataDir, 'read.db'));
  db.prepare(`INSERT INTO "${table}__${index}" VALUES (?, ?, ?)`).run(term, sort, key);
  db.close();
}

for (const kind of allEngines)
  describe(`an index entry that was planted on ${kind} shows nobody`, () => {
    let world: SmallLog;
    let source: ViewSource;
    let close: () => Promise<void>;
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      const engine: Engine =
        kind === 'sqlite' ? { kind, dataDir: tempDir() } : { kind, url: await freshDatabase() };
      world = await smallLog(engine, { hasDestroyed: true, hasGroups: true });
      const { store, close: closeEngine } = await openEngine(engine);
      const vault = await openVault({ engine, masterKey: world.masterKey });
      const memory = createPlaintextCache();
      source = { rows: store, open: createTextOpener(vault.keys, memory) };
      close = async () => {
        memory.close();
        await vault.close();
        await closeEngine();
      };
    });
    after(() => close?.());

    const room = () => streamOf('room', world.annAndBob);

    it("another's chat in a list of chats", async () => {
      const { engine, cid } = world;
      const viewer = { me: cid, rule: 'open' } as const;
      const before = await chatPage(source, viewer, { limit: 10 });
      await plant(engine, { table: 'chats_v1', index: 'activity', term: cid, key: room() });
      expect(before.chats).to.have.lengthOf(2);
      expect(await chatPage(source, viewer, { limit: 10 })).to.deep.equal(before);
    });

    it("another's friends and contacts", async () => {
      const { engine, ann, bob, cid } = world;
      const others = async (index: 'friends' | 'blocked') =>
        (await pairsUnder(source.rows, index, cid, { limit: 10 })).flatMap(({ other }) => other ?? []);
      await plant(engine, { table: 'chats_v1', index: 'friends', term: cid, key: room() });
      await plant(engine, { table: 'chats_v1', index: 'members', term: cid, key: room() });
      expect(await others('friends')).to.deep.equal([]);
      await plant(engine, { table: 'chats_v1', index: 'blocked', term: cid, key: room() });
      expect([...(await tiesOf(source.rows, cid)).keys()]).to.have.members([ann, bob]);
      expect(await others('blocked')).to.deep.equal([]);
    });

    it("another's stream in a replay, and the page behind it is not lost", async () => {
      const { engine, bob, cid, annAndCid, groups } = world;
      const own = [annAndCid, roomIdOf(bob, cid), groups[1]].map((roomId) => streamOf('room', roomId)).sort();
      const streams = [...own, streamOf('user', cid)].map((key) => ({ key }));
      await plant(engine, { table: 'chats_v1', index: 'changed', term: `${cid}/0`, key: room() });
      for (const limit of [1, 10])
        expect(await changedStreams(source.rows, cid, 0, -1, { limit })).to.deep.equal(
          streams.slice(0, limit),
        );
    });

    it("another's group among mine: in lists, counts, replays, and what a node keeps of its users", async () => {
      const { engine, ann, cid, groups } = world;
      const [foreign, own] = groups;
      const viewer = { me: cid, rule: 'open' } as const;
      const lists = async () => {
        const page = (limit: number, next?: string) =>
          chatPage(source, viewer, { limit, ...(next ? { next } : {}) });
        const paged: string[] = [];
        for (let next: string | undefined, pages = 0; pages === 0 || (next && pages < 10); pages++) {
          const found = await page(1, next);
          paged.push(...found.chats.map(({ roomId }) => roomId));
          next = found.next;
        }
        return {
          paged,
          all: (await page(10)).chats.map(({ roomId }) => roomId),
          kept: (await membershipsOf(source.rows, cid)).map(({ key }) => key),
          count: (await countGroups(source.rows, [cid])).get(cid),
          streams: await changedStreams(source.rows, cid, 0, -1, { limit: 10 }),
        };
      };
      const before = await lists();
      expect(before.kept).to.deep.equal([membershipKey(own, cid)]);
      expect(before.all).to.include(own).and.not.include(foreign);
      await plant(engine, {
        ...{ table: 'memberships_v1', index: 'user', term: cid, key: membershipKey(foreign, ann) },
      });
      expect(await lists()).to.deep.equal(before);
    });

    it("another group's members among those of mine, and hides none of mine behind them", async () => {
      const { engine, ann, bob, cid, groups } = world;
      const [roomId, other] = groups;
      const members = async (limit: number) => {
        const ids: string[] = [];
        for (let next: string | undefined, more = true; more; more = next !== undefined) {
          const page = await groupMembersPage(source, ann, { roomId, limit, ...(next ? { next } : {}) });
          ids.push(...page.members.map(({ user }) => user.userId));
          next = page.next;
        }
        return ids;
      };
      const readers = async () => {
        const page = { roomId, seq: 1, limit: 10 };
        return (await readersPage(source, { me: ann, rule: 'open' }, page)).readers;
      };
      const shown = async () => {
        const seen = await seenGroup(source.rows, roomId, ann);
        return seen && openGroups(source, { me: ann, rule: 'open' }, [seen]);
      };
      const before = { readers: await readers(), shown: await shown() };
      expect(await members(10)).to.deep.equal([ann, bob]);
      for (const [sort, userId] of [
        [0, cid],
        [1e15, bob],
      ] as const)
        await plant(engine, {
          ...{ table: 'memberships_v1', index: 'members', term: roomId, sort },
          key: membershipKey(other, userId),
        });
      for (const limit of [1, 2, 10])
        expect(await members(limit), `${limit} a page`).to.deep.equal([ann, bob]);
      expect({ readers: await readers(), shown: await shown() }).to.deep.equal(before);
    });

    it('a group as active at another time than its newest message', async () => {
      const { engine, bob, groups } = world;
      const viewer = { me: bob, rule: 'open' } as const;
      const rooms = async () => {
        const page = await chatPage(source, viewer, { limit: 10 });
        return page.chats.map(({ roomId, lastMessage }) => [roomId, lastMessage?.sentAt]);
      };
      const before = await rooms();
      const [first, second] = groups.map((roomId) => streamOf('room', roomId));
      await plant(engine, { table: 'groups_v1', index: 'activity', term: first ?? '', key: second ?? '' });
      expect(new Set(await rooms())).to.deep.equal(new Set(before));
    });

    it('a message under another id', async () => {
      const { engine, annAndBob: roomId } = world;
      const ref = { roomId, messageId: '5f0c8a5e-6f0e-4c3b-8a54-6d0b3f1c2e71' };
      const [key = ''] = messageIdKeys(messageIdHash(ref), 0, 1);
      if (engine.kind === 'sqlite') {
        const db = new DatabaseSync(join(engine.dataDir, 'read.db'));
        db.prepare('INSERT INTO messageIds_v1 VALUES (?, 0, 1, 1, NULL)').run(key);
        db.close();
      } else
        await withMongo(engine.url, (client) =>
          client
            .db()
            .collection<{ _id: string }>('messageIds_v1')
            .insertOne({ _id: key, ...{ p: 0, o: 1, v: 1, ix: {} } }),
        );
      expect(await messageFacts(source.rows, [{ ...ref, keys: [key], seqs: [] }])).to.deep.equal(new Map());
    });

    it('the text of a message of another room in a history', async () => {
      const { engine, annAndBob, annAndCid } = world;
      const [from, to] = [messageKey(annAndBob, 1), messageKey(annAndCid, 7)];
      if (engine.kind === 'sqlite') {
        const db = new DatabaseSync(join(engine.dataDir, 'read.db'));
        const columns = 'partition, offset, value, entries';
        db.exec(`INSERT INTO messages_v1 SELECT '${to}', ${columns} FROM messages_v1 WHERE key = '${from}'`);
        db.close();
      } else
        await withMongo(engine.url, async (client) => {
          const rows = client.db().collection<{ _id: string }>('messages_v1');
          await rows.insertOne({ ...(await rows.findOne({ _id: from })), _id: to });
        });
      const { messages } = await messagePage(source.rows, annAndCid, { limit: 10 });
      const planted = messages.find(({ seq }) => seq === 7);
      expect(planted?.roomId).to.equal(annAndCid);
      const error = await openMessages(source.open, planted ? [planted] : []).catch((e: unknown) => e);
      expect(error).to.be.instanceOf(CipherError);
    });

    it('a user under another name', async () => {
      const { engine, ann, cid } = world;
      await plant(engine, { table: 'users_v1', index: 'suffix', term: '\u0001king', key: cid });
      expect(await searchUsers(source, ann, 'king', 10)).to.deep.equal([]);
      expect(await searchUsers(source, ann, 'cid', 10)).to.have.lengthOf(1);
    });

    it('a user as erased or as online', async () => {
      const { engine, ann, bob } = world;
      await plant(engine, { table: 'users_v1', index: 'erased', term: 'erased', key: bob });
      const erased: string[] = [];
      for await (const names of openedErased(source)) erased.push(...names.keys());
      expect(erased).to.deep.equal([]);
      if (engine.kind === 'sqlite') {
        const db = new DatabaseSync(join(engine.dataDir, 'read.db'));
        db.exec(`UPDATE presence_v1 SET value = '{"isOnline":false,"lastSeen":null}' WHERE key = '${ann}'`);
        db.close();
      } else
        await withMongo(engine.url, (client) =>
          client
            .db()
            .collection<{ _id: string }>('presence_v1')
            .updateOne({ _id: ann }, { $set: { v: { isOnline: false, lastSeen: null } } }),
        );
      for (const limit of [1, 2, 10]) expect(await onlineUsers(source.rows, limit)).to.not.include(ann);
      expect(await onlineUsers(source.rows, 10)).to.include(bob);
    });
  });
