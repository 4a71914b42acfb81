import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { Binary, type Collection, MongoClient } from 'mongodb';
import { COMMITS } from '../../src/log/mongoLogMeta.js';
import type { Engine } from '../../src/projections/store/engine.js';
import type { Checkpoint } from '../../src/projections/store/rowStore.js';

/** Changes stored data without the system's knowledge. */
export interface Tamper {
  /** Removes a commit. */
  drop(partition: number, position: number): Promise<void>;
  /** Swaps two commits. */
  swap(partition: number, one: number, other: number): Promise<void>;
  /** Stores a commit once more at the end. */
  repeat(partition: number, position: number, end: number): Promise<void>;
  /** Changes one letter of a commit's events. */
  edit(partition: number, position: number): Promise<void>;
  /** The keys of a read model's table. */
  keys(table: string): Promise<string[]>;
  removeRow(table: string, key: string): Promise<void>;
  /** Copies a row under another key. */
  copyRow(table: string, key: string, as: string): Promise<void>;
  /** Changes a row's value, given as JSON text. */
  editRow(table: string, key: string, edit: (value: string) => string): Promise<void>;
  /** Adds `by` to a row's offset. */
  moveRow(table: string, key: string, by: number): Promise<void>;
  /** Sets the checkpoints of all read models. */
  setCheckpoints(at: Checkpoint): Promise<void>;
}

export const tamper = (engine: Engine): Tamper =>
  engine.kind === 'sqlite' ? sqlite(engine.dataDir) : mongodb(engine.url);

function sqlite(dataDir: string): Tamper {
  const run = (file: string, sql: string, ...values: unknown[]) => {
    const db = new DatabaseSync(join(dataDir, file), { timeout: 5000 });
    try {
      return db.prepare(sql).all(...(values as never[])); // Numbers, texts and bytes.
    } finally {
      db.close();
    }
  };
  const move = (partition: number, from: number, to: number) =>
    run('log.db', `UPDATE commits_${partition} SET position = ? WHERE position = ?`, to, from);
  return {
    async drop(partition, position) {
      run('log.db', `DELETE FROM commits_${partition} WHERE position = ?`, position);
    },
    async swap(partition, one, other) {
      move(partition, one, -1);
      move(partition, other, one);
      move(partition, -1, other);
    },
    async repeat(partition, position, end) {
      const rest = 'id, epoch, recordedAt, firstOffset, size, root, frontier, hash, leaves';
      const table = `commits_${partition}`;
      run(
        'log.db',
        `INSERT INTO ${table} SELECT ?, ${rest} FROM ${table} WHERE position = ?`,
        end + 1,
        position,
      );
    },
    async edit(partition, position) {
      const table = `commits_${partition}`;
      const [row] = run('log.db', `SELECT leaves FROM ${table} WHERE position = ?`, position) as [
        { leaves: Uint8Array },
      ];
      const text = Buffer.from(Buffer.from(row.leaves).toString().replace('["', '[?'));
      run('log.db', `UPDATE ${table} SET leaves = ? WHERE position = ?`, text, position);
    },
    async keys(table) {
      const rows = run('read.db', `SELECT key FROM "${table}" ORDER BY key`) as { key: string }[];
      return rows.map(({ key }) => key);
    },
    async removeRow(table, key) {
      run('read.db', `DELETE FROM "${table}" WHERE key = ?`, key);
    },
    async copyRow(table, key, as) {
      run(
        'read.db',
        `INSERT INTO "${table}" SELECT ?, partition, offset, value, entries FROM "${table}" WHERE key = ?`,
        as,
        key,
      );
    },
    async editRow(table, key, edit) {
      const [row] = run('read.db', `SELECT value FROM "${table}" WHERE key = ?`, key) as [{ value: string }];
      run('read.db', `UPDATE "${table}" SET value = ? WHERE key = ?`, edit(row.value), key);
    },
    async moveRow(table, key, by) {
      run('read.db', `UPDATE "${table}" SET offset = offset + ? WHERE key = ?`, by, key);
    },
    async setCheckpoints({ position, size }) {
      run('read.db', 'UPDATE checkpoints SET position = ?, size = ?', position, size);
    },
  };
}

/** A document of either kind, with the engine's fields. */
const placeOf = (partition: number, position: number) => ({ p: partition, n: position });

interface AnyDocument {
  _id: string | ReturnType<typeof placeOf>;
  leaves?: { buffer: Uint8Array };
  v?: unknown;
  o?: number;
}

function mongodb(url: string): Tamper {
  async function on<T>(name: string, work: (documents: Collection<AnyDocument>) => Promise<T>): Promise<T> {
    const client = new MongoClient(url);
    try {
      return await work(client.db().collection<AnyDocument>(name));
    } finally {
      await client.close();
    }
  }
  const there = async (documents: Collection<AnyDocument>, id: AnyDocument['_id']): Promise<AnyDocument> => {
    const found = await documents.findOne({ _id: id });
    if (!found) throw new Error(`there is no document ${JSON.stringify(id)}`);
    return found;
  };
  const copy = async (name: string, id: AnyDocument['_id'], as: AnyDocument['_id']) => {
    await on(name, async (documents) => documents.insertOne({ ...(await there(documents, id)), _id: as }));
  };
  const remove = async (name: string, id: AnyDocument['_id']) => {
    await on(name, (documents) => documents.deleteOne({ _id: id }));
  };
  return {
    drop: (partition, position) => remove(COMMITS, placeOf(partition, position)),
    async swap(partition, one, other) {
      await on(COMMITS, async (documents) => {
        const { _id: _, ...first } = await there(documents, placeOf(partition, one));
        const { _id: __, ...second } = await there(documents, placeOf(partition, other));
        await documents.replaceOne({ _id: placeOf(partition, one) }, second);
        await documents.replaceOne({ _id: placeOf(partition, other) }, first);
      });
    },
    repeat: (partition, position, end) =>
      copy(COMMITS, placeOf(partition, position), placeOf(partition, end + 1)),
    async edit(partition, position) {
      await on(COMMITS, async (documents) => {
        const place = placeOf(partition, position);
        const { leaves } = await there(documents, place);
        const text = Buffer.from(leaves?.buffer ?? []).toString();
        const changed = new Binary(Buffer.from(text.replace('["', '[?')));
        await documents.updateOne({ _id: place }, { $set: { leaves: changed } });
      });
    },
    keys: (table) =>
      on(table, async (documents) =>
        (await documents.find().sort({ _id: 1 }).toArray()).map(({ _id }) => String(_id)),
      ),
    removeRow: remove,
    copyRow: copy,
    async editRow(table, key, edit) {
      await on(table, async (documents) => {
        const { v } = await there(documents, key);
        await documents.updateOne({ _id: key }, { $set: { v: JSON.parse(edit(JSON.stringify(v))) } });
      });
    },
    async moveRow(table, key, by) {
      await on(table, (documents) => documents.updateOne({ _id: key }, { $inc: { o: by } }));
    },
    async setCheckpoints({ position, size }) {
      await on('checkpoints', (documents) => documents.updateMany({}, { $set: { position, size } }));
    },
  };
}
