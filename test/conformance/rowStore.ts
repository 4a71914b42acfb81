import { expect } from 'chai';
import {
  type AnyModel,
  type Checkpoint,
  type Find,
  type FindPlaces,
  foldedBy,
  generationOf,
  type Model,
  type ModelWrite,
  type Row,
  type RowStore,
  tableOf,
  type WrittenRow,
} from '../../src/projections/store/rowStore.js';

interface Note {
  readonly text: string;
  readonly tags: readonly string[];
  readonly at: number;
}

const notes: Model<Note> = {
  name: 'notes',
  version: 1,
  indexes: {
    tag: ({ value }) => (value.tags.length > 0 ? { terms: value.tags, sort: value.at } : undefined),
    text: ({ value }) => ({ terms: suffixes(value.text), sort: 0 }),
  },
};

const lines: Model<Note> = { ...notes, name: 'lines' };

const suffixes = (text: string): string[] => Array.from(text, (_, i) => text.slice(i));

const note = (text: string, tags: readonly string[] = [], at = 0): Note => ({ text, tags, at });

const row = (key: string, offset: number, value: Note | null, partition = 0): Row<Note> => ({
  key,
  partition,
  offset,
  value,
});

const writeOf = (model: AnyModel, rows: readonly WrittenRow[]): ModelWrite => ({ model, rows });

/** Writes a checkpoint of these models in partition 0. */
const reach = (store: RowStore, models: readonly AnyModel[], size: number, position = size): Promise<void> =>
  store.write([], [{ partition: 0, tables: models.map(tableOf).sort(), position, size }]);

/** How far all these models are folded. */
const placeOf = async (store: RowStore, models: readonly AnyModel[], partition = 0): Promise<Checkpoint> =>
  foldedBy(await store.checkpoints(), models.map(tableOf), partition);

const put = (store: RowStore, ...rows: Row<Note>[]): Promise<void> => store.write([writeOf(notes, rows)]);

async function texts(store: RowStore, ...keys: string[]): Promise<(string | null | undefined)[]> {
  const found = await store.get(notes, keys);
  return keys.map((key) => {
    const row = found.get(key);
    return row && (row.value?.text ?? null);
  });
}

async function keysUnder(store: RowStore, find: Partial<Find>, model = notes): Promise<string[]> {
  const rows = await store.find(model, 'tag', { terms: ['a'], limit: 100, ...find });
  return rows.map(({ key }) => key);
}

async function matches(store: RowStore, prefix: string, model = notes): Promise<string[]> {
  const found = await store.findPrefix(model, 'text', prefix, 100);
  return found.map(({ row: { key }, term }) => `${term}:${key}`);
}

/** The promises of every row store. Each is checked on an empty store with the models `notes` and `lines`. */
export const promises: Readonly<Record<string, (store: RowStore) => Promise<void>>> = {
  'gives a row back as it was written'(store) {
    const value = { ...note('ü "x"\n', ['a.b', '$c']), marks: { 'b0e3-1': 5 }, none: null, big: 2 ** 53 - 1 };
    const written = row('k', 7, value, 3);
    return put(store, written).then(async () => {
      expect((await store.get(notes, ['k', 'none'])).get('k')).to.deep.equal(written);
    });
  },

  async 'lets a larger offset win'(store) {
    await put(store, row('k', 3, note('old')));
    await put(store, row('k', 9, note('new')));
    expect(await texts(store, 'k')).to.deep.equal(['new']);
  },

  async 'never lets a smaller or equal offset win'(store) {
    await put(store, row('k', 9, note('new', ['a'])));
    await put(store, row('k', 3, note('old', ['b'])), row('l', 1, note('other')));
    await put(store, row('k', 9, note('same')));
    expect(await texts(store, 'k', 'l')).to.deep.equal(['new', 'other']);
    expect(await keysUnder(store, { terms: ['b'] })).to.deep.equal([]);
  },

  async 'keeps tombstones, found by key only, and not replaced by earlier rows'(store) {
    await put(store, row('k', 3, note('text', ['a'])));
    await put(store, row('k', 5, null));
    await put(store, row('k', 4, note('late', ['a'])));
    expect(await texts(store, 'k')).to.deep.equal([null]);
    expect(await store.range(notes, { limit: 9 })).to.deep.equal([]);
    expect(await keysUnder(store, {})).to.deep.equal([]);
    expect(await matches(store, '')).to.deep.equal([]);
  },

  async 'leaves no index entry behind when a row changes'(store) {
    await put(store, row('k', 1, note('anna', ['a', 'b'], 1)));
    await put(store, row('k', 2, note('berta', ['b'], 2)));
    expect(await keysUnder(store, {})).to.deep.equal([]);
    expect(await matches(store, 'ann')).to.deep.equal([]);
    expect(await keysUnder(store, { terms: ['b'], above: 1 })).to.deep.equal(['k']);
    expect(await keysUnder(store, { terms: ['b'], below: 2 })).to.deep.equal([]);
  },

  async 'writes a row that is said to be new over an older one, and over no later one'(store) {
    const insert = (...rows: Row<Note>[]) =>
      store.write([
        writeOf(
          notes,
          rows.map((one) => ({ ...one, isNew: true })),
        ),
      ]);
    await insert(row('k', 3, note('anna', ['a'])), row('l', 1, note('lina', ['b'])));
    expect((await store.get(notes, ['k'])).get('k')).to.deep.equal(row('k', 3, note('anna', ['a'])));
    await insert(row('k', 8, note('berta', ['b'])), row('m', 2, note('m', ['a'])));
    await insert(row('k', 5, note('late', ['a'])));
    expect(await texts(store, 'k', 'l', 'm')).to.deep.equal(['berta', 'lina', 'm']);
    expect(await keysUnder(store, { terms: ['a'] })).to.deep.equal(['m']);
    expect(await keysUnder(store, { terms: ['b'] })).to.deep.equal(['k', 'l']);
    expect(await matches(store, 'ann')).to.deep.equal([]);
  },

  async 'never restores a removed row by a late insert'(store) {
    const made = { ...row('k', 3, note('text', ['a'])), isNew: true };
    await store.write([writeOf(notes, [made])]);
    await put(store, row('k', 5, null));
    await store.write([writeOf(notes, [made, { ...row('l', 4, null), isNew: true }])]);
    await store.write([writeOf(notes, [{ ...row('l', 2, note('late', ['a'])), isNew: true }])]);
    expect(await texts(store, 'k', 'l')).to.deep.equal([null, null]);
    expect(await keysUnder(store, {})).to.deep.equal([]);
    expect(await matches(store, '')).to.deep.equal([]);
  },

  async 'leaves no index entry behind when a row that was inserted changes'(store) {
    const word = (text: string, at = 0) => note(text, ['a'], at);
    // One letter: one term in each index.
    const made = ['x', 'y', 'z'].map((key, i) => ({ ...row(key, i, word(key)), isNew: true }));
    await store.write([writeOf(notes, made)]);
    await put(store, row('x', 5, note('v', ['b'])), row('y', 6, null));
    await store.removeIndexEntries(notes, 'z', 'text');
    await put(store, row('z', 7, word('w', 3)));
    expect(await keysUnder(store, {})).to.deep.equal(['z']);
    expect(await keysUnder(store, { below: 3 })).to.deep.equal([]);
    expect(await keysUnder(store, { terms: ['b'] })).to.deep.equal(['x']);
    expect(await matches(store, '')).to.deep.equal(['v:x', 'w:z']);
  },

  async 'writes many rows and models at once'(store) {
    const many = Array.from({ length: 2500 }, (_, i) => row(`k${String(i).padStart(5, '0')}`, i, note('x')));
    await store.write(
      [writeOf(notes, many), writeOf(lines, many.toReversed())],
      [{ partition: 0, tables: [lines, notes].map(tableOf), position: 2500, size: 2500 }],
    );
    for (const model of [notes, lines])
      expect(await store.range(model, { after: 'k02495', limit: 9 })).to.have.length(4);
    expect(await placeOf(store, [lines, notes])).to.deep.equal({ position: 2500, size: 2500 });
  },

  async 'keeps a checkpoint per partition and set of tables that never decreases'(store) {
    expect(await placeOf(store, [notes])).to.deep.equal({ position: 0, size: 0 });
    await reach(store, [notes], 10, 4);
    await reach(store, [notes], 7, 3);
    expect(await placeOf(store, [notes])).to.deep.equal({ position: 4, size: 10 });
    expect(await placeOf(store, [notes], 1)).to.deep.equal({ position: 0, size: 0 });
    expect(await placeOf(store, [lines])).to.deep.equal({ position: 0, size: 0 });
    expect(await placeOf(store, [notes, lines])).to.deep.equal({ position: 0, size: 0 });
    const tables = [tableOf(notes)];
    expect(await store.checkpoints([0, 1])).to.deep.equal([{ partition: 0, tables, position: 4, size: 10 }]);
    expect(await store.checkpoints([1])).to.deep.equal([]);
  },

  async 'takes a table for as far as the furthest checkpoint that names it'(store) {
    await reach(store, [notes], 9);
    await reach(store, [lines, notes], 5);
    await reach(store, [lines], 7);
    expect((await placeOf(store, [notes])).size).to.equal(9);
    expect((await placeOf(store, [lines])).size).to.equal(7);
    expect((await placeOf(store, [notes, lines])).size).to.equal(7);
  },

  async 'drops a table from the checkpoints, and keeps what they say of the others'(store) {
    const built = generationOf(notes, 1);
    await reach(store, [lines, notes], 5);
    await reach(store, [built], 4);
    await reach(store, [lines, notes, built], 6);
    await store.drop(built);
    expect((await placeOf(store, [built])).size).to.equal(0);
    expect((await placeOf(store, [lines, notes])).size).to.equal(6);
    expect(await store.checkpoints(), 'what says nothing more is gone').to.have.length(1);
    await reach(store, [lines, notes], 8);
    expect((await placeOf(store, [lines, notes])).size).to.equal(8);
  },

  async 'never shows a checkpoint ahead of its rows'(store) {
    const broken: Model<Note> = {
      ...notes,
      indexes: {
        ...notes.indexes,
        text: () => {
          throw new Error('no entry to be had');
        },
      },
    };
    const failed = await store
      .write(
        [writeOf(broken, [row('k', 1, note('x'))])],
        [{ partition: 0, tables: [tableOf(notes)], position: 2, size: 2 }],
      )
      .then(
        () => false,
        () => true,
      );
    expect(failed, 'the write fails').to.equal(true);
    expect(await placeOf(store, [notes])).to.deep.equal({ position: 0, size: 0 });
  },

  async 'reads ranges of keys, both ways, bounds exclusive'(store) {
    await put(store, ...['a', 'b', 'c', 'd', 'B', 'é'].map((key, i) => row(key, i, note(key))));
    const range = async (bounds: object) =>
      (await store.range(notes, { limit: 9, ...bounds })).map(({ key }) => key).join('');
    expect(await range({})).to.equal('Babcdé');
    expect(await range({ after: 'a', before: 'd' })).to.equal('bc');
    expect(await range({ after: 'a', limit: 2 })).to.equal('bc');
    expect(await range({ before: 'd', reverse: true, limit: 2 })).to.equal('cb');
  },

  async 'reads a row whose value is an array that holds a null, and no tombstone'(store) {
    type List = readonly (string | null)[];
    const lists: Model<List> = { name: 'lists', version: 1, indexes: {} };
    const values: (List | null)[] = [['x', null], [null], null, []];
    const rows = values.map((value, offset) => ({ ...row('abcd'.charAt(offset), offset, null), value }));
    await store.prepare(lists);
    await store.write([writeOf(lists, rows)]);
    expect((await store.range(lists, { limit: 9 })).map(({ value }) => value)).to.deep.equal([
      ['x', null],
      [null],
      [],
    ]);
    expect((await store.get(lists, ['b', 'c'])).get('b')?.value).to.deep.equal([null]);
  },

  async 'finds each row once by terms, ordered by sort, then key'(store) {
    await put(store, ...indexed);
    expect(await keysUnder(store, { terms: ['a'] })).to.deep.equal(['k3', 'k1', 'k2', 'k0']);
    expect(await keysUnder(store, { terms: ['a', 'b', 'none'] })).to.deep.equal([
      'k3',
      'k1',
      'k2',
      'k4',
      'k0',
    ]);
    expect(await keysUnder(store, { terms: ['b', 'a'], reverse: true, limit: 3 })).to.deep.equal([
      'k0',
      'k4',
      'k2',
    ]);
    expect(await keysUnder(store, { above: 1, below: 3 })).to.deep.equal(['k1', 'k2']);
    expect(await keysUnder(store, { terms: ['b', 'a'], byKey: true, above: 1 })).to.deep.equal([
      'k0',
      'k1',
      'k2',
      'k4',
    ]);
    expect(await keysUnder(store, { byKey: true, reverse: true, below: 3 })).to.deep.equal([
      'k3',
      'k2',
      'k1',
    ]);
    expect(await keysUnder(store, { terms: [] })).to.deep.equal([]);
  },

  async 'finds each row of the terms once without an order'(store) {
    await put(store, ...indexed);
    const found = await keysUnder(store, { terms: ['a', 'b', 'none'], unordered: true });
    expect(found.toSorted()).to.deep.equal(['k0', 'k1', 'k2', 'k3', 'k4']);
    expect(await keysUnder(store, { terms: [], unordered: true })).to.deep.equal([]);
  },

  async 'continues after the last row of a page in any order'(store) {
    await put(store, ...indexed);
    const sortOf = new Map(indexed.map(({ key, value }) => [key, value?.at ?? 0]));
    for (const order of [{}, { reverse: true }, { byKey: true }, { byKey: true, reverse: true }]) {
      const find = { ...order, terms: ['a', 'b'], above: 0, below: 9 };
      const paged: string[] = [];
      for (let last: string | undefined; ; last = paged.at(-1)) {
        const from = last === undefined ? {} : { from: { key: last, sort: sortOf.get(last) ?? 0 } };
        const page = await keysUnder(store, { ...find, ...from, limit: 2 });
        if (page.length === 0) break;
        paged.push(...page);
      }
      expect(paged).to.deep.equal(await keysUnder(store, find));
      expect(paged).to.have.length(5);
    }
  },

  async 'tells the place of each row of the terms once, without the row'(store) {
    await put(store, row('1', 1, note('x', ['a', 'b'], 5)), row('2', 1, note('x', ['b'], 0)));
    await put(store, row('3', 1, note('x', ['c'], 7)), row('4', 1, note('x', ['a'], 9)), row('5', 1, null));
    await put(store, row('4', 2, note('x', ['a'], 2)));
    const placesUnder = async (find: FindPlaces) =>
      [...(await store.places(notes, 'tag', find))].map(([key, sort]) => `${key}:${sort}`).sort();
    expect(await placesUnder({ terms: ['a', 'b'] })).to.deep.equal(['1:5', '2:0', '4:2']);
    expect(await placesUnder({ terms: ['a', 'b'], above: 0 })).to.deep.equal(['1:5', '4:2']);
    expect(await placesUnder({ terms: [] })).to.deep.equal([]);
    const many = Array.from({ length: 999 }, (_, i) => `t${i}`);
    expect(await placesUnder({ terms: [...many, 'c'] })).to.deep.equal(['3:7']);
  },

  async 'finds each row once by a prefix of terms, ordered by term, then key, in pages'(store) {
    const names = ['banana', 'ana', 'nab', 'Ana', 'aña'];
    await put(store, ...names.map((name, i) => row(`k${i}`, i, note(name))));
    const all = ['a:k0', 'a:k1', 'a:k3', 'a:k4', 'ab:k2'];
    expect(await matches(store, 'a')).to.deep.equal(all);
    expect(await matches(store, 'añ')).to.deep.equal(['aña:k4']);
    expect(await matches(store, 'x')).to.deep.equal([]);
    const paged: string[] = [];
    for (let from: { term: string; key: string } | undefined; ; ) {
      const [match] = await store.findPrefix(notes, 'text', 'a', 1, from);
      if (!match) break;
      from = { term: match.term, key: match.row.key };
      paged.push(`${from.term}:${from.key}`);
    }
    expect(paged).to.deep.equal(all);
  },

  async 'removes a row from one index but keeps it, until it is written again'(store) {
    await put(store, row('k', 5, note('abc', ['a'])), row('other', 5, note('abc', ['a'])));
    await store.removeIndexEntries(notes, 'k', 'text');
    await store.removeIndexEntries(notes, 'k', 'text');
    expect(await matches(store, 'b')).to.deep.equal(['bc:other']);
    expect(await keysUnder(store, {})).to.deep.equal(['k', 'other']);
    expect(await texts(store, 'k')).to.deep.equal(['abc']);
    await put(store, row('k', 6, note('bcd')));
    expect(await matches(store, 'b')).to.deep.equal(['bc:other', 'bcd:k']);
    for (const absent of [generationOf(notes, 7), { ...notes, version: 9 }])
      await store.removeIndexEntries(absent, 'k', 'text');
    await store.removeIndexEntries(notes, 'nobody', 'text');
    await store.scrub();
  },

  async 'keeps rows of several pages like short ones'(store) {
    const scrolls: Model<Note> = { ...notes, name: 'scrolls', largeRows: true };
    await store.prepare(scrolls);
    // The text index stores only a prefix of it.
    const long = (letter: string) => ({ ...note(letter, [letter]), more: letter.repeat(20_000) });
    const write = (...rows: Row<Note>[]) => store.write([writeOf(scrolls, rows)]);
    await write(...['d', 'b', 'c', 'a'].map((key, i) => row(key, i, long(key))));
    await write(row('b', 9, long('x')), row('c', 1, long('y')), row('d', 9, null));
    expect((await store.get(scrolls, ['b'])).get('b')?.value).to.deep.equal(long('x'));
    expect((await store.get(scrolls, ['c'])).get('c')?.value).to.deep.equal(long('c'));
    const inOrder = await store.range(scrolls, { limit: 10 });
    expect(inOrder.map(({ key }) => key)).to.deep.equal(['a', 'b', 'c']);
    expect(await keysUnder(store, { terms: ['x', 'b', 'a', 'd'] }, scrolls)).to.deep.equal(['a', 'b']);
    await store.drop(scrolls);
    await store.prepare(scrolls);
    expect((await store.get(scrolls, ['a'])).size).to.equal(0);
  },

  async 'separates versions and generations of a model, and drops only one'(store) {
    const second = { ...notes, version: 2 };
    const shadow = generationOf(notes, 1);
    for (const model of [second, shadow]) await store.prepare(model);
    for (const model of [notes, second, shadow]) {
      await store.write([writeOf(model, [row('k', 1, note(model.name, ['a']))])]);
      await reach(store, [model], 2);
    }
    await store.drop(shadow);
    await store.drop(shadow);
    await store.prepare(shadow);
    expect((await store.get(shadow, ['k'])).size).to.equal(0);
    expect(await keysUnder(store, {}, shadow)).to.deep.equal([]);
    expect((await placeOf(store, [shadow])).size).to.equal(0);
    for (const model of [notes, second]) {
      expect(await keysUnder(store, {}, model)).to.deep.equal(['k']);
      expect((await placeOf(store, [model])).size).to.equal(2);
    }
  },

  async 'can prepare an existing model'(store) {
    await put(store, row('k', 1, note('kept')));
    await store.prepare(notes);
    expect(await texts(store, 'k')).to.deep.equal(['kept']);
  },
};

const indexed = [
  row('k0', 0, note('', ['a', 'b'], 3)),
  row('k1', 1, note('', ['a'], 2)),
  row('k2', 2, note('', ['b', 'a'], 2)),
  row('k3', 3, note('', ['a'], 1)),
  row('k4', 4, note('', ['b'], 2)),
  row('k5', 5, note('', [])),
];

/** Creates the tables that the promises use. */
export async function prepared(store: RowStore): Promise<RowStore> {
  await store.prepare(notes);
  await store.prepare(lines);
  return store;
}
