import type { EventLog } from '../../../src/log/log.js';

const COMMITS_PER_READ = 200;

/** Which types of events a log holds, as its leaves say; a reader that need not know them. */
export class WrittenTypes {
  readonly #counts: Map<string, number>[];
  readonly #positions: number[];

  constructor(private readonly log: EventLog) {
    this.#counts = Array.from({ length: log.partitions }, () => new Map());
    this.#positions = this.#counts.map(() => 0);
  }

  /** How many events of a type there are now, by partition. */
  async of(type: string): Promise<readonly number[]> {
    await Promise.all(this.#counts.map((_, partition) => this.#read(partition)));
    return this.#counts.map((counts) => counts.get(type) ?? 0);
  }

  async #read(partition: number): Promise<void> {
    const counts = this.#counts[partition] ?? new Map<string, number>();
    for (;;) {
      const commits = await this.log.read(partition, this.#positions[partition] ?? 0, COMMITS_PER_READ);
      for (const leaf of commits.flatMap(({ leaves }) => leaves)) {
        const [, , type] = JSON.parse(leaf) as [string, number, string]; // As every leaf begins.
        counts.set(type, (counts.get(type) ?? 0) + 1);
      }
      const last = commits.at(-1);
      if (!last) return;
      this.#positions[partition] = last.position;
    }
  }
}
