import type {
  Model,
  ModelWrite,
  Row,
  RowStore,
  StoredCheckpoint,
} from '../../src/projections/store/rowStore.js';

type Defect = {
  /** The promise, as named in the suite, that the defect must break. */
  readonly breaks: string;
  readonly on: (store: RowStore) => RowStore;
};

const changed = (store: RowStore, change: (write: ModelWrite) => ModelWrite): RowStore => ({
  ...store,
  write: (writes, checkpoints) => store.write(writes.map(change), checkpoints),
});

/** Increases the offset with every write, so that the last write wins. */
function lastWriteWins(store: RowStore): RowStore {
  let offset = 1000;
  const late = (row: Row<unknown>) => ({ ...row, offset: offset++ });
  return changed(store, (write) => ({ ...write, rows: write.rows.map(late) }));
}

/** Writes rows under new keys, so that old index entries stay. */
function leavesEntries(store: RowStore): RowStore {
  const twins = (row: Row<unknown>) => [row, { ...row, key: `${row.key}/${row.offset}` }];
  return changed(store, (write) => ({ ...write, rows: write.rows.flatMap(twins) }));
}

const checkpointsFirst = (store: RowStore): RowStore => ({
  ...store,
  async write(writes, checkpoints) {
    await store.write([], checkpoints);
    await store.write(writes);
  },
});

function checkpointsGoBack(store: RowStore): RowStore {
  const last = new Map<string, StoredCheckpoint>();
  return {
    ...store,
    async write(writes, checkpoints = []) {
      await store.write(writes);
      for (const one of checkpoints) last.set(`${one.partition} ${one.tables}`, one);
    },
    checkpoints: async () => [...last.values()],
  };
}

/** Drops what the checkpoints of a dropped table say of other tables too. */
const dropsCheckpoints = (store: RowStore): RowStore => {
  let dropped: string | undefined;
  return {
    ...store,
    async drop(model) {
      dropped = `${model.name}_v${model.version}`;
      await store.drop(model);
    },
    checkpoints: async () => (dropped === undefined ? store.checkpoints() : []),
  };
};

/** Takes a row for new because it is said to be: a late insert wins. */
function insertsWin(store: RowStore): RowStore {
  let offset = 1000;
  return changed(store, (write) => ({
    ...write,
    rows: write.rows.map((row) => (row.isNew ? { ...row, offset: offset++, isNew: false } : row)),
  }));
}

/** Ignores an insert where there is a row, also an older one. */
const insertsOnce = (store: RowStore): RowStore => ({
  ...store,
  async write(writes, checkpoints) {
    for (const { model, rows } of writes) {
      const keys = rows.filter(({ isNew }) => isNew).map(({ key }) => key);
      const known = await store.get(model as Model<unknown>, keys);
      await store.write([{ model, rows: rows.filter(({ key }) => !known.has(key)) }]);
    }
    await store.write([], checkpoints);
  },
});

const forgetsTombstones = (store: RowStore): RowStore =>
  changed(store, (write) => ({ ...write, rows: write.rows.filter((row) => row.value !== null) }));

const repeatsRows = (store: RowStore): RowStore => ({
  ...store,
  find: async (model, index, find) => {
    const pages = await Promise.all(
      find.terms.map((term) => store.find(model, index, { ...find, terms: [term] })),
    );
    return pages.flat();
  },
});

const unlistsNothing = (store: RowStore): RowStore => ({ ...store, removeIndexEntries: async () => {} });

/** Stores broken on purpose, which show that the suite detects defects. */
export const defects: Readonly<Record<string, Defect>> = {
  'a smaller offset wins': { breaks: 'never lets a smaller or equal offset win', on: lastWriteWins },
  'a tombstone is resurrected': {
    breaks: 'keeps tombstones, found by key only, and not replaced by earlier rows',
    on: forgetsTombstones,
  },
  'an index entry is left behind': {
    breaks: 'leaves no index entry behind when a row changes',
    on: leavesEntries,
  },
  'an unlisted row is found': {
    breaks: 'removes a row from one index but keeps it, until it is written again',
    on: unlistsNothing,
  },
  'a late insert restores a removed row': {
    breaks: 'never restores a removed row by a late insert',
    on: insertsWin,
  },
  'an insert does not replace an older row': {
    breaks: 'writes a row that is said to be new over an older one, and over no later one',
    on: insertsOnce,
  },
  'a checkpoint goes back': {
    breaks: 'keeps a checkpoint per partition and set of tables that never decreases',
    on: checkpointsGoBack,
  },
  'a dropped table takes the checkpoints of others with it': {
    breaks: 'drops a table from the checkpoints, and keeps what they say of the others',
    on: dropsCheckpoints,
  },
  'a checkpoint runs ahead of the rows': {
    breaks: 'never shows a checkpoint ahead of its rows',
    on: checkpointsFirst,
  },
  'a row comes once per term': {
    breaks: 'finds each row once by terms, ordered by sort, then key',
    on: repeatsRows,
  },
};
