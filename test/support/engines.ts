import { isSoak } from './lanes.js';
import { freshDatabase, mongoUrl } from './mongo.js';
import { natsUrl } from './nats.js';
import { Nodes } from './nodes.js';
import type { Place } from './people.js';
import { type Engine, type ServerOptions, type ServerProcess, startServer } from './server.js';

/** One process on this engine, or `nodes`: several on one database, asked in turn. */
export type Kind = Engine | 'nodes';

export const allEngines: readonly Engine[] = ['sqlite', 'mongodb'];
/**
 * For suites of what people see: to them, any number of processes are one system. Nodes on MongoDB do what one node on
 * it does, which the long form runs too.
 */
export const allKinds: readonly Kind[] = isSoak ? [...allEngines, 'nodes'] : ['sqlite', 'nodes'];

/**
 * For suites whose rules are the same code on every kind. CI runs them on one kind: on `nodes` where an answer or a push
 * may come from another node. The contracts of the stores and the suites on all kinds hold what differs; the long form
 * runs these suites on all kinds too.
 */
export const kindsWith = (short: Kind): readonly Kind[] => (isSoak ? allKinds : [short]);

/**
 * For commands and audits of a running system. What differs on MongoDB, reading its log and rows, is tested in the
 * test's own process on both engines; the long form runs the commands on it too.
 */
export const commandEngines: readonly Engine[] = isSoak ? allEngines : ['sqlite'];

/** What a suite may do with a system that it need not know the kind of. */
export interface Running extends Place {
  /** For the command line, run beside it. */
  readonly settings: Readonly<Record<string, string>>;
  start(env?: Readonly<Record<string, string>>): Promise<unknown>;
  stop(): Promise<unknown>;
  kill(): Promise<unknown>;
  /** Of one process; the others, if any, are left alone. */
  restart(): Promise<void>;
}

/** Whether there are the servers to test this kind with; why not is said elsewhere, once a run. */
export async function hasEngine(kind: Kind): Promise<boolean> {
  if (kind === 'sqlite') return true;
  const hasMongo = (await mongoUrl()) !== undefined;
  return hasMongo && (kind === 'mongodb' || (await natsUrl()) !== undefined);
}

type FreshOptions = Omit<ServerOptions, 'engine'>;

/** Starts a system of this kind on data of its own. */
export async function startFresh(engine: Engine, options?: FreshOptions): Promise<ServerProcess>;
export async function startFresh(kind: Kind, options?: Pick<FreshOptions, 'env'>): Promise<Running>;
export async function startFresh(kind: Kind, options: FreshOptions = {}): Promise<Running> {
  if (kind === 'nodes') {
    const nodes = await Nodes.fresh(options.env ?? {});
    await nodes.start();
    return nodes;
  }
  const store: Record<string, string> = kind === 'mongodb' ? { MONGO_URL: await freshDatabase() } : {};
  return startServer({ ...options, engine: kind, env: { ...store, ...options.env } });
}

/** Says that a suite is not run on several nodes, and why not. */
export function leftOutOnNodes(suite: string, why: string): void {
  console.warn(`left out on several nodes: ${suite}: ${why}`);
}
