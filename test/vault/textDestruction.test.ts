import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { WriterInRoom } from '../../src/domain/ids.js';
import { createKeyStore } from '../../src/vault/keyStore.js';
import { openMongoVaultStore } from '../../src/vault/mongoVault.js';
import { openSqliteVaultStore } from '../../src/vault/openVault.js';
import { openText, type RoomKeys, roomKeysId, sealText } from '../../src/vault/textKeys.js';
import type { VaultStore } from '../../src/vault/vaultStore.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';

type Keys = ReturnType<typeof createKeyStore>;

const CONTEXT = 'the context';
const WRITES: readonly string[] = [
  'replaceRoom',
  'replaceRoots',
  'removeReplaced',
  'destroyKey',
  'insertKey',
];

/** Calls `before` with the number of each write, and `after` once it is done. */
function watched(
  store: VaultStore,
  before: (call: number) => Promise<void>,
  after: (call: number) => Promise<void> = async () => {},
): VaultStore {
  let calls = 0;
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function' || !WRITES.includes(String(name))) return member;
      return async (...args: unknown[]) => {
        const call = calls++;
        await before(call);
        const result: unknown = await Reflect.apply(member, target, args);
        await after(call);
        return result;
      };
    },
  });
}

/** Texts of one writer in one room, sealed in the generation of `keys`. */
class Texts {
  private constructor(
    readonly room: WriterInRoom,
    private readonly sealed: ReadonlyMap<number, string>,
  ) {}

  static async seal(keys: Keys, room: WriterInRoom, seqs: readonly number[]): Promise<Texts> {
    const own = await roomKeys(keys, room);
    return new Texts(
      room,
      new Map(seqs.map((seq) => [seq, sealText(own, { seq, rev: 0 }, `text ${seq}`, CONTEXT)])),
    );
  }

  /** The texts that are gone. Throws if another is not what was sealed. */
  async gone(keys: Keys): Promise<number[]> {
    const own = await roomKeys(keys, this.room);
    return [...this.sealed].flatMap(([seq, sealed]) => {
      const text = openText(own, { seq, rev: 0 }, sealed, CONTEXT);
      if (text !== null) expect(text).to.equal(`text ${seq}`);
      return text === null ? [seq] : [];
    });
  }
}

async function roomKeys(keys: Keys, room: WriterInRoom) {
  const found = (await keys.fetchRoomKeys([room])).get(roomKeysId(room));
  if (found === undefined || found === 'destroyed') throw new Error('the writer is erased');
  return found;
}

const engines: Readonly<Record<string, () => Promise<VaultStore>>> = {
  SQLite: async () => openSqliteVaultStore(tempDir()),
  MongoDB: async () => openMongoVaultStore(await freshDatabase()),
};
const SEQS = Array.from({ length: 40 }, (_, i) => i + 1);

for (const [engine, open] of Object.entries(engines)) {
  describe(`Destroying texts on ${engine}`, () => {
    const wrapping = randomBytes(32);
    let store: VaultStore;
    let opened: Keys[];
    before(async function () {
      if (engine === 'MongoDB' && (await mongoUrl()) === undefined) this.skip();
    });
    beforeEach(async () => {
      store = await open();
      opened = [];
    });
    afterEach(async () => {
      for (const keys of opened) keys.close();
      await store.close();
    });

    function node(over = store): Keys {
      const keys = createKeyStore(over, wrapping);
      opened.push(keys);
      return keys;
    }

    /** Texts of one writer in two rooms. */
    async function twoRooms(): Promise<[Texts, Texts]> {
      const [keys, owner] = [node(), randomUUID()];
      await keys.create(owner);
      const seal = () => Texts.seal(keys, { owner, roomId: randomUUID() }, SEQS);
      return [await seal(), await seal()];
    }

    for (const moment of ['before', 'after'] as const)
      it(`is finished when it is repeated after a crash ${moment} any of its writes`, async () => {
        let crashes = 0;
        for (let at = 0, isDone = false; !isDone; at++) {
          const [here, there] = await twoRooms();
          // The second destruction finds the rows that the first has made.
          for (const seqs of [[3, 17], [18]]) {
            const crash = async (call: number) => {
              if (call === at) throw new Error('it crashes here on purpose');
            };
            const none = async () => {};
            const crashing = node(moment === 'before' ? watched(store, crash) : watched(store, none, crash));
            isDone = await crashing.destroyTexts(here.room, seqs).then(
              () => true,
              () => false,
            );
            if (!isDone) crashes++;
            // Between the two steps every text either opens or is one of these.
            for (const seq of await here.gone(node())) expect([3, 17, 18]).to.include(seq);
            expect(await there.gone(node())).to.deep.equal([]);
            await node().destroyTexts(here.room, seqs);
            expect(await here.gone(node())).to.include.members(seqs);
            expect(await there.gone(node())).to.deep.equal([]);
          }
          expect(await here.gone(node())).to.deep.equal([3, 17, 18]);
        }
        // Two writes of the first destruction and one of the second can fail.
        expect(crashes).to.be.at.least(3);
      });

    /** Whether the person's row has the branch of this room. */
    const hasBranch = (texts: Texts): Promise<boolean> =>
      texts.gone(node({ ...store, findRooms: async () => [] } as VaultStore)).then(
        () => true,
        (error: Error) => {
          expect(error).to.have.property('name', 'VaultUnavailable');
          return false;
        },
      );

    it('leaves nothing in the person’s row that opens a text of the room', async () => {
      const [here, there] = await twoRooms();
      await node().destroyTexts(here.room, [3]);
      expect([await hasBranch(here), await hasBranch(there)]).to.deep.equal([false, true]);
    });

    it('opens none of them once the room has a row, although the person’s row still has the branch', async () => {
      const [here] = await twoRooms();
      const stopped = { ...store, replaceRoots: () => Promise.reject(new Error('it stops here on purpose')) };
      await rejection(node(stopped as VaultStore).destroyTexts(here.room, [3]));
      expect(await store.findRooms([here.room])).to.have.length(1);
      expect(await here.gone(node())).to.deep.equal([3]);
    });

    it('loses none of what two nodes destroy at once', async () => {
      const [here, there] = await twoRooms();
      const nodes = [node(), node(), node()];
      const calls = SEQS.slice(0, 24).flatMap((seq) =>
        [here, there].map((texts) => nodes[seq % 3]?.destroyTexts(texts.room, [seq])),
      );
      await Promise.all(calls);
      for (const texts of [here, there])
        for (const each of [...nodes, node()])
          expect(await texts.gone(each)).to.deep.equal(SEQS.slice(0, 24));
    });

    it('loses none if another node writes in the same room before each of its writes', async () => {
      const [here, there] = await twoRooms();
      const other = node();
      let calls = 0;
      const mine = node(
        watched(store, async (call) => {
          calls++;
          if (call < 6) await other.destroyTexts(here.room, [10 + call]);
        }),
      );
      await mine.destroyTexts(here.room, [1, 2]);
      const others = Array.from({ length: Math.min(calls, 6) }, (_, i) => 10 + i);
      expect(await here.gone(node())).to.deep.equal([1, 2, ...others]);
      expect(await there.gone(node())).to.deep.equal([]);
      expect([await hasBranch(here), await hasBranch(there)]).to.deep.equal([false, true]);
    });

    for (const late of [0, 1])
      it(`loses none if another node writes in another room before its write ${late + 1}`, async () => {
        const [here, there] = await twoRooms();
        const other = node();
        const mine = node(
          watched(store, async (call) => {
            if (call === late) await other.destroyTexts(there.room, [9]);
          }),
        );
        await mine.destroyTexts(here.room, [1]);
        expect([await here.gone(node()), await there.gone(node())]).to.deep.equal([[1], [9]]);
        expect([await hasBranch(here), await hasBranch(there)]).to.deep.equal([false, false]);
      });

    it('destroys in each generation, and a new one uses the same place again', async () => {
      const [here] = await twoRooms();
      await node().destroyTexts(here.room, [5]);
      // As after a restore: the log has lost the deletion and what came behind, and counts from there again.
      expect(await node().beginGeneration()).to.equal(1);
      const again = await Texts.seal(node(), here.room, SEQS);
      expect(await here.gone(node())).to.deep.equal([5]);
      expect(await again.gone(node())).to.deep.equal([]);
      await node().destroyTexts(here.room, [6]);
      for (const texts of [here, again]) expect(await texts.gone(node())).to.include(6);
      expect(await again.gone(node())).to.deep.equal([6]);
      expect(await here.gone(node())).to.deep.equal([5, 6]);
    });

    it('counts generations up by one, however many begin one at once', async () => {
      const begun = await Promise.all([node(), node(), node()].map((keys) => keys.beginGeneration()));
      expect(begun.toSorted()).to.deep.equal([1, 2, 3]);
    });

    it('leaves no row of a room of an erased person, even if it comes during the erasure', async () => {
      const [here, there] = await twoRooms();
      const { owner } = here.room;
      const other = node();
      await other.destroyTexts(there.room, [1]);
      const mine = node(
        watched(store, async (call) => {
          if (call === 0) await other.destroy(owner);
        }),
      );
      await mine.destroyTexts(here.room, [1]);
      expect(await store.findRooms([here.room, there.room])).to.deep.equal([]);
      for (const keys of [mine, other, node()])
        expect([...(await keys.getRoomKeys([here.room, there.room])).values()]).to.deep.equal([
          'destroyed',
          'destroyed',
        ]);
    });
  });
}

describe('Keys of texts in the cache', () => {
  const wrapping = randomBytes(32);
  let store: VaultStore;
  let room: WriterInRoom;
  let opened: Keys[];
  let keys: Keys;
  beforeEach(async () => {
    store = openSqliteVaultStore(tempDir());
    room = { owner: randomUUID(), roomId: randomUUID() };
    opened = [];
    keys = over(store);
    await keys.create(room.owner);
  });
  afterEach(async () => {
    for (const each of opened) each.close();
    await store.close();
  });

  function over(rows: VaultStore): Keys {
    const made = createKeyStore(rows, wrapping);
    opened.push(made);
    return made;
  }

  /** Holds the answer of the first read of rooms until it is released. */
  function slowFirstRead(): { slow: Keys; hasRead: Promise<void>; release: () => void } {
    let [release, tell] = [() => {}, () => {}];
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hasRead = new Promise<void>((resolve) => {
      tell = resolve;
    });
    let reads = 0;
    const slow = over({
      ...store,
      async findRooms(rooms) {
        const rows = await store.findRooms(rooms);
        if (reads++ > 0) return rows;
        tell();
        await wait;
        return rows;
      },
    });
    return { slow, hasRead, release };
  }

  function expectGone(found: RoomKeys | 'destroyed' | undefined, seq: number): void {
    if (found === undefined || found === 'destroyed') throw new Error('the keys were read');
    expect(found.keyOf(0, seq, 0)).to.equal(undefined);
    expect(found.keyOf(0, seq + 1, 0)).to.be.instanceOf(Buffer);
  }

  it('are not brought back by a read that began before a text was destroyed', async () => {
    const { slow, hasRead, release } = slowFirstRead();
    const reading = slow.getRoomKeys([room]);
    await hasRead;
    await slow.destroyTexts(room, [3]);
    release();
    expectGone((await reading).get(roomKeysId(room)), 3);
    expectGone(slow.getCachedRoomKeys(room), 3);
  });

  it('are not replaced by an older read, if another node destroyed the text', async () => {
    const { slow, hasRead, release } = slowFirstRead();
    const reading = slow.fetchRoomKeys([room]);
    await hasRead;
    await keys.destroyTexts(room, [3]);
    expectGone((await slow.fetchRoomKeys([room])).get(roomKeysId(room)), 3);
    release();
    await reading;
    expectGone(slow.getCachedRoomKeys(room), 3);
  });

  it('are dropped when a text is destroyed, when the writer is erased, and after an error', async () => {
    await keys.getRoomKeys([room]);
    expect(keys.getCachedRoomKeys(room)).not.to.equal(undefined);
    await keys.destroyTexts(room, [3]);
    expect(keys.getCachedRoomKeys(room)).to.equal(undefined);
    const unknown = over({
      ...store,
      async replaceRoom(row) {
        await store.replaceRoom(row);
        throw new Error('no answer, on purpose');
      },
    });
    await unknown.getRoomKeys([room]);
    await rejection(unknown.destroyTexts(room, [4]));
    expect(unknown.getCachedRoomKeys(room)).to.equal(undefined);
    await keys.getRoomKeys([room]);
    await keys.destroy(room.owner);
    expect(keys.getCachedRoomKeys(room)).to.equal('destroyed');
  });
});
