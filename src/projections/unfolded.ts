import type { LeafCommit } from './frame.js';

/** Commits a partition whose times are kept apart; beyond, they count as old as the last one kept. */
const timesMost = 1024;

interface Entry {
  size: number;
  /** Milliseconds since 1970, on the clock of the process that recorded it. */
  recordedAt: number;
  /** On the monotonic clock of this process. */
  readonly seenAt: number;
}

/** The commits that this process was told of and that are not in every read model yet. */
export class Unfolded {
  /** Oldest first, by partition; never an empty list. */
  readonly #entries = new Map<number, Entry[]>();

  add({ partition, size, recordedAt }: Pick<LeafCommit, 'partition' | 'size' | 'recordedAt'>, ticks: number) {
    const entries = this.#entries.get(partition) ?? [];
    const last = entries.at(-1);
    if (last && entries.length >= timesMost) last.size = Math.max(last.size, size);
    else entries.push({ size, recordedAt: Date.parse(recordedAt), seenAt: ticks });
    this.#entries.set(partition, entries);
  }

  /** All below `size` is in every model. */
  remove(partition: number, size: number): void {
    const entries = this.#entries.get(partition);
    while (entries?.[0] && entries[0].size <= size) entries.shift();
    if (entries?.length === 0) this.#entries.delete(partition);
  }

  /** Whoever folds the partition from now on is not to blame for what lay there before. */
  rebase(partition: number, now: number): void {
    for (const entry of this.#entries.get(partition) ?? []) entry.recordedAt = now;
  }

  get partitions(): readonly number[] {
    return [...this.#entries.keys()];
  }

  /** When the oldest one was recorded; undefined if there is none. */
  recordedAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.recordedAt;
  }

  /** When this process was told of the oldest one; undefined if there is none. */
  seenAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.seenAt;
  }

  /** The largest size told of; 0 if there is none. */
  size(partition: number): number {
    return Math.max(0, ...(this.#entries.get(partition) ?? []).map(({ size }) => size));
  }
}
