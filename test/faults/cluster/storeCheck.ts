import { isDeepStrictEqual } from 'node:util';
import type { Recorded } from '../../../src/domain/events.js';
import { checkCommit, emptyHead, type Head } from '../../../src/log/commit.js';
import { allProjections } from '../../../src/projections/allProjections.js';
import { decodeCommit } from '../../../src/projections/commitBuffer.js';
import { messageIdsModel } from '../../../src/projections/models/messageIdIndex.js';
import {
  type AnyProjection,
  collectKeys,
  type Folded,
  foldEvents,
  type Rows,
  selectTouching,
} from '../../../src/projections/projection.js';
import { type Engine, openEngine, type ProjectorEngine } from '../../../src/projections/store/engine.js';
import { foldedBy, type Model, type Row, tableOf } from '../../../src/projections/store/rowStore.js';

/** How long read models may take to catch up with the log. */
const CATCH_UP_MS = 30_000;
const BATCH = 64;

/**
 * Verifies a log and its read models beside the system that writes them: every commit follows the one before it
 * (position, offsets, roots, hash, epoch), and every row is what a fold of our own makes of the events.
 */
export class StoreCheck {
  /** A fold of the whole log, by model. Names need not be opened: values are made of the log alone. */
  readonly #folds: readonly { readonly projection: AnyProjection; readonly rows: Rows }[] = allProjections({
    notes: async (names) => names.map(() => null),
  }).map((projection) => ({ projection, rows: new Map() }));
  readonly #heads: Head[];
  /** Events that were read, and whose rows were not compared yet. */
  readonly #unlooked: Folded[] = [];

  constructor(
    private readonly engine: Pick<ProjectorEngine, 'store' | 'log' | 'partitions' | 'close'>,
    private readonly catchUpMs = CATCH_UP_MS,
    /** A model that is written minutes later, in large batches, and so is not compared. */
    private readonly batched?: string,
  ) {
    this.#heads = Array.from({ length: engine.partitions }, (_, partition) => emptyHead(partition));
  }

  /** Opens a log that is there. */
  static async open(engine: Engine): Promise<StoreCheck> {
    // On MongoDB the index of message ids is folded with all others.
    const batched = engine.kind === 'sqlite' ? messageIdsModel.name : undefined;
    return new StoreCheck(await openEngine(engine), CATCH_UP_MS, batched);
  }

  get partitions(): number {
    return this.engine.partitions;
  }

  /** The epoch of each partition's last commit; it rises when the partition changes its owner. */
  get epochs(): readonly number[] {
    return this.#heads.map(({ epoch }) => epoch);
  }

  /** Reads on to the end of the log; throws `BrokenCommit` and `HoleError`. */
  async readOn(): Promise<readonly Recorded[]> {
    const events: Folded[] = [];
    for (let partition = 0; partition < this.partitions; partition++)
      for (let more = true; more; ) {
        let head = this.#heads[partition] ?? emptyHead(partition);
        const commits = await this.engine.log.read(partition, head.position, BATCH);
        more = commits.length > 0;
        for (const commit of commits) {
          head = checkCommit(head, commit);
          events.push(...decodeCommit(commit).events);
        }
        this.#heads[partition] = head;
      }
    for (const { projection, rows } of this.#folds) foldEvents(projection, events, () => undefined, rows);
    this.#unlooked.push(...events);
    return events;
  }

  /** Reads on, waits for the read models, and compares the rows that all events since the last look touch. */
  async look(): Promise<string[]> {
    try {
      await this.readOn();
    } catch (error) {
      return [String(error)];
    }
    const events = this.#unlooked.splice(0);
    const found: string[] = [];
    for (const { projection, rows } of this.#folds) {
      if (projection.model.name === this.batched) continue;
      if (await this.#catchesUp(projection)) found.push(...(await this.#compare(projection, rows, events)));
      else found.push(`${projection.model.name} has not caught up with the log`);
    }
    return found;
  }

  close(): Promise<void> {
    return this.engine.close();
  }

  async #catchesUp({ model }: AnyProjection): Promise<boolean> {
    const deadline = performance.now() + this.catchUpMs;
    for (const { partition, size } of this.#heads)
      while (
        foldedBy(await this.engine.store.checkpoints([partition]), [tableOf(model)], partition).size < size
      ) {
        if (performance.now() > deadline) return false;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    return true;
  }

  async #compare(projection: AnyProjection, rows: Rows, events: readonly Recorded[]): Promise<string[]> {
    const found: string[] = [];
    const keys = [...collectKeys(selectTouching(projection, events))];
    for (let start = 0; start < keys.length; start += 500) {
      const page = keys.slice(start, start + 500);
      // The rows are only compared.
      const stored = await this.engine.store.get(projection.model as Model<unknown>, page);
      for (const key of page) {
        const expected = rows.get(key);
        const row = stored.get(key);
        // The system lives on: what was folded in after the end of our reading is looked at the next time.
        const isAhead = row && row.offset >= (this.#heads[row.partition]?.size ?? 0);
        if (!isAhead && !isDeepStrictEqual(plain(row), plain(expected)))
          found.push(
            `${projection.model.name} ${key}: ${JSON.stringify(row)}, a fold makes ${JSON.stringify(expected)}`,
          );
      }
    }
    return found;
  }
}

/** As JSON holds it: a field that is undefined is none. */
function plain(row: (Row<unknown> & { readonly isNew?: boolean }) | undefined): unknown {
  if (!row) return null;
  // How a fresh fold came to a row is not part of it.
  const { isNew: _, ...stored } = row;
  return JSON.parse(JSON.stringify(stored));
}
