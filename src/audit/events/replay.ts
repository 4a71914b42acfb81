import { WorkerPool } from '../../base/workerThreads.js';
import { openAuditedLog } from '../storedRows.js';
import { Meter, type OnProgress } from '../verify/report.js';
import { type FilteredRange, findRanges, readTails } from './eventFilter.js';
import type { Rendered, RenderOptions } from './render.js';
import type { RenderApi } from './renderWorker.js';

/** About how many events one call renders, and how many commits at most. */
const BLOCK = { events: 1024, commits: 1024 };
/** The memory for the texts of one block. */
const YOUNG_GENERATION_MB = 48;
/** Two calls for each thread: one runs and one waits. */
const CALLS_PER_THREAD = 2;

/** Writes UTF-8 text. The next call comes after it resolves. */
export type Write = (text: Uint8Array) => Promise<void>;

/**
 * Writes the events that are in the log now, by time, then partition, then offset. Events are opened if their
 * keys still exist. Changes nothing, may run beside a server, and uses constant memory. Rejects with
 * `VaultUnavailable` if the vault cannot tell whether a user is erased.
 */
export async function replay(
  options: RenderOptions,
  write: Write,
  onProgress?: OnProgress,
): Promise<{ events: number }> {
  const { engine, filter } = options;
  const log = await openAuditedLog(engine);
  const ranges = await readTails(log, filter)
    .then((tails) => findRanges(log, filter, tails))
    .finally(() => log.close());
  const total = ranges.reduce((sum, { events }) => sum + events, 0);
  const meter = new Meter('replay', total, onProgress);
  const pool = new WorkerPool<RenderApi>(
    new URL('./renderWorker.js', import.meta.url),
    options,
    YOUNG_GENERATION_MB,
  );
  try {
    const each = Math.max(1, Math.ceil((pool.size * CALLS_PER_THREAD) / Math.max(1, ranges.length)));
    const sources = ranges.map((range) => new RenderedPartition(range, pool, each, meter));
    await writeMerged(sources, write);
    return { events: sources.reduce((sum, { events }) => sum + events, 0) };
  } finally {
    await pool.close();
  }
}

/** One partition's text, commit by commit; a few blocks are rendered ahead. */
class RenderedPartition {
  /** The number of events that are rendered and taken. */
  events = 0;
  readonly partition: number;
  readonly #blocks: Promise<Rendered>[] = [];
  readonly #size: number;
  #asked: number;
  #current: Rendered = { text: new Uint8Array(), commits: [], events: 0 };
  #at = 0;

  constructor(
    private readonly range: FilteredRange,
    private readonly pool: WorkerPool<RenderApi>,
    private readonly ahead: number,
    private readonly meter: Meter,
  ) {
    const { partition, after, upTo, events } = range;
    this.partition = partition;
    this.#asked = after;
    const commits = Math.ceil((BLOCK.events * (upTo - after)) / Math.max(1, events));
    this.#size = Math.min(commits, BLOCK.commits);
  }

  /** The time of the next commit; undefined if there is none. */
  get time(): string | undefined {
    return this.#current.commits[this.#at]?.recordedAt;
  }

  /** Loads blocks until the next commit is known, or the partition ends. */
  async advance(): Promise<void> {
    while (this.time === undefined) {
      this.#ask();
      const block = await this.#blocks.shift();
      if (!block) return;
      this.#current = block;
      this.#at = 0;
      this.events += block.events;
      this.meter.add(block.events);
    }
  }

  /** Takes the text of the commits before this time; of the same time only if `isFirst`. */
  take(before: string | undefined, isFirst: boolean): Uint8Array {
    const { text, commits } = this.#current;
    const start = commits[this.#at - 1]?.end ?? 0;
    for (; this.time !== undefined; this.#at++) {
      if (before === undefined || this.time < before) continue;
      if (this.time > before || !isFirst) break;
    }
    return text.subarray(start, commits[this.#at - 1]?.end ?? 0);
  }

  #ask(): void {
    const { partition, upTo } = this.range;
    while (this.#asked < upTo && this.#blocks.length < this.ahead) {
      const to = Math.min(this.#asked + this.#size, upTo);
      const block = this.pool.next().render(partition, this.#asked, to);
      // `advance` throws the error when it comes to this block; until then it is not unhandled.
      block.catch(() => {});
      this.#blocks.push(block);
      this.#asked = to;
    }
  }
}

/** Writes the partitions' commits by time, then partition. */
async function writeMerged(sources: readonly RenderedPartition[], write: Write): Promise<void> {
  for (;;) {
    for (const source of sources) await source.advance();
    const left = sources.filter(({ time }) => time !== undefined);
    const [first, second] = left.sort(byTime);
    if (!first) return;
    const text = first.take(second?.time, second === undefined || first.partition < second.partition);
    if (text.length > 0) await write(text);
  }
}

function byTime(a: RenderedPartition, b: RenderedPartition): number {
  if (a.time === b.time) return a.partition - b.partition;
  return (a.time ?? '') < (b.time ?? '') ? -1 : 1;
}
