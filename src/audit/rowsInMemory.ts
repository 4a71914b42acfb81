import { type AnyProjection, type Folded, foldEvents, type Rows } from '../projections/projection.js';
import type { Model, Row } from '../projections/store/rowStore.js';

/** Read models in memory, folded from some events by the same folds that run live. */
export class RowsInMemory {
  readonly #tables: readonly { readonly projection: AnyProjection; readonly rows: Rows }[];

  constructor(projections: readonly AnyProjection[]) {
    this.#tables = projections.map((projection) => ({ projection, rows: new Map() }));
  }

  /** Events must come in their order. */
  fold(event: Folded): void {
    for (const { projection, rows } of this.#tables) foldEvents(projection, [event], () => undefined, rows);
  }

  get<R>(model: Model<R>, key: string): R | undefined {
    // A model's rows are made by its projection.
    return (this.#rows(model).get(key)?.value ?? undefined) as R | undefined;
  }

  /** The rows in the order in which they were first written. */
  all<R>(model: Model<R>): Row<R>[] {
    // A model's rows are made by its projection.
    return [...this.#rows(model).values()] as Row<R>[];
  }

  #rows(model: Pick<Model<unknown>, 'name'>): Rows {
    const table = this.#tables.find(({ projection }) => projection.model.name === model.name);
    if (!table) throw new RangeError(`${model.name} is not folded here`);
    return table.rows;
  }
}

/** Streams that are read concurrently. */
const CONCURRENT_STREAMS = 16;

/** What `work` makes of each row, in their order, several rows at a time. */
export async function mapRows<R, T>(
  pages: AsyncIterable<readonly Row<R>[]>,
  work: (row: Row<R>) => Promise<T | undefined>,
): Promise<T[]> {
  const found: T[] = [];
  for await (const page of pages)
    for (let at = 0; at < page.length; at += CONCURRENT_STREAMS)
      for (const one of await Promise.all(page.slice(at, at + CONCURRENT_STREAMS).map(work)))
        if (one !== undefined) found.push(one);
  return found;
}
