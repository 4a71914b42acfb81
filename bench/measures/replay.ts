import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { messagesProjection } from '../../src/projections/models/messageRows.js';
import { statesProjection } from '../../src/projections/models/streamIndex.js';
import type { AnyProjection } from '../../src/projections/projection.js';
import { Rebuild } from '../../src/projections/rebuilder.js';
import { type Engine, openEngine, readFileOf } from '../../src/projections/store/engine.js';
import { openMongoRows } from '../../src/projections/store/mongoRows.js';
import { foldedBy, type RowStore, tableOf } from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { isPeer } from '../systems/system.js';
import { temporaryDirectory } from '../temporary.js';
import { cell, type Measure, medianRun, type Row } from './measure.js';

const goals = [
  { title: 'the message history', projection: messagesProjection, perSecond: 100_000 },
  { title: '`states`', projection: statesProjection, perSecond: 300_000 },
] as const;

/** An empty row store of the same kind as the engine's. */
async function scratchRows(engine: Engine): Promise<{ store: RowStore; drop: () => Promise<void> }> {
  if (engine.kind === 'sqlite') {
    const store = openSqliteRows(readFileOf(temporaryDirectory()));
    return { store, drop: () => store.close() };
  }
  const url = new URL(engine.url);
  url.pathname = `/bench_${randomUUID().replaceAll('-', '')}`;
  const store = await openMongoRows(url.href);
  return {
    store,
    async drop() {
      await store.close();
      const client = new MongoClient(url.href);
      await client.db().dropDatabase();
      await client.close();
    },
  };
}

/** Rebuilds the projection from position 1, like a rebuild does. Returns events per second. */
async function eventsPerSecond(engine: Engine, projection: AnyProjection): Promise<number> {
  const source = await openEngine(engine);
  const scratch = await scratchRows(engine);
  try {
    const { store, log, partitions } = source;
    const stored = await store.checkpoints();
    const places = Array.from({ length: partitions }, (_, partition) =>
      foldedBy(stored, [tableOf(projection.model)], partition),
    );
    const rebuild = await Rebuild.begin({ store: scratch.store, log, partitions }, projection);
    const from = performance.now();
    while (!rebuild.hasCaughtUp(places.map(({ position }) => position))) await rebuild.step();
    const seconds = (performance.now() - from) / 1000;
    return places.reduce((sum, { size }) => sum + size, 0) / seconds;
  } finally {
    await scratch.drop();
    await source.close();
  }
}

/** How fast read models can be built from the log. */
export const replay: Measure = {
  name: 'replay',
  async run({ systems, quick, bigLogs, log }) {
    const rows: Row[] = [];
    for (const { title, projection, perSecond } of goals) {
      const cells = [];
      for (const system of systems) {
        if (isPeer(system.name)) continue;
        const { engine } = (await bigLogs.of(system)).running;
        if (!engine) continue;
        const rate = await medianRun(system, quick, () => eventsPerSecond(engine, projection));
        const value = `${Math.round(rate).toLocaleString('en')}/s`;
        log(`${system.name}: ${value} through ${title}`);
        cells.push(cell(system.name, value, rate >= perSecond));
      }
      const goal = `≥ ${perSecond.toLocaleString('en')} events/s`;
      rows.push({ measure: `log replayed through ${title}`, goal, cells });
    }
    return rows;
  },
};
