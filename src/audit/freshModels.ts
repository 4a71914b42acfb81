import { partitionOf } from '../events/ids.js';
import type { Recorded } from '../events/types.js';
import { allProjections } from '../projections/all.js';
import { readGenerations } from '../projections/generations.js';
import type { AnyProjection, Projection } from '../projections/projection.js';
import type { AnyModel, Checkpoint, Model, Row } from '../projections/rows.js';
import { generationOf, tableOf } from '../projections/tables.js';
import type { StoredRows } from './storedRows.js';
import { Contradiction } from './wrong.js';

/** A read model that is to be compared, and how far it is stored. */
export interface Target {
  readonly name: string;
  /** Of its tables the one that is read. */
  readonly generation: number;
  /** By partition. */
  readonly checkpoints: readonly Checkpoint[];
}

/** Names are in indexes alone, never in a row: without keys, every row is what it is with them. */
const noNames = {
  usernames: async (names: readonly unknown[]): Promise<null[]> => names.map(() => null),
};

/** Every projection, into rows without indexes. */
const projections: readonly AnyProjection[] = allProjections(noNames).map((projection) => ({
  ...projection,
  model: { ...projection.model, indexes: {} },
}));

/** The projection of a target, as it is folded anew. */
export function projectionOf({ name }: Pick<Target, 'name'>): AnyProjection {
  const found = projections.find(({ model }) => model.name === name);
  if (!found) throw new RangeError(`there is no projection ${name}`);
  return found;
}

/** The model of a target, in the table that is read. */
export const storedModel = (target: Pick<Target, 'name' | 'generation'>): AnyModel =>
  generationOf(projectionOf(target).model, target.generation);

/** The read models that have a table, as far as they are stored now. */
export async function targetsOf(stored: StoredRows, partitions: number): Promise<Target[]> {
  const active = await activeGenerations(stored);
  const targets: Target[] = [];
  for (const { model } of projections) {
    const generation = active.get(tableOf(model)) ?? 0;
    const table = generationOf(model, generation);
    if (!(await stored.hasTable(table))) continue;
    const places = Array.from({ length: partitions }, (_, partition) => stored.checkpoint(table, partition));
    targets.push({ name: model.name, generation, checkpoints: await Promise.all(places) });
  }
  return targets;
}

/** A model in the table that is read. */
export async function activeModel(stored: StoredRows, name: string): Promise<AnyModel> {
  const { model } = projectionOf({ name });
  return generationOf(model, (await activeGenerations(stored)).get(tableOf(model)) ?? 0);
}

/** Which generation of each model is read, by the table of its first one. */
export async function activeGenerations(stored: StoredRows): Promise<Map<string, number>> {
  const reader = {
    // What must not be written is there, or there are no generations.
    async prepare() {},
    async get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>> {
      const rows = (await stored.hasTable(model)) ? await stored.get(model, keys) : [];
      // A table's rows are of its model.
      const parsed = rows.map(([key, partition, offset, text]): [string, Row<R>] => [
        key,
        { key, partition, offset, value: text === null ? null : (JSON.parse(text) as R) },
      ]);
      return new Map(parsed);
    },
  };
  const generations = await readGenerations(reader, projections);
  return new Map(projections.map(({ model }, i) => [tableOf(model), generations[i]?.active ?? 0]));
}

/** Folds the version of each stream, and throws a `Contradiction` where one does not follow or lies elsewhere. */
export const versionsOf = (partitions: number | undefined): Projection<number> => ({
  model: { name: 'stream_versions', version: 1, indexes: {} },
  keys: ({ stream }) => [stream],
  evolve(last, event) {
    const expected = (last ?? 0) + 1;
    if (event.version !== expected) throw misplaced(event, `it should be ${expected}`);
    if (
      partitions !== undefined &&
      expected === 1 &&
      partitionOf(event.stream, partitions) !== event.partition
    )
      throw misplaced(event, `but the stream belongs to partition ${partitionOf(event.stream, partitions)}`);
    return event.version;
  },
});

function misplaced({ partition, offset, stream, version }: Recorded, but: string): Contradiction {
  const what = `event ${offset} of partition ${partition} is version ${version} of ${stream}: ${but}`;
  return new Contradiction({ what, partition, offset });
}
