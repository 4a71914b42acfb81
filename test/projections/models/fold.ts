import type { Moment } from '../../../src/domain/commands.js';
import type { ContactRule } from '../../../src/domain/defineCommand.js';
import type { Recorded } from '../../../src/domain/events.js';
import { allProjections } from '../../../src/projections/allProjections.js';
import type { AnyProjection, Folded as FoldedEvent } from '../../../src/projections/projection.js';
import { createQueries, type Queries } from '../../../src/projections/queries.js';
import { type AnyModel, type Row, type RowStore, valuesOf } from '../../../src/projections/store/rowStore.js';
import { logOf } from '../../audit/worldLog.js';
import type { World } from './world.js';

/**
 * Folds one batch into the rows by the rules of a projection: events at or below a row's offset are skipped.
 */
export async function foldBatch(
  rows: RowStore,
  projections: readonly AnyProjection[],
  events: readonly FoldedEvent[],
): Promise<void> {
  for (const projection of projections) {
    const touched = [...new Set(events.flatMap((event) => projection.keys(event)))];
    // Only keys, offsets and JSON matter here; `evolve` gets back its own values.
    const model = projection.model as AnyModel & Parameters<typeof rows.get<unknown>>[0];
    const found = await rows.get<unknown>(model, touched);
    await projection.prepare?.(events, valuesOf(found.values()));
    const changed = new Map<string, Row<unknown>>();
    for (const event of events) {
      for (const key of projection.keys(event)) {
        const row = changed.get(key) ?? found.get(key);
        if (row !== undefined && row.offset >= event.offset) continue;
        const value = projection.evolve(row?.value, event, key, (other) => {
          const touched = changed.get(other) ?? found.get(other);
          return touched?.offset === event.offset ? touched.value : undefined;
        });
        changed.set(key, { key, partition: event.partition, offset: event.offset, value });
      }
    }
    await rows.write([{ model, rows: [...changed.values()] }]);
  }
}

/** Opens a new, empty row store; the provider closes it. */
export type MakeRows = () => Promise<RowStore>;

/** The queries over a store that holds a whole world, with their waits. */
export interface Folded {
  readonly queries: Queries;
  readonly rows: RowStore;
  /** The moments that queries waited for. */
  readonly waits: Moment[];
}

/** Folds a world into a new store. */
export async function folded(
  world: World,
  rows: RowStore,
  contactRule: ContactRule = 'open',
): Promise<Folded> {
  const projections = allProjections(world.open);
  for (const { model } of projections) await rows.prepare(model);
  await foldBatch(rows, projections, world.events);
  const waits: Moment[] = [];
  const progress = {
    waitFor: async (moment: Moment) => {
      waits.push(moment);
    },
  };
  const { open } = world;
  const log = await logOf(world.events, world.partitions);
  return { queries: createQueries({ ...{ rows, open, log, progress }, contactRule }), rows, waits };
}

/** All rows that events change, by model and key. */
export async function dump(
  rows: RowStore,
  projections: readonly AnyProjection[],
  events: readonly Recorded[],
): Promise<Record<string, Record<string, Row<unknown>>>> {
  const models: Record<string, Record<string, Row<unknown>>> = {};
  for (const projection of projections) {
    const keys = events.flatMap((event) => projection.keys(event)).sort();
    const model = projection.model as AnyModel & Parameters<typeof rows.get<unknown>>[0];
    models[projection.model.name] = Object.fromEntries(await rows.get<unknown>(model, keys));
  }
  return models;
}
