import { type Random, upTo } from '../../support/random.js';

/** What can happen to a process. Of these a node suffers one in a round. */
const PROCESS = ['killed', 'paused', 'handed over'] as const;
/**
 * What can happen to the way of a node to its database. Of these, too, one a node in a round. Unheard: what it asks
 * never arrives; mute: it is done, and the answer never comes; late: nobody waits for the answer any more.
 */
const DATABASE = ['cut off', 'slow', 'unheard', 'mute', 'late', 'reset'] as const;

export type Kind = (typeof PROCESS)[number] | (typeof DATABASE)[number] | 'bus gone';

export interface Fault {
  readonly kind: Kind;
  /** The index of the node; of the bus: none. */
  readonly node?: number;
  /** When it begins, in ms from the beginning of the load. */
  readonly at: number;
  /** How long it lasts; of a process that ends: how long until another is started. */
  readonly forMs: number;
  /** How much later answers come, where that is the fault. */
  readonly delayMs?: number;
}

/** What there is to break. */
export interface Breakable {
  readonly nodes: number;
  readonly bus: boolean;
  readonly database: boolean;
}

/** Longer than a lease, and than what the driver is given for one attempt. */
const LEASE_MS = 5000;

/** How long each kind lasts, in ms. */
const LASTS: Readonly<Record<Kind, { readonly least: number; readonly most: number }>> = {
  killed: { least: 0, most: 2500 },
  paused: { least: LEASE_MS + 300, most: LEASE_MS + 2000 },
  'handed over': { least: 0, most: 500 },
  'cut off': { least: 300, most: LEASE_MS + 1500 },
  slow: { least: 1000, most: 5000 },
  unheard: { least: 500, most: LEASE_MS + 1500 },
  mute: { least: 500, most: LEASE_MS + 1500 },
  late: { least: 2000, most: LEASE_MS + 1000 },
  reset: { least: 300, most: 3000 },
  'bus gone': { least: 300, most: 4000 },
};

/** One round in so many is a storm: a fault of every kind that finds a place. */
const STORM_EVERY = 6;

/** The faults of a round of `loadMs`, in the order in which they begin. The same for the same row of numbers. */
export function drawFaults(random: Random, breakable: Breakable, loadMs: number): Fault[] {
  const isStorm = upTo(STORM_EVERY, random) === 0;
  const kinds = shuffled(kindsOf(breakable), random);
  const chosen = isStorm ? kinds : kinds.slice(0, 1 + upTo(2, random));
  const free = { process: allOf(breakable), database: allOf(breakable) };
  return chosen
    .flatMap((kind): Fault[] => {
      const { least, most } = LASTS[kind];
      const forMs = least + upTo(most - least, random);
      // It ends with the load at the latest, unless it is longer than that.
      const at = 300 + upTo(Math.max(loadMs - 600 - forMs, 1), random);
      if (kind === 'bus gone') return [{ kind, at, forMs }];
      const nodes = free[isOfProcess(kind) ? 'process' : 'database'];
      const [node] = nodes.splice(upTo(nodes.length, random), 1);
      if (node === undefined) return [];
      const delayMs = delayOf(kind, random);
      return [{ kind, node, at, forMs, ...(delayMs === undefined ? {} : { delayMs }) }];
    })
    .sort((a, b) => a.at - b.at);
}

/** A fault in words. */
export function sayFault({ kind, node, at, forMs, delayMs }: Fault): string {
  const where = node === undefined ? kind : `node${node} ${kind}`;
  const how = delayMs === undefined ? '' : ` by ${delayMs} ms`;
  return `${where}${how} at ${at} ms for ${forMs} ms`;
}

function kindsOf({ bus, database }: Breakable): Kind[] {
  return [...PROCESS, ...(database ? DATABASE : []), ...(bus ? (['bus gone'] as const) : [])];
}

const isOfProcess = (kind: Kind): boolean => PROCESS.some((one) => one === kind);

function delayOf(kind: Kind, random: Random): number | undefined {
  if (kind === 'slow') return 50 + upTo(950, random);
  // An answer that comes when nobody waits for it any more.
  if (kind === 'late') return LEASE_MS + 200 + upTo(500, random);
  return kind === 'reset' ? upTo(300, random) : undefined;
}

const allOf = ({ nodes }: Breakable): number[] => Array.from({ length: nodes }, (_, node) => node);

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(upTo(rest.length, random), 1));
}
