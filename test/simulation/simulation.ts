import { check } from './checker.js';
import { Client } from './client.js';
import { Database } from './database.js';
import type { Fault } from './faultPlan.js';
import type { Attempt, History, Viewed, Violation } from './history.js';
import { Network } from './network.js';
import { Node } from './node.js';
import { FoldedModels } from './readModels.js';
import type { Wanted } from './wishes.js';
import { World } from './world.js';

/** The longest time of recovery after the last fault. */
const RECOVERY_MS = 40_000;
const LOOK_MS = 250;
/** Delay until a process that ended by itself is restarted. */
const RESTART_MS = 500;

/** The result of a run. */
export interface Result {
  readonly violations: readonly Violation[];
  /** The events of the run, one line each; the same for the same seed. */
  readonly trace: readonly string[];
  /** The time of recovery after the last fault, in milliseconds of the world. */
  readonly recoveryMs: number;
  readonly history: History;
}

/** Runs one world from beginning to end, and checks its history. */
export async function simulate(seed: number): Promise<Result> {
  const run = new Run(seed);
  const unhandled = (error: unknown) => run.failures.push(`a promise was left alone with ${String(error)}`);
  process.on('unhandledRejection', unhandled);
  try {
    await run.play();
  } finally {
    process.off('unhandledRejection', unhandled);
  }
  const history = run.history();
  const { world } = run;
  const recoveryMs = Math.max(0, world.now - world.faultPlan.calmAt);
  return { violations: check(history), trace: world.lines, recoveryMs, history };
}

class Run {
  readonly world: World;
  readonly failures: string[] = [];
  readonly #database: Database;
  readonly #network: Network;
  readonly #models: FoldedModels;
  readonly #attempts: Attempt[] = [];
  readonly #views: Viewed[] = [];
  readonly #pauses: { node: string; ms: number }[] = [];
  readonly #clients: readonly Client[];
  /** By place, the running process and the number of earlier ones. */
  readonly #places: { node: Node; count: number }[];

  constructor(seed: number) {
    this.world = new World(seed);
    const { world } = this;
    const { faultPlan, random } = world;
    world.trace('faults', JSON.stringify(faultPlan));
    this.#database = new Database(world);
    this.#network = new Network(world);
    this.#models = new FoldedModels(world, this.#database);
    this.#places = Array.from({ length: faultPlan.nodes }, (_, place) => ({
      node: this.#begin(place, 0),
      count: 0,
    }));
    const users = Array.from({ length: faultPlan.clients }, () => random.uuid());
    const wanted: Wanted = { sent: new Map(), groups: [] };
    const anyNode = () => {
      const serving = this.#places.flatMap(({ node }) => (node.isServing ? [node] : []));
      return serving.length > 0 ? random.one(serving) : undefined;
    };
    const surroundings = { world, attempts: this.#attempts, users, wanted, anyNode };
    this.#clients = users.map((user) => new Client(user, surroundings));
    for (const fault of faultPlan.faults) world.timeline.after(fault.at, () => this.#befall(fault));
  }

  /** Runs until the world has recovered from the last fault, or the time of recovery is over. */
  async play(): Promise<void> {
    const { timeline, faultPlan } = this.world;
    const look = () => {
      if (this.#isWell()) timeline.end();
      else timeline.after(LOOK_MS, look);
    };
    timeline.after(faultPlan.calmAt, look);
    await timeline.run(faultPlan.calmAt + RECOVERY_MS);
  }

  history(): History {
    const nodes = this.#places.map(({ node }) => ({
      name: node.name,
      id: node.id,
      owners: node.owners.map((owner) => owner?.node),
      seen: node.seen,
    }));
    const unanswered = this.#clients.reduce((sum, { open }) => sum + open, 0);
    const { log } = this.#database;
    const [attempts, views] = [this.#attempts, this.#views];
    const [failures, pauses] = [this.failures, this.#pauses];
    return { log, attempts, views, failures, pauses, end: { unanswered, nodes } };
  }

  #begin(place: number, count: number): Node {
    return new Node(`node ${place}.${count}`, {
      world: this.world,
      database: this.#database,
      network: this.#network,
      models: this.#models,
      views: this.#views,
      fail: (what) => {
        this.world.trace('failure', what);
        this.failures.push(what);
      },
      onEnd: (ms) => this.world.timeline.after(ms ?? RESTART_MS, () => this.#replace(place)),
    });
  }

  #replace(at: number): void {
    const place = this.#places[at];
    if (!place) return;
    place.count++;
    place.node = this.#begin(at, place.count);
  }

  #befall({ kind, ms, node: place, isOwner }: Fault): void {
    const { world } = this;
    const owning = this.#places.find(({ node: { id, owners } }) => owners[0]?.node === id);
    const { node } = (isOwner && owning) || this.#places[place] || {};
    if (kind === 'fail-over') {
      world.trace('database', `fails over in ${ms.toFixed(0)} ms`);
      return this.#database.failOver(ms);
    }
    if (!node || node.machine.isDead) return;
    world.trace(node.name, `${kind}: ${ms.toFixed(0)} ms`);
    switch (kind) {
      case 'kill':
        return node.kill(ms);
      case 'stop':
        return node.machine.run(() => void node.stop(ms));
      case 'pause':
        this.#pauses.push({ node: node.name, ms });
        return node.pause(ms);
      case 'cut off from the bus':
        return node.bus.cut(ms);
      case 'cut off from the database':
        return node.link.cut(ms);
    }
  }

  #isWell(): boolean {
    const { log, late } = this.#database;
    const lengths = log.map(({ length }) => length);
    return (
      late === 0 &&
      this.#clients.every(({ open }) => open === 0) &&
      this.#places.every(({ node: { seen } }) => lengths.every((length, p) => seen[p] === length)) &&
      lengths.every((_, p) => this.#isOwnedByOne(p))
    );
  }

  #isOwnedByOne(partition: number): boolean {
    const [first, ...others] = this.#places.map(({ node }) => node.owners[partition]?.node);
    const isThere = this.#places.some(({ node }) => node.id === first && node.isServing);
    return isThere && others.every((owner) => owner === first);
  }
}
