import type { Model, RowReader } from './rows.js';
import { generationOf } from './tables.js';

/** Reads each model from its active generation. */
export class ActiveReader implements RowReader {
  readonly #reader: RowReader;
  readonly #active: Map<string, number>;
  readonly #open = new Set<Promise<unknown>>();

  /** `active`: generations other than 0, by model name. */
  constructor(reader: RowReader, active: ReadonlyMap<string, number>) {
    this.#reader = reader;
    this.#active = new Map(active);
  }

  get: RowReader['get'] = (model, keys) => this.#track(this.#reader.get(this.current(model), keys));

  range: RowReader['range'] = (model, range) => this.#track(this.#reader.range(this.current(model), range));

  find: RowReader['find'] = (model, index, find) =>
    this.#track(this.#reader.find(this.current(model), index, find));

  findPrefix: RowReader['findPrefix'] = (model, index, prefix, limit, from) =>
    this.#track(this.#reader.findPrefix(this.current(model), index, prefix, limit, from));

  /** Later reads are of this generation. Resolves when no read of another is open any more. */
  async switchTo(name: string, generation: number): Promise<void> {
    this.#active.set(name, generation);
    await Promise.allSettled(this.#open);
  }

  /** The model in the generation that is read. */
  current<R>(model: Model<R>): Model<R> {
    return generationOf(model, this.#active.get(model.name) ?? 0);
  }

  #track<T>(read: Promise<T>): Promise<T> {
    this.#open.add(read);
    const done = () => this.#open.delete(read);
    read.then(done, done);
    return read;
  }
}
