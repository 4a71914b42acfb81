import type { AnyModel, ModelWrite, Row, RowStore } from '../../src/projections/store/rowStore.js';

type Defect = {
  /** The promise, as named in the suite, that the defect must break. */
  readonly breaks: string;
  readonly on: (store: RowStore) => RowStore;
};

const changed = (store: RowStore, change: (write: ModelWrite) => ModelWrite): RowStore => ({
  ...store,
  write: (writes) => store.write(writes.map(change)),
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
  async write(writes) {
    await store.write(writes.map((write) => ({ ...write, rows: [] })));
    await store.write(writes.map((write) => ({ ...write, checkpoints: [] })));
  },
});

function checkpointsGoBack(store: RowStore): RowStore {
  const last = new Map<string, { position: number; size: number }>();
  const id = (model: AnyModel, partition: number) => `${model.name}/${model.version}/${partition}`;
  return {
    ...store,
    async write(writes) {
      await store.write(writes);
      for (const { model, checkpoints } of writes)
        for (const { partition, at } of checkpoints) last.set(id(model, partition), at);
    },
    checkpoint: async (model, partition) => last.get(id(model, partition)) ?? { position: 0, size: 0 },
  };
}

const overwrites = (store: RowStore): RowStore =>
  changed(store, (write) => ({ ...write, model: { ...write.model, insertOnly: false } }));

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
  'an insert-only row is overwritten': {
    breaks: 'inserts once where a model is insert-only',
    on: overwrites,
  },
  'a checkpoint goes back': {
    breaks: 'keeps a checkpoint per model and partition that never decreases',
    on: checkpointsGoBack,
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
