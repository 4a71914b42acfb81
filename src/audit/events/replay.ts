import { WorkerPool } from '../../base/rpc.js';
import { openAuditedLog } from '../storedRows.js';
import { Meter, type OnProgress } from '../verify/report.js';
import { type FilteredRange, findRanges, readTails } from './eventFilter.js';
import type { Rendered, RenderOptions } from './render.js';
import type { RenderApi } from './renderWorker.js';

/** Events that one call of a thread is to render, about; and commits, at most. */
const BLOCK = { events: 1024, commits: 1024 };
/** For a block's texts. */
const YOUNG_GENERATION_MB = 48;
/** Calls of which a thread has one in work and one waiting. */
const CALLS_PER_THREAD = 2;

/** Takes UTF-8; the next comes once it resolves. */
export type Write = (text: Uint8Array) => Promise<void>;

/**
 * Writes the events there are now by time, then partition, then offset, opened where their keys still exist. Changes
 * nothing, and may run beside a running system; memory does not grow with the log. Rejects with `VaultUnavailable`
 * where it cannot be known whether something is erased.
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
    await merge(sources, write);
    return { events: sources.reduce((sum, { events }) => sum + events, 0) };
  } finally {
    await pool.close();
  }
}

/** One partition's text, commit by commit; some blocks are rendered ahead. */
class RenderedPartition {
  /** How many events have been rendered and taken. */
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

  /** The time of the commit that is next; undefined: there is none. */
  get time(): string | undefined {
    return this.#current.commits[this.#at]?.recordedAt;
  }

  /** Makes the next commit known. */
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

  /** The text of the commits that come before this one in time; of the same time only if `isFirst`. */
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
      // Whoever comes to it is told; until then it is nobody's error.
      block.catch(() => {});
      this.#blocks.push(block);
      this.#asked = to;
    }
  }
}

/** Writes the sources' commits by time, then partition. */
async function merge(sources: readonly RenderedPartition[], write: Write): Promise<void> {
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
