import type { Draw } from './draw.js';

/** How often something goes wrong with what travels between a node and the database, or between two nodes. */
export interface Weather {
  readonly nodes: number;
  readonly partitions: number;
  readonly clients: number;
  /** How many wishes each client has. */
  readonly wishes: number;
  /** From then on nothing goes wrong any more, in milliseconds of the world. */
  readonly calmAt: number;
  readonly database: {
    /** How long a request or an answer travels at most. */
    readonly travelMs: number;
    /** How long it takes at most until a majority has a commit. */
    readonly majorityMs: number;
    readonly lost: number;
    readonly answerLost: number;
    /** Taken by the database only after the node has given up. */
    readonly late: number;
    /** The connection breaks, before or after the request has arrived. */
    readonly broken: number;
  };
  readonly bus: {
    readonly travelMs: number;
    readonly lost: number;
    readonly repeated: number;
    /** Arrives seconds later. */
    readonly late: number;
  };
  readonly folding: {
    /** At most so long from one step of a read model to the next. */
    readonly everyMs: number;
    /** Reads of writers that fail. */
    readonly failed: number;
  };
  readonly mishaps: readonly Mishap[];
}

/** Something that befalls one node, or the database, for a while. */
export interface Mishap {
  readonly kind: (typeof mishaps)[number];
  readonly at: number;
  readonly ms: number;
  /** Which node: its place, or whichever owns the first partition then, if one does. */
  readonly node: number;
  readonly isOwner: boolean;
}

const mishaps = [
  /** The process dies; another one starts in its place. */
  'kill',
  /** The process hands over and ends; another one starts in its place. */
  'stop',
  /** The process is held, and does not notice. */
  'pause',
  /** It is cut off from the other nodes. */
  'cut off from the bus',
  /** Nothing of it reaches the database, or nothing comes back. */
  'cut off from the database',
  /** The database has another primary: what no majority has is taken back. */
  'fail-over',
] as const;

/** A world's weather. Many have few troubles, of one or two kinds: these go deepest into the kinds they have. */
export function weather(draw: Draw): Weather {
  const span = draw.between(3000, 12_000);
  const some = (most: number) => (draw.chance(0.5) ? draw.between(0, most) : 0);
  const nodes = draw.one([1, 2, 2, 3, 3, 3, 4]);
  const kinds = mishaps.filter(() => draw.chance(0.35));
  const befalling = kinds.flatMap((kind) =>
    Array.from({ length: draw.whole(1, 3) }, (): Mishap => {
      // From less than an attempt to more than a lease.
      const longest = draw.one([200, 2000, 8000, 12_000]);
      const ms = draw.between(longest / 2, longest);
      return {
        kind,
        at: draw.between(0, span),
        ms,
        node: draw.whole(0, nodes - 1),
        isOwner: draw.chance(0.6),
      };
    }),
  );
  return {
    nodes,
    partitions: draw.one([1, 1, 2, 3]),
    clients: draw.one([2, 2, 2, 3, 4]),
    wishes: draw.whole(4, 16),
    calmAt: befalling.reduce((latest, { at, ms }) => Math.max(latest, at + ms), span),
    database: {
      travelMs: draw.one([2, 5, 5, 50, 400]),
      majorityMs: draw.one([5, 20, 20, 1000]),
      lost: some(0.1),
      answerLost: some(0.1),
      late: some(0.1),
      broken: some(0.1),
    },
    bus: { travelMs: draw.one([1, 5, 50, 300]), lost: some(0.3), repeated: some(0.2), late: some(0.1) },
    folding: { everyMs: draw.one([200, 600, 3000]), failed: some(0.1) },
    mishaps: befalling,
  };
}
