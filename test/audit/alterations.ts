import { randomUUID } from 'node:crypto';
import type { Db } from 'mongodb';
import { COMMITS } from '../../src/log/mongoLogMeta.js';
import type { OpenVault } from '../../src/vault/openVault.js';
import { isSoak } from '../support/lanes.js';
import type { SmallLog } from './smallLog.js';

/** The databases of a system on MongoDB. */
export interface Databases {
  readonly db: Db;
  readonly vault: Db;
}

/** One way to alter what is stored, as data: `verify` must name it. */
export interface Alteration {
  readonly what: string;
  /** A file of the embedded engine, and the SQL. `:ann`, `:bob`, `:cid` and `:room` stand for ids. */
  readonly sqlite?: readonly [file: 'log.db' | 'read.db' | 'vault.db', sql: string];
  readonly mongodb?: (databases: Databases, world: SmallLog) => Promise<unknown>;
  /** Through the vault itself, on both engines. */
  readonly vault?: (vault: OpenVault, world: SmallLog) => Promise<unknown>;
  /** Words of the mismatch, or why it cannot be noticed in principle, by engine if they differ. */
  readonly found?: string;
  readonly unnoticed?: string;
  readonly unnoticedOnMongodb?: string;
}

type Documents = ReturnType<Db['collection']>;
type Change = (documents: Documents, world: SmallLog) => Promise<unknown>;

const inLog = (sql: string) => ({ sqlite: ['log.db', sql] as const });
const inRows = (sql: string) => ({ sqlite: ['read.db', sql] as const });
const inVault = (sql: string) => ({ sqlite: ['vault.db', sql] as const });
const on = (name: string, change: Change) => ({
  mongodb: ({ db }: Databases, world: SmallLog) => change(db.collection(name), world),
});
const onVault = (name: string, change: Change) => ({
  mongodb: ({ vault }: Databases, world: SmallLog) => change(vault.collection(name), world),
});
/** An id that the driver does not take for an ObjectId. */
const id = (_id: unknown) => ({ _id }) as object;

/** A field of the commit at position 3 of partition 0. */
const commitField = (field: string, value: string | number): Alteration => ({
  what: `the ${field} of a commit is changed`,
  ...inLog(
    `UPDATE commits_0 SET ${field} = ${typeof value === 'number' ? value : `'${value}'`} WHERE position = 3`,
  ),
  ...on(COMMITS, (commits) => commits.updateOne(place(3), { $set: { [field]: value } })),
  found: 'position 3',
});

/** The place of a commit of partition 0. */
const place = (position: number) => id({ p: 0, n: position });

const HASH = Buffer.alloc(32, 7).toString('base64');

const ofLog: readonly Alteration[] = [
  commitField('recordedAt', '2026-01-01T00:00:00.001Z'),
  commitField('id', '00000000-0000-4000-8000-000000000000'),
  commitField('epoch', 2),
  commitField('hash', HASH),
  commitField('root', HASH),
  commitField('firstOffset', 0),
  commitField('size', 90),
  {
    what: 'a frontier is changed',
    ...inLog(`UPDATE commits_0 SET frontier = '["${HASH}"]' WHERE position = 1`),
    ...on(COMMITS, (commits) => commits.updateOne(place(1), { $set: { frontier: [HASH] } })),
    found: 'position 1',
  },
  {
    what: 'a commit is removed',
    ...inLog('DELETE FROM commits_0 WHERE position = 3'),
    ...on(COMMITS, (commits) => commits.deleteOne(place(3))),
    found: 'position 3',
  },
  {
    what: 'a commit is stored once more at the end',
    ...inLog(
      'INSERT INTO commits_0 SELECT (SELECT max(position) + 1 FROM commits_0), id, epoch, recordedAt, firstOffset, size, root, frontier, hash, leaves FROM commits_0 WHERE position = 3',
    ),
    ...on(COMMITS, async (commits) => {
      const last = await commits.countDocuments({ '_id.p': 0 });
      const copy = await commits.findOne(place(3));
      await commits.insertOne({ ...copy, ...place(last + 1) });
    }),
    found: 'has a wrong',
  },
  {
    what: 'the number of partitions is changed',
    ...inLog('UPDATE log SET partitions = 1'),
    ...on('log', (meta) => meta.updateOne({}, { $set: { partitions: 1 } })),
    found: '',
  },
  {
    what: 'the format is changed',
    ...inLog('UPDATE log SET format = 2'),
    ...on('log', (meta) => meta.updateOne({}, { $set: { format: 2 } })),
    found: 'format 2',
  },
  {
    what: 'the log has a second description',
    ...inLog('INSERT INTO log SELECT id, history, partitions, format FROM log'),
    ...on('log', (meta) => meta.insertOne(id('other'))),
    found: 'descriptions',
  },
  {
    what: "the log's id is changed",
    ...inLog("UPDATE log SET id = 'x'"),
    ...on('log', (meta) => meta.updateOne({}, { $set: { id: 'x' } })),
    found: 'of message ids is damaged',
  },
  {
    what: "the log's history is changed",
    ...inLog("UPDATE log SET history = 'x'"),
    ...on('log', (meta) => meta.updateOne({}, { $set: { history: 'x' } })),
    unnoticed: 'every restore renews it: cursors of before are refused',
  },
];

/** Changes of the tables themselves. */
const schema = (file: 'log.db' | 'read.db' | 'vault.db', what: string, sql: string): Alteration => ({
  what: `${what} in ${file}`,
  sqlite: [file, sql],
  found: file,
});

const FILES = ['log.db', 'read.db', 'vault.db'] as const;
const TABLE_IN = { 'log.db': 'commits_0', 'read.db': 'chats_v1', 'vault.db': 'keys' } as const;

const changesOfFiles: readonly (readonly [what: string, sql: string])[] = [
  ['a table is planted', 'CREATE TABLE planted (a)'],
  ['a view is planted', 'CREATE VIEW planted AS SELECT * FROM <table>'],
  ['a trigger is planted', 'CREATE TRIGGER planted AFTER INSERT ON <table> BEGIN SELECT 1; END'],
  ['an index is planted', 'CREATE INDEX planted ON <table> (1)'],
  ['user_version is set', 'PRAGMA user_version = 7'],
  ['application_id is set', 'PRAGMA application_id = 7'],
  ['statistics are planted', 'ANALYZE'],
];

const ofSchema: readonly Alteration[] = [
  // Each in one of the files; the long form has each in all three.
  ...changesOfFiles.flatMap(([what, sql], i) =>
    FILES.filter((_, at) => isSoak || at === i % FILES.length).map((file) =>
      schema(file, what, sql.replaceAll('<table>', TABLE_IN[file])),
    ),
  ),
  schema('log.db', 'a table of commits is planted', 'CREATE TABLE commits_2 AS SELECT * FROM commits_0'),
  ...[{ p: 2, n: 1 }, { p: 1, n: 0 }, { p: 0 }, 'x'].map(
    (where): Alteration => ({
      what: `a document is planted among the commits at ${JSON.stringify(where)}`,
      ...on(COMMITS, async (commits) =>
        commits.insertOne({ ...(await commits.findOne(place(3))), ...id(where) }),
      ),
      found: 'no commit of a partition',
    }),
  ),
  {
    what: 'an index is dropped in vault.db',
    ...inVault('DROP INDEX sessions_of_user'),
    unnoticed: 'whoever opens the vault makes it again',
  },
  schema(
    'read.db',
    'a definition is overwritten',
    `PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'offset INTEGER NOT NULL', 'offset INTEGER') WHERE name = 'roles_v1'`,
  ),
  {
    what: 'a table of rows is dropped',
    ...inRows('DROP TABLE roles_v1'),
    ...on('roles_v1', (rows) => rows.drop()),
    found: 'roles_v1',
  },
  {
    what: 'a table of rows is renamed',
    ...inRows('ALTER TABLE chats_v1 RENAME TO chats_v0'),
    ...on('chats_v1', (rows) => rows.rename('chats_v0')),
    found: 'chats_v1',
  },
  { what: 'a table of an index is dropped', ...inRows('DROP TABLE chats_v1__friends'), found: 'friends' },
  { what: 'a collection is planted', ...on('planted', (rows) => rows.insertOne({ a: 1 })), found: 'planted' },
  {
    what: 'a view is planted in the database',
    mongodb: ({ db }) => db.createCollection('planted', { viewOn: 'chats_v1', pipeline: [] }),
    found: 'planted',
  },
  {
    what: 'an index of a collection is planted',
    ...on('messages_v1', (rows) => rows.createIndex({ o: 1 })),
    found: 'o_1',
  },
  {
    what: 'an index of a collection is dropped',
    ...on('chats_v1', (rows) => rows.dropIndex('friends')),
    found: 'lacks the index friends',
  },
];

const MODELS = [
  'states',
  'users',
  'chats',
  'messages',
  'messageIds',
  'presence',
  'preferences',
  'roles',
  'tiles',
  'streams',
  'groups',
  'memberships',
  'happenings',
] as const;
/** `presence` was rebuilt: see the test. */
const tableOf = (model: string): string => (model === 'presence' ? 'presence_g1_v1' : `${model}_v1`);

const ofRows: readonly Alteration[] = MODELS.flatMap((model): Alteration[] => {
  const table = tableOf(model);
  const first = `key = (SELECT min(key) FROM "${table}")`;
  const change = (what: string, sql: string, mongodb: Change): Alteration => ({
    what: `a row of ${model} ${what}`,
    ...inRows(sql.replaceAll('TABLE', `"${table}"`).replaceAll('FIRST', first)),
    ...on(table, mongodb),
    found: `the read model ${model}`,
  });
  const copied = (set: string) => `INSERT INTO TABLE SELECT ${set}, value, entries FROM TABLE WHERE FIRST`;
  return [
    model === 'messageIds'
      ? change('has another value', 'UPDATE TABLE SET value = value + 1 WHERE FIRST', (rows) =>
          rows.updateOne({}, { $inc: { v: 1 } }),
        )
      : change(
          'has another value',
          `UPDATE TABLE SET value = json_set(value, iif(json_type(value) = 'array', '$[#]', '$.x'), 1) WHERE FIRST`,
          async (rows) => {
            const row = await rows.findOne({}, { sort: { _id: 1 } });
            const v = Array.isArray(row?.v) ? [...row.v, 1] : { ...row?.v, x: 1 };
            if (row) await rows.updateOne({ _id: row._id }, { $set: { v } });
          },
        ),
    change('is removed', 'DELETE FROM TABLE WHERE FIRST', (rows) => rows.deleteOne({})),
    change('is a tombstone', 'UPDATE TABLE SET value = NULL WHERE FIRST', (rows) =>
      rows.updateOne({}, { $set: { v: null } }),
    ),
    change('has a larger offset', 'UPDATE TABLE SET offset = offset + 1000 WHERE FIRST', (rows) =>
      rows.updateOne({}, { $inc: { o: 1000 } }),
    ),
    change('has a smaller offset', 'UPDATE TABLE SET offset = offset - 1 WHERE FIRST', (rows) =>
      rows.updateOne({}, { $inc: { o: -1 } }),
    ),
    change('is in another partition', 'UPDATE TABLE SET partition = 1 - partition WHERE FIRST', (rows) =>
      rows.updateOne({}, [{ $set: { p: { $subtract: [1, '$p'] } } }]),
    ),
    change('is there under another key', copied(`key || '!', partition, offset`), async (rows) => {
      const row = await rows.findOne({});
      await rows.insertOne({ ...row, ...id(`${row?._id}!`) });
    }),
    change('is planted beyond the end', copied(`key || '!', partition, 5000`), async (rows) => {
      const row = await rows.findOne({});
      await rows.insertOne({ ...row, ...id(`${row?._id}!`), o: 5000 });
    }),
    change('is planted in no partition', copied(`key || '!', 9, offset`), async (rows) => {
      const row = await rows.findOne({});
      await rows.insertOne({ ...row, ...id(`${row?._id}!`), p: 9 });
    }),
  ];
});

const INDEXES = {
  users: ['suffix', 'erased'],
  chats: ['activity', 'changed', 'friends', 'blocked', 'members'],
  presence: ['online'],
  groups: ['activity'],
  memberships: ['user', 'members'],
} as const;

const ofIndexes: readonly Alteration[] = Object.entries(INDEXES).flatMap(([model, names]) =>
  names.flatMap((name): Alteration[] => {
    const [rows, entries] = [tableOf(model), `"${tableOf(model)}__${name}"`];
    const change = (what: string, sql: string, mongodb: Change): Alteration => ({
      what: `an entry of ${model}.${name} ${what}`,
      ...inRows(sql.replaceAll('TABLE', entries)),
      ...on(rows, mongodb),
      found: `read model ${model}`,
    });
    const t = `ix.${name}.t`;
    return [
      change(
        'is planted under another term',
        `INSERT INTO TABLE SELECT ':cid', sort, key FROM TABLE WHERE (sort, key) NOT IN (SELECT sort, key FROM TABLE WHERE term = ':cid') LIMIT 1`,
        (found, { cid }) =>
          found.updateOne({ [t]: { $exists: true, $ne: cid } }, { $push: { [t]: cid } } as object),
      ),
      change(
        'is planted without a row',
        `INSERT INTO TABLE SELECT term, sort, 'nobody' FROM TABLE LIMIT 1`,
        (found) =>
          found.insertOne({ ...id('nobody'), p: 0, o: 0, v: null, ix: { [name]: { t: ['x'], s: 0 } } }),
      ),
      change(
        'is removed',
        'DELETE FROM TABLE WHERE (term, sort, key) IN (SELECT term, sort, key FROM TABLE LIMIT 1)',
        (found) => found.updateOne({ [t]: { $exists: true } }, { $pop: { [t]: 1 } } as object),
      ),
      change('has another place', 'UPDATE TABLE SET sort = sort + 1', (found) =>
        found.updateOne({ [t]: { $exists: true } }, { $inc: { [`ix.${name}.s`]: 1 } }),
      ),
      change('is gone with all others', 'DELETE FROM TABLE', (found) =>
        found.updateMany({}, { $unset: { [`ix.${name}`]: '' } }),
      ),
    ];
  }),
);

const ofPlaces: readonly Alteration[] = [
  {
    what: 'a place without a term is planted',
    ...on(tableOf('chats'), (rows) =>
      rows.updateOne({ 'ix.blocked': { $exists: false } }, { $set: { 'ix.blocked': { t: [], s: 0 } } }),
    ),
    found: 'read model chats',
  },
];

const ofCheckpoints: readonly Alteration[] = [
  {
    what: 'a checkpoint is raised',
    ...inRows('UPDATE checkpoints SET position = position + 1, size = size + 1'),
    ...on('checkpoints', (rows) => rows.updateMany({}, { $inc: { position: 1, size: 1 } })),
    found: 'position',
  },
  {
    what: 'a checkpoint is lowered',
    ...inRows('UPDATE checkpoints SET position = 1, size = 0'),
    ...on('checkpoints', (rows) => rows.updateMany({}, { $set: { position: 1, size: 0 } })),
    found: 'beyond its checkpoint',
    unnoticedOnMongodb: 'a crash leaves rows ahead of their checkpoint; the events are folded again',
  },
  {
    what: 'the checkpoints are removed',
    ...inRows('DELETE FROM checkpoints'),
    ...on('checkpoints', (rows) => rows.deleteMany({})),
    found: 'beyond its checkpoint',
    unnoticedOnMongodb: 'a crash leaves rows ahead of their checkpoint; the events are folded again',
  },
  {
    what: 'the size of a checkpoint is changed',
    ...inRows('UPDATE checkpoints SET size = size - 1'),
    ...on('checkpoints', (rows) => rows.updateMany({}, { $inc: { size: -1 } })),
    found: 'checkpoint of',
  },
  {
    what: 'a checkpoint is doubled for one table',
    ...inRows(
      "INSERT INTO checkpoints SELECT partition, 'chats_v1', position, size FROM checkpoints WHERE tables LIKE '%chats%'",
    ),
    ...on('checkpoints', async (rows) => {
      const row = await rows.findOne({ tables: 'chats_v1' });
      await rows.insertOne({ ...row, ...id('double'), tables: ['chats_v1'] });
    }),
    found: 'two checkpoints of chats_v1',
  },
  {
    what: 'a checkpoint names an unknown table',
    ...inRows("INSERT INTO checkpoints VALUES (0, 'chats_v7', 1, 0)"),
    ...on('checkpoints', (rows) =>
      rows.insertOne({ ...id('7'), partition: 0, tables: ['chats_v7'], position: 1, size: 0 }),
    ),
    found: 'chats_v7',
  },
  {
    what: 'a checkpoint is of no partition',
    ...inRows("INSERT INTO checkpoints VALUES (9, 'chats_v1', 1, 0)"),
    ...on('checkpoints', (rows) =>
      rows.insertOne({ ...id('9'), partition: 9, tables: ['chats_v1'], position: 1, size: 0 }),
    ),
    found: 'partition 9',
  },
];

const FILTERS = 'messageIdFilters_v1';

const ofFilters: readonly Alteration[] = [
  {
    what: 'a filter of message ids is empty',
    ...inRows(
      `UPDATE ${FILTERS} SET value = json_set(value, '$.bits', '${Buffer.alloc(4096).toString('base64')}')`,
    ),
    ...on(FILTERS, (rows) =>
      rows.updateMany({}, { $set: { 'v.bits': Buffer.alloc(4096).toString('base64') } }),
    ),
    found: 'of message ids is damaged',
  },
  {
    what: 'a filter of message ids is cut off',
    ...inRows(`UPDATE ${FILTERS} SET value = json_set(value, '$.bits', substr(value ->> 'bits', 1, 2000))`),
    ...on(FILTERS, (rows) => rows.updateMany({}, { $set: { 'v.bits': '' } })),
    found: 'of message ids is damaged',
  },
  {
    what: 'a filter of message ids says that it has later ids',
    ...inRows(`UPDATE ${FILTERS} SET value = json_set(value, '$.upTo', 5000)`),
    ...on(FILTERS, (rows) => rows.updateMany({}, { $set: { 'v.upTo': 5000 } })),
    found: 'of message ids is damaged',
  },
  {
    what: 'a filter of message ids is that of another partition',
    ...inRows(
      `UPDATE ${FILTERS} SET value = (SELECT value FROM ${FILTERS} WHERE key = '1/0') WHERE key = '0/0'`,
    ),
    ...on(FILTERS, async (rows) => {
      const other = await rows.findOne(id('1/0'));
      await rows.updateOne(id('0/0'), { $set: { v: other?.v } });
    }),
    found: 'filter 0/0 of message ids is damaged',
  },
  {
    what: 'a filter of message ids is removed',
    ...inRows(`DELETE FROM ${FILTERS} WHERE key = '0/0'`),
    ...on(FILTERS, (rows) => rows.deleteOne(id('0/0'))),
    found: 'filter 0/0 of message ids does not have',
  },
  {
    what: 'a filter of message ids is planted',
    ...inRows(
      `INSERT INTO ${FILTERS} SELECT '0/7', 0, offset, value, entries FROM ${FILTERS} WHERE key = '0/0'`,
    ),
    ...on(FILTERS, async (rows) => {
      const copy = await rows.findOne(id('0/0'));
      await rows.insertOne({ ...copy, ...id('0/7') });
    }),
    found: 'filter 0/7 of message ids is damaged',
  },
  {
    what: 'the table of filters is dropped',
    ...inRows(`DROP TABLE ${FILTERS}`),
    ...on(FILTERS, (rows) => rows.drop()),
    found: '(messageIdFilters_v1|of message ids does not have)',
  },
];

const generation = { active: 3, other: null, changes: 1 };

const ofGenerations: readonly Alteration[] = [
  {
    what: 'a model is switched to a table that does not exist',
    ...inRows(`INSERT INTO generations_v1 VALUES ('chats_v1', 0, 1, '${JSON.stringify(generation)}', NULL)`),
    ...on('generations_v1', (rows) =>
      rows.insertOne({ ...id('chats_v1'), p: 0, o: 1, v: generation, ix: {} }),
    ),
    found: 'chats_g3_v1',
  },
  {
    what: 'the generation of a rebuilt model is removed',
    ...inRows('DELETE FROM generations_v1'),
    ...on('generations_v1', (rows) => rows.deleteMany({})),
    found: 'presence_v1',
  },
  {
    what: 'the table of generations is dropped',
    ...inRows('DROP TABLE generations_v1'),
    ...on('generations_v1', (rows) => rows.drop()),
    found: 'presence_v1',
  },
  {
    what: 'a generation is of no model',
    ...inRows(`INSERT INTO generations_v1 VALUES ('x_v1', 0, 1, '${JSON.stringify(generation)}', NULL)`),
    ...on('generations_v1', (rows) => rows.insertOne({ ...id('x_v1'), p: 0, o: 1, v: generation, ix: {} })),
    found: 'x_v1',
  },
];

const ofVault: readonly Alteration[] = [
  {
    what: 'a text is kept for a report that was never made',
    vault: ({ holds }, { ann, bob, annAndBob }) =>
      holds.insertHolds([
        {
          ...{ report: `${annAndBob}/${bob}`, owner: ann, roomId: annAndBob, seq: 1 },
          ...{ partition: 0, until: Number.MAX_SAFE_INTEGER, isDeleted: true },
        },
      ]),
    found: 'which the log does not have',
  },
  {
    what: 'a key is destroyed without its event',
    vault: ({ keys }, { ann }) => keys.destroy(ann),
    found: 'no event erased',
  },
  {
    what: 'a text key is destroyed without its event',
    vault: ({ keys }, { ann, annAndBob }) => keys.destroyTexts({ owner: ann, roomId: annAndBob }, [3]),
    found: 'no event deleted it',
  },
  {
    what: 'the key of the newest text of a room is destroyed without its event',
    vault: ({ keys }, { ann, annAndCid }) => keys.destroyTexts({ owner: ann, roomId: annAndCid }, [6]),
    found: 'no event deleted it',
  },
  {
    what: 'a text key is destroyed before there is such a message',
    vault: ({ keys }, { ann, annAndBob }) => keys.destroyTexts({ owner: ann, roomId: annAndBob }, [70]),
    found: 'no event deleted it',
  },
  {
    what: 'a row of keys is removed',
    ...inVault("DELETE FROM keys WHERE owner = ':bob'"),
    ...onVault('keys', (rows, { bob }) => rows.deleteOne(id(bob))),
    found: 'neither a key nor a tombstone',
  },
  {
    what: 'a row of keys is that of another user',
    ...inVault("UPDATE keys SET own = (SELECT own FROM keys WHERE owner = ':ann') WHERE owner = ':bob'"),
    ...onVault('keys', async (rows, { ann, bob }) => {
      const row = await rows.findOne(id(ann));
      await rows.updateOne(id(bob), { $set: { own: row?.own } });
    }),
    found: 'does not open',
  },
  {
    what: 'the text keys of a user are those of another',
    ...inVault("UPDATE keys SET roots = (SELECT roots FROM keys WHERE owner = ':ann') WHERE owner = ':bob'"),
    ...onVault('keys', async (rows, { ann, bob }) => {
      const row = await rows.findOne(id(ann));
      await rows.updateOne(id(bob), { $set: { roots: row?.roots } });
    }),
    found: 'does not open',
  },
  {
    what: 'the version of a row of keys is changed',
    ...inVault("UPDATE keys SET version = version + 1 WHERE owner = ':ann'"),
    ...onVault('keys', (rows, { ann }) => rows.updateOne(id(ann), { $inc: { version: 1 } })),
    found: 'does not open',
  },
  {
    what: 'the row of a room is removed',
    ...inVault('DELETE FROM rooms'),
    ...onVault('rooms', (rows) => rows.deleteMany({})),
    found: 'lacks the keys of the texts',
  },
  {
    what: 'the row of a room is changed',
    ...inVault("UPDATE rooms SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00'"),
    ...onVault('rooms', (rows) => rows.updateMany({}, { $inc: { version: 1 } })),
    found: 'does not open',
  },
  {
    what: 'the claim to a name is removed',
    ...inVault('DELETE FROM claims WHERE sealed IS NOT NULL'),
    ...onVault('claims', (rows) => rows.deleteMany({ sealed: { $ne: null } })),
    found: 'no claim',
  },
  {
    what: 'the progress of destroying is raised',
    ...inVault('UPDATE numbers SET value = value + 100'),
    ...onVault('numbers', (rows) => rows.updateMany({}, { $inc: { value: 100 } })),
    unnoticed:
      'a vault that is newer than a restored log says the same; a deleted text whose key exists is noticed',
  },
  {
    what: 'the progress of destroying is lowered',
    ...inVault('UPDATE numbers SET value = 0'),
    ...onVault('numbers', (rows) => rows.updateMany({}, { $set: { value: 0 } })),
    unnoticed: 'the next owner then destroys again what is destroyed already',
  },
  {
    what: 'a generation of text keys is begun',
    vault: ({ keys }) => keys.beginGeneration(),
    unnoticed: 'new texts get keys of new roots; nothing that is sealed depends on it',
  },
  {
    what: 'a session is planted',
    ...inVault("INSERT INTO sessions VALUES ('x', ':ann', '2026', '2036', NULL, NULL)"),
    ...onVault('sessions', (rows, { ann }) =>
      rows.insertOne({ ...id('x'), userId: ann, createdAt: '2026', expiresAt: '2036', endedAt: null }),
    ),
    unnoticed: 'sessions are not in the log',
  },
  {
    what: 'a server key is planted',
    vault: ({ serverKeys }) => serverKeys.create({ ...SERVER_KEY, id: randomUUID() }),
    found: 'which the log did not add',
  },
];

const SERVER_KEY = { name: 'planted', scopes: ['users'], createdAt: '2026-01-01T00:00:00.000Z' } as const;

/** By group, every alteration that is tried. */
export const alterations: Readonly<Record<string, readonly Alteration[]>> = {
  log: ofLog,
  tables: ofSchema,
  rows: ofRows,
  indexes: ofIndexes,
  places: ofPlaces,
  filters: ofFilters,
  checkpoints: [...ofCheckpoints, ...ofGenerations],
  vault: ofVault,
};
