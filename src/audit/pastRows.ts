import { foldEvents, type Rows } from '../projections/fold.js';
import type { AnyProjection, Folded } from '../projections/projection.js';
import type { Model } from '../projections/rows.js';

/** Read models in memory, of some events: the very folds that run live. */
export class PastRows {
  readonly #tables: readonly { readonly projection: AnyProjection; readonly rows: Rows }[];

  constructor(projections: readonly AnyProjection[]) {
    this.#tables = projections.map((projection) => ({ projection, rows: new Map() }));
  }

  /** Events are given in their order. */
  fold(event: Folded): void {
    for (const { projection, rows } of this.#tables) foldEvents(projection, [event], () => undefined, rows);
  }

  get<R>(model: Model<R>, key: string): R | undefined {
    // A model's rows are made by its projection.
    return (this.#rows(model).get(key)?.value ?? undefined) as R | undefined;
  }

  /** In the order in which they were first written. */
  values<R>(model: Model<R>): R[] {
    const values = [...this.#rows(model).values()].map(({ value }) => value);
    // As above; a tombstone is no value.
    return values.filter((value) => value !== null) as R[];
  }

  #rows(model: Pick<Model<unknown>, 'name'>): Rows {
    const table = this.#tables.find(({ projection }) => projection.model.name === model.name);
    if (!table) throw new RangeError(`${model.name} is not folded here`);
    return table.rows;
  }
}
