import { type Commit, type EventLog, HoleError, type Outcome } from '../../src/log/log.js';
import type { LogStore } from '../conformance/eventLog.js';

/** Wraps a good store. `spoil` gets the good log and returns the broken functions. */
export function spoiled(
  good: LogStore,
  spoil: (log: EventLog, store: LogStore) => Partial<EventLog>,
): LogStore {
  return {
    ...good,
    async open(partitions) {
      const log = await good.open(partitions);
      const whole: EventLog = {
        id: log.id,
        history: log.history,
        partitions: log.partitions,
        append: (commit) => log.append(commit),
        read: (partition, after, limit) => log.read(partition, after, limit),
        readNext: (places, limit) => log.readNext(places, limit),
        places: (partition, positions) => log.places(partition, positions),
        tail: (partition) => log.tail(partition),
        close: () => log.close(),
      };
      return { ...whole, ...spoil(log, good) };
    },
  };
}

type Spoil = (log: EventLog, store: LogStore) => Partial<EventLog>;

/** Reads past a hole as if nothing were missing. */
export const skipsHoles: Spoil = (log) => {
  const read = async (partition: number, after: number, limit: number): Promise<Commit[]> => {
    try {
      return await log.read(partition, after, limit);
    } catch (error) {
      if (!(error instanceof HoleError)) throw error;
      const before =
        error.missing > after + 1 ? await log.read(partition, after, error.missing - after - 1) : [];
      return [...before, ...(await read(partition, error.missing, limit))];
    }
  };
  return { read };
};

/** Takes the limit of each partition for one of all. */
export const readsNextOfFirst: Spoil = (log) => ({
  readNext: async (places, limit) => (await log.readNext(places, limit)).slice(0, limit),
});

/** Reads several partitions past a hole of one of them. */
export const readsNextPastHoles: Spoil = (log) => ({
  async readNext(places, limit) {
    try {
      return await log.readNext(places, limit);
    } catch (error) {
      if (!(error instanceof HoleError)) throw error;
      return log.readNext(
        places.filter(({ partition }) => partition !== error.partition),
        limit,
      );
    }
  },
});

/** Returns wrong places of commits. */
export const misplaces: Spoil = (log) => ({
  async places(partition, positions) {
    const places = await log.places(partition, positions);
    return places.map((place) => ({ ...place, firstOffset: place.size }));
  },
});

/** Accepts positions that do not follow the tail. */
export const acceptsAnyPosition: Spoil = (log) => ({
  append: (commit) => log.append(commit).catch((): Outcome => ({ kind: 'committed' })),
});

/** Lets the last writer of a position win. */
export const reusesPositions: Spoil = (log, store) => ({
  async append(commit) {
    const outcome = await log.append(commit);
    if (outcome.kind === 'committed') return outcome;
    await store.remove(commit.partition, commit.position);
    return log.append(commit);
  },
});

/** Acknowledges commits that stay in memory. */
export const acknowledgesTooSoon: Spoil = (log) => {
  const pending: Commit[] = [];
  const all = async (partition: number): Promise<Commit[]> => [
    ...(await log.read(partition, 0, 1000)),
    ...pending.filter((commit) => commit.partition === partition),
  ];
  return {
    async append(commit) {
      const there = (await all(commit.partition))[commit.position - 1];
      if (there && there.id !== commit.id) return { kind: 'lost', to: there };
      if (!there) pending.push(commit);
      return { kind: 'committed' };
    },
    read: async (partition, after, limit) => (await all(partition)).slice(after, after + limit),
    tail: async (partition) => (await all(partition)).at(-1),
  };
};

/** Recognises commits by position only, so that a repeat looks like another writer's commit. */
export const forgetsCommitIds: Spoil = (log) => ({
  async append(commit) {
    const [there] = await log.read(commit.partition, commit.position - 1, 1);
    return there ? { kind: 'lost', to: there } : log.append(commit);
  },
});

/** Returns earlier results again, like a lagging replica. */
export const readsStale: Spoil = (log) => {
  let tail: Promise<Commit | undefined> | undefined;
  return {
    tail(partition) {
      tail ??= log.tail(partition);
      return tail;
    },
  };
};

/** Stores the parsed value of a leaf instead of its bytes. */
export const reencodes =
  (change: (leaf: string) => string): Spoil =>
  (log) => ({
    read: async (partition, after, limit) =>
      (await log.read(partition, after, limit)).map((commit) => ({
        ...commit,
        leaves: commit.leaves.map(change),
      })),
  });

/** Loses the answer to the next append. `settle` decides what the log does then. */
export function unanswered(
  good: LogStore,
  settle: (log: EventLog, commit: Commit) => Promise<Outcome>,
): LogStore {
  let lose = false;
  const store = spoiled(good, (log) => ({
    async append(commit) {
      const outcome = await log.append(commit);
      if (!lose) return outcome;
      lose = false;
      return settle(log, commit);
    },
  }));
  return {
    ...store,
    loseNextAnswer() {
      lose = true;
    },
  };
}
