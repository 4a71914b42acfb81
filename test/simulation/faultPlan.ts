import type { RandomSource } from './randomSource.js';

/** The faults of a world: how often messages fail between nodes, or between a node and the database. */
export interface FaultPlan {
  readonly nodes: number;
  readonly partitions: number;
  readonly clients: number;
  /** The number of requests of each client. */
  readonly requests: number;
  /** The share of requests that are about groups. */
  readonly groupShare: number;
  /** A time at which this share of all requests comes at once. Their commits then share calls to the database. */
  readonly rush: { readonly at: number; readonly share: number };
  /** The time of the last fault, in milliseconds of the world. */
  readonly calmAt: number;
  readonly database: {
    /** The longest time that a request or an answer travels. */
    readonly travelMs: number;
    /** The longest time until a majority has a commit. */
    readonly majorityMs: number;
    readonly lost: number;
    readonly answerLost: number;
    /** The database receives the request only after the node's timeout. */
    readonly late: number;
    /** The connection breaks, before or after the request has arrived. */
    readonly broken: number;
    /** A call stores only some of its documents. It then fails, or is answered for those alone. */
    readonly partial: number;
  };
  readonly bus: {
    readonly travelMs: number;
    readonly lost: number;
    readonly repeated: number;
    /** The message arrives seconds later. */
    readonly late: number;
  };
  readonly folding: {
    /** The longest time between two steps of a read model. */
    readonly everyMs: number;
    /** Failing reads of writers. */
    readonly failed: number;
  };
  readonly faults: readonly Fault[];
}

/** A fault of one node, or of the database, for a while. */
export interface Fault {
  readonly kind: (typeof faults)[number];
  readonly at: number;
  readonly ms: number;
  /** The place of the node, or the owner of the first partition at that time. */
  readonly node: number;
  readonly isOwner: boolean;
}

const faults = [
  /** The process dies; another one starts in its place. */
  'kill',
  /** The process hands over and ends; another one starts in its place. */
  'stop',
  /** The process is paused, and does not notice. */
  'pause',
  /** The node is cut off from the other nodes. */
  'cut off from the bus',
  /** No request or answer passes between the node and the database. */
  'cut off from the database',
  /** The database has another primary; writes without a majority are rolled back. */
  'fail-over',
] as const;

/** Draws the faults of a world. Many worlds have few kinds of faults, which explores these kinds deeper. */
export function faultPlan(random: RandomSource): FaultPlan {
  const span = random.between(3000, 12_000);
  const some = (most: number) => (random.chance(0.5) ? random.between(0, most) : 0);
  const nodes = random.one([1, 2, 2, 3, 3, 3, 4]);
  const kinds = faults.filter(() => random.chance(0.35));
  const befalling = kinds.flatMap((kind) =>
    Array.from({ length: random.whole(1, 3) }, (): Fault => {
      // From less than an attempt to more than a lease.
      const longest = random.one([200, 2000, 8000, 12_000]);
      const ms = random.between(longest / 2, longest);
      return {
        kind,
        at: random.between(0, span),
        ms,
        node: random.whole(0, nodes - 1),
        isOwner: random.chance(0.6),
      };
    }),
  );
  return {
    nodes,
    partitions: random.one([1, 2, 3, 4]),
    clients: random.one([2, 2, 3, 4, 6]),
    requests: random.whole(4, 16),
    groupShare: random.one([0, 0.3, 0.7]),
    rush: { at: random.between(span / 2, span), share: random.one([0, 0.3, 0.8]) },
    calmAt: befalling.reduce((latest, { at, ms }) => Math.max(latest, at + ms), span),
    database: {
      travelMs: random.one([2, 5, 5, 50, 400]),
      majorityMs: random.one([5, 20, 20, 1000]),
      lost: some(0.1),
      answerLost: some(0.1),
      late: some(0.1),
      broken: some(0.1),
      partial: some(1),
    },
    bus: { travelMs: random.one([1, 5, 50, 300]), lost: some(0.3), repeated: some(0.2), late: some(0.1) },
    folding: { everyMs: random.one([200, 600, 3000]), failed: some(0.1) },
    faults: befalling,
  };
}
