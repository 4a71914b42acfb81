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

  get: RowReader['get'] = (model, keys) => this.reading(model, (current) => this.#reader.get(current, keys));

  range: RowReader['range'] = (model, range) =>
    this.reading(model, (current) => this.#reader.range(current, range));

  find: RowReader['find'] = (model, index, find) =>
    this.reading(model, (current) => this.#reader.find(current, index, find));

  findPrefix: RowReader['findPrefix'] = (model, index, prefix, limit, from) =>
    this.reading(model, (current) => this.#reader.findPrefix(current, index, prefix, limit, from));

  /** Reads the model in the generation that is read, whichever way; it is not dropped before that has settled. */
  reading<R, T>(model: Model<R>, read: (current: Model<R>) => Promise<T>): Promise<T> {
    const reading = read(this.current(model));
    this.#open.add(reading);
    const done = () => this.#open.delete(reading);
    reading.then(done, done);
    return reading;
  }

  /** Later reads are of this generation. Resolves when no read of another is open any more. */
  async switchTo(name: string, generation: number): Promise<void> {
    this.#active.set(name, generation);
    await Promise.allSettled(this.#open);
  }

  /** The model in the generation that is read. */
  current<R>(model: Model<R>): Model<R> {
    return generationOf(model, this.#active.get(model.name) ?? 0);
  }
}
