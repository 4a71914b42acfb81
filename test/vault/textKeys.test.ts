import { hash, randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { WriterInRoom } from '../../src/domain/ids.js';
import { CipherError } from '../../src/vault/dataKeys.js';
import { createKeyStore } from '../../src/vault/keyStore.js';
import {
  cutOut,
  decodeTrees,
  encodeTrees,
  newRoot,
  openText,
  RoomKeys,
  roomKeysId,
  sealText,
  seqPath,
  TextDestroyed,
} from '../../src/vault/textKeys.js';
import type { DataKey } from '../../src/vault/vault.js';
import { runs } from '../support/lanes.js';
import { memoryVaultStore } from '../support/memoryVaultStore.js';
import { type Random, seeded, upTo, withSeed } from '../support/random.js';
import { rejection } from '../support/rejection.js';

const CONTEXT = 'the context';
const HISTORIES = 20;
const STEPS = 60;
/** All histories together check at least this many keys. */
const CHECKS = runs(100_000);

/** What the suite asks of keys of texts. Rooms are numbered. */
interface TextKeys {
  /** Reads the keys of a room: by generation, `seq` and `rev`. */
  read(room: number): Promise<Pick<RoomKeys, 'keyOf' | 'generation'>>;
  destroy(room: number, seqs: readonly number[]): Promise<void>;
  beginGeneration(): Promise<unknown>;
}

/** Key stores of two nodes over one store, which are asked in turn. */
async function storedKeys(random: Random): Promise<TextKeys> {
  const [store, wrapping] = [memoryVaultStore(), randomBytes(32)];
  const nodes = [createKeyStore(store, wrapping), createKeyStore(store, wrapping)];
  const node = () => nodes[upTo(2, random)] as (typeof nodes)[number]; // There are two.
  const owners = [randomUUID(), randomUUID(), randomUUID()];
  for (const owner of owners) await node().create(owner);
  const roomIds = [randomUUID(), randomUUID(), randomUUID()];
  // Each owner writes in each room.
  const rooms = owners.flatMap((owner) => roomIds.map((roomId) => ({ owner, roomId })));
  const roomOf = (room: number) => rooms[room % rooms.length] as WriterInRoom; // The remainder is an index.
  return {
    async read(room) {
      const found = await node().fetchRoomKeys([roomOf(room)]);
      const keys = found.get(roomKeysId(roomOf(room)));
      if (keys === undefined || keys === 'destroyed') throw new Error('nobody was erased');
      return keys;
    },
    destroy: (room, seqs) => node().destroyTexts(roomOf(room), seqs),
    beginGeneration: () => node().beginGeneration(),
  };
}

/** Small and neighbouring numbers, and some at which the number of digits grows. */
function seqOf(random: Random): number {
  const digits = 1 + upTo(4, random);
  return random() < 0.7 ? upTo(48, random) : 16 ** digits - 8 + upTo(16, random);
}

interface Place {
  readonly room: number;
  readonly generation: number;
  readonly seq: number;
  readonly rev: number;
}

/** Plays a random history of sealing, destroying and opening beside a naive model: a list of keys and of what is gone. */
async function play(keys: TextKeys, random: Random): Promise<number> {
  const made = new Map<string, { place: Place; key: DataKey }>();
  const gone = new Set<string>();
  const id = ({ room, generation, seq, rev }: Place) => `${room}/${generation}/${seq}/${rev}`;
  const goneId = ({ room, generation, seq }: Omit<Place, 'rev'>) => `${room}/${generation}/${seq}`;
  let generation = 0;
  let checks = 0;
  for (let step = 0; step < STEPS; step++) {
    const room = upTo(9, random);
    const reader = await keys.read(room);
    expect(reader.generation).to.equal(generation);
    for (let i = 0; i < 15; i++) {
      const place = { room, generation, seq: seqOf(random), rev: upTo(3, random) };
      const key = reader.keyOf(generation, place.seq, place.rev);
      expect(key === undefined, `${id(place)} is gone`).to.equal(gone.has(goneId(place)));
      if (key) made.set(id(place), { place, key });
    }
    if (random() < 0.6) {
      const seqs = Array.from({ length: 1 + upTo(4, random) }, () => seqOf(random));
      await keys.destroy(room, seqs);
      for (let g = 0; g <= generation; g++)
        for (const seq of seqs) gone.add(goneId({ room, generation: g, seq }));
    }
    if (random() < 0.04 && generation < 3) {
      await keys.beginGeneration();
      generation++;
    }
    const readers = new Map<number, Awaited<ReturnType<TextKeys['read']>>>();
    for (const { place, key } of made.values()) {
      const now = readers.get(place.room) ?? (await keys.read(place.room));
      readers.set(place.room, now);
      const found = now.keyOf(place.generation, place.seq, place.rev);
      const expected = gone.has(goneId(place)) ? undefined : key;
      checks++;
      if (!(found === expected || (found && expected && found.equals(expected))))
        throw new Error(`the key of ${id(place)} is ${found ? 'not the one it was' : 'missing'}`);
    }
  }
  expect(new Set([...made.values()].map(({ key }) => key.toString('hex')))).to.have.property(
    'size',
    made.size,
  );
  return checks;
}

/**
 * A careless tree: the path of a `seq` is its digits alone, so that `seq` 1 is the parent of 16 to 31. Where one of these
 * is cut out, the key of 1 is kept for its own text, and later taken for its children's parent.
 */
function carelessKeys(keepsParents: boolean): TextKeys {
  const trees = new Map<string, Map<string, string>>();
  let generation = 0;
  const treeOf = (room: number, g: number) => {
    const tree = trees.get(`${room}/${g}`) ?? new Map([['', newRoot()]]);
    trees.set(`${room}/${g}`, tree);
    return tree;
  };
  const childOf = (node: string, digit: string) => hash('sha256', `${node}${digit}`);
  const find = (tree: Map<string, string>, path: string) => {
    for (let length = path.length; length >= 0; length--) {
      const node = tree.get(path.slice(0, length));
      if (node !== undefined) return { at: path.slice(0, length), node };
    }
    return undefined;
  };
  const cut = (tree: Map<string, string>, path: string) => {
    const found = find(tree, path);
    if (!found) return;
    let { at, node } = found;
    tree.delete(at);
    for (const digit of path.slice(at.length)) {
      if (keepsParents) tree.set(at, node);
      for (const other of '0123456789abcdef')
        if (other !== digit) tree.set(`${at}${other}`, childOf(node, other));
      at += digit;
      node = childOf(node, digit);
    }
  };
  return {
    read: async (room) => ({
      generation,
      keyOf(g, seq, rev) {
        const path = seq.toString(16);
        const found = find(treeOf(room, g), path);
        if (!found) return undefined;
        const node = [...path.slice(found.at.length)].reduce(childOf, found.node);
        return hash('sha256', `${node} ${rev}`, 'buffer');
      },
    }),
    async destroy(room, seqs) {
      for (let g = 0; g <= generation; g++) for (const seq of seqs) cut(treeOf(room, g), seq.toString(16));
    },
    beginGeneration: async () => ++generation,
  };
}

describe('The keys of texts', () => {
  it('are gone exactly where they were destroyed, and else are what they were, after any history', async function () {
    this.timeout(0);
    await withSeed(async (random) => {
      let checks = 0;
      for (let history = 0; history < HISTORIES || checks < CHECKS; history++)
        checks += await play(await storedKeys(random), random);
    });
  });

  for (const [name, keepsParents] of [
    ['keeps a leaf that is taken for its parent', true],
    ['loses the leaves above a destroyed one', false],
  ] as const)
    it(`are not those of a careless tree that ${name}: the test above finds it`, async () => {
      const random = seeded(1);
      const found = async () => {
        for (let history = 0; history < HISTORIES; history++) await play(carelessKeys(keepsParents), random);
      };
      expect((await rejection(found())).message).to.match(
        /^the key of .* is (not the one it was|missing)|is gone/,
      );
    });

  it('are the same after they were stored, and lose nothing twice', async () => {
    await withSeed(async (random) => {
      let tree = newRoot() as ReturnType<typeof cutOut>;
      for (let i = 0; i < 50; i++) {
        const seq = seqOf(random);
        tree = cutOut(tree, seqPath(seq));
        expect(cutOut(tree, seqPath(seq))).to.equal(tree);
        const trees = new Map([[upTo(256, random), tree]]);
        expect(decodeTrees(encodeTrees(trees))).to.deep.equal(trees);
      }
    });
  });

  it('take 24 bytes for each of the two halves on the way to a destroyed text', () => {
    // 0x123 has 3 digits: 16 bits with the length.
    const tree = cutOut(newRoot(), seqPath(0x123));
    expect(encodeTrees(new Map([[0, tree]])).length).to.be.within(16 * 24, 16 * 24 + 20);
  });
});

describe('A text sealed with its own key', () => {
  const keys = RoomKeys.from(encodeTrees(new Map([[0, newRoot()]])));
  const place = { seq: 7, rev: 1 };

  it('opens with the keys of its room, in another thread too', () => {
    for (const text of ['', 'hello', 'æ 𝄞 – '.repeat(500)]) {
      const sealed = sealText(keys, place, text, CONTEXT);
      expect(openText(keys, place, sealed, CONTEXT)).to.equal(text);
      expect(openText(RoomKeys.from(structuredClone(keys.bytes)), place, sealed, CONTEXT)).to.equal(text);
      // The generation, the nonce and the tag.
      expect(Buffer.from(sealed, 'base64')).to.have.length(1 + 12 + Buffer.byteLength(text) + 16);
    }
  });

  it('is different each time that the same text is sealed', () => {
    const sealed = Array.from({ length: 100 }, () => sealText(keys, place, 'again', CONTEXT));
    expect(new Set(sealed)).to.have.property('size', 100);
  });

  it('does not open at another place, in another context, with other keys or altered', () => {
    const sealed = sealText(keys, place, 'hello', CONTEXT);
    const refuses = (open: () => unknown) => expect(open).to.throw(CipherError);
    refuses(() => openText(keys, { seq: 8, rev: 1 }, sealed, CONTEXT));
    refuses(() => openText(keys, { seq: 7, rev: 0 }, sealed, CONTEXT));
    refuses(() => openText(keys, place, sealed, 'another'));
    const others = RoomKeys.from(encodeTrees(new Map([[0, newRoot()]])));
    refuses(() => openText(others, place, sealed, CONTEXT));
    const bytes = Buffer.from(sealed, 'base64');
    for (let i = 0; i < bytes.length; i++) {
      const altered = Buffer.from(bytes);
      altered[i] = (altered[i] ?? 0) ^ 1;
      refuses(() => openText(keys, place, altered.toString('base64'), CONTEXT));
    }
    for (const short of ['', 'AA==']) refuses(() => openText(keys, place, short, CONTEXT));
  });

  it('reads as erased once its key is destroyed, in each revision, and nothing is sealed in its place', () => {
    const sealed = [0, 1].map((rev) => sealText(keys, { seq: 7, rev }, 'hello', CONTEXT));
    const rest = RoomKeys.from(
      encodeTrees(new Map([[0, cutOut(decodeTrees(keys.bytes).get(0) ?? null, seqPath(7))]])),
    );
    expect(sealed.map((text, rev) => openText(rest, { seq: 7, rev }, text, CONTEXT))).to.deep.equal([
      null,
      null,
    ]);
    expect(() => sealText(rest, { seq: 7, rev: 2 }, 'hello', CONTEXT)).to.throw(TextDestroyed);
    const next = sealText(rest, { seq: 8, rev: 0 }, 'next', CONTEXT);
    expect(openText(keys, { seq: 8, rev: 0 }, next, CONTEXT)).to.equal('next');
  });

  it('refuses what is no sequence number', () => {
    for (const seq of [-1, 0.5, Number.NaN, 2 ** 53])
      expect(() => sealText(keys, { seq, rev: 0 }, 'hello', CONTEXT)).to.throw(RangeError);
    const last = { seq: Number.MAX_SAFE_INTEGER, rev: 0 };
    expect(openText(keys, last, sealText(keys, last, 'hello', CONTEXT), CONTEXT)).to.equal('hello');
  });
});
