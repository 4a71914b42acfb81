import { type Commit, type EventLog, HoleError, type Outcome } from '../../src/log/log.js';
import type { LogStore } from '../conformance/eventLog.js';

/** A good store whose logs are spoiled by `spoil`, which is given how a good one would do each thing. */
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
        partitions: log.partitions,
        append: (commit) => log.append(commit),
        read: (partition, after, limit) => log.read(partition, after, limit),
        places: (partition, positions) => log.places(partition, positions),
        tail: (partition) => log.tail(partition),
        close: () => log.close(),
      };
      return { ...whole, ...spoil(log, good) };
    },
  };
}

type Spoil = (log: EventLog, store: LogStore) => Partial<EventLog>;

/** Reads on past a hole as if nothing were missing. */
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

/** Looks for commits by where their leaves end. */
export const misplaces: Spoil = (log) => ({
  async places(partition, positions) {
    const places = await log.places(partition, positions);
    return places.map((place) => ({ ...place, firstOffset: place.size }));
  },
});

/** Does not look whether a position follows the tail. */
export const acceptsAnyPosition: Spoil = (log) => ({
  append: (commit) => log.append(commit).catch((): Outcome => ({ kind: 'committed' })),
});

/** Lets the last writer have a position. */
export const reusesPositions: Spoil = (log, store) => ({
  async append(commit) {
    const outcome = await log.append(commit);
    if (outcome.kind === 'committed') return outcome;
    await store.remove(commit.partition, commit.position);
    return log.append(commit);
  },
});

/** Says committed when a commit is in memory, and writes it never. */
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

/** Knows its commits by position only: a repeat of its own is another's to it. */
export const forgetsCommitIds: Spoil = (log) => ({
  async append(commit) {
    const [there] = await log.read(commit.partition, commit.position - 1, 1);
    return there ? { kind: 'lost', to: there } : log.append(commit);
  },
});

/** Reads what it has read before, as from a replica that lags. */
export const readsStale: Spoil = (log) => {
  let tail: Promise<Commit | undefined> | undefined;
  return {
    tail(partition) {
      tail ??= log.tail(partition);
      return tail;
    },
  };
};

/** Stores what a leaf means, not what it is. */
export const reencodes =
  (change: (leaf: string) => string): Spoil =>
  (log) => ({
    read: async (partition, after, limit) =>
      (await log.read(partition, after, limit)).map((commit) => ({
        ...commit,
        leaves: commit.leaves.map(change),
      })),
  });

/** Loses the answer to the next append; what is done then is `settle`'s. */
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
