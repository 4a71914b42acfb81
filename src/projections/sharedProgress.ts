import type { Note } from '../cluster/bus.js';
import type { Time } from '../domain/shapes.js';
import { type ModelAdvance, Poller, ProgressNotes } from './progressNotes.js';
import { Waiter } from './waiter.js';

interface SharedProgressOptions {
  /** Tree sizes that are folded at the start: by model, then by partition. */
  readonly folded: ReadonlyMap<string, readonly number[]>;
  /** By model the table that it is told by: processes of other versions may fold the same model into another one. */
  readonly tables: ReadonlyMap<string, string>;
  /** Partitions folded here from the start; all, if not said. */
  readonly owned: readonly number[] | undefined;
  /** Asks the projector of this process to write, without delay, all of the partition below `size`. */
  want(partition: number, size: number): void;
  /** How far the models are in these partitions by the store's checkpoints. */
  look(partitions: readonly number[]): Promise<readonly ModelAdvance[]>;
  /** Tells the other processes. */
  tell(note: Note): void;
  /** The store could not be looked at; it will be tried again. */
  onTrouble(error: unknown): void;
}

/**
 * How far the read models are, whoever folds them. Of its own partitions it knows from the projector; of the others by
 * notes, and from the store's checkpoints where notes are lost. What it gives others to know are its own.
 */
export class SharedProgress {
  readonly waiter: Waiter;
  readonly #options: SharedProgressOptions;
  readonly #poller: Poller;
  readonly #notes: ProgressNotes;
  /** By table. */
  readonly #models: ReadonlyMap<string, string>;
  #owned: ReadonlySet<number> | undefined;

  constructor(options: SharedProgressOptions) {
    this.#options = options;
    this.#owned = options.owned && new Set(options.owned);
    this.#models = new Map([...options.tables].map(([model, table]) => [table, model]));
    this.#notes = new ProgressNotes((advances) => this.#tell(advances));
    this.#poller = new Poller({
      waited: () => this.waiter.waited(),
      behind: () => this.waiter.lacking(),
      look: async (partitions) => this.#advance(await options.look(partitions)),
      onTrouble: options.onTrouble,
    });
    this.waiter = new Waiter({
      folded: options.folded,
      owns: (partition) => this.owns(partition),
      want: (partition, size) => this.#want(partition, size),
      onLack: (why) => (why === 'waited' ? this.#poller.waits() : this.#poller.lags()),
    });
  }

  /** Whether this process folds the partition. */
  owns(partition: number): boolean {
    return this.#owned?.has(partition) ?? true;
  }

  /** From now on it folds these. */
  own(partitions: readonly number[]): void {
    for (const partition of partitions) if (!this.owns(partition)) this.waiter.came(partition);
    this.#owned = new Set(partitions);
    // Somebody may be waiting for one that went.
    this.#poller.waits();
  }

  /** The projector of this process has written these, and sees commits it has yet to fold since `behindSince`. */
  written(advances: readonly ModelAdvance[], behindSince: Time | undefined): void {
    this.waiter.behind(behindSince);
    this.#advance(advances);
    this.#notes.advanced(advances);
  }

  /** What another process tells. */
  heard(note: Note): void {
    if (note.kind === 'progress')
      for (const [table, partition, size] of note.advances) {
        const model = this.#models.get(table);
        if (model !== undefined) this.waiter.advance(model, partition, size);
      }
    if (note.kind !== 'want' || !this.owns(note.partition)) return;
    this.#notes.wants(note.partition, note.size, this.waiter.at(note.partition));
    this.#options.want(note.partition, note.size);
  }

  /** Tells what is left to be told, and looks no more. */
  stop(): void {
    this.#poller.stop();
    this.#notes.flush();
  }

  #want(partition: number, size: number): void {
    if (this.owns(partition)) this.#options.want(partition, size);
    else this.#options.tell({ kind: 'want', partition, size });
  }

  #tell(advances: readonly ModelAdvance[]): void {
    const { tables, tell } = this.#options;
    const told = advances.map(
      ({ model, partition, size }) => [tables.get(model) ?? model, partition, size] as const,
    );
    tell({ kind: 'progress', advances: told });
  }

  #advance(advances: readonly ModelAdvance[]): void {
    for (const { model, partition, size } of advances) this.waiter.advance(model, partition, size);
  }
}
