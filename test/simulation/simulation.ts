import { check } from './checker.js';
import { Client } from './client.js';
import { Database } from './database.js';
import type { Attempt, History, Viewed, Violation } from './history.js';
import { Network } from './network.js';
import { Node } from './node.js';
import { FoldedModels } from './readModels.js';
import type { Mishap } from './weather.js';
import { World } from './world.js';

/** When nothing goes wrong any more, all must be well after so long. */
const RECOVERY_MS = 40_000;
const LOOK_MS = 250;
/** A process that has ended by itself is started again. */
const RESTART_MS = 500;

/** What a run has shown. */
export interface Result {
  readonly violations: readonly Violation[];
  /** What happened, a line each: the same for the same seed. */
  readonly trace: readonly string[];
  /** How long it took until all was well again after the last trouble, in milliseconds of the world. */
  readonly recoveryMs: number;
  readonly history: History;
}

/** Runs one world from its beginning to its end, and judges what has happened in it. */
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
  const recoveryMs = Math.max(0, world.now - world.weather.calmAt);
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
  /** By place the process that runs there, and how many there were before it. */
  readonly #places: { node: Node; count: number }[];

  constructor(seed: number) {
    this.world = new World(seed);
    const { world } = this;
    const { weather, draw } = world;
    world.trace('weather', JSON.stringify(weather));
    this.#database = new Database(world);
    this.#network = new Network(world);
    this.#models = new FoldedModels(world, this.#database);
    this.#places = Array.from({ length: weather.nodes }, (_, place) => ({
      node: this.#begin(place, 0),
      count: 0,
    }));
    const users = Array.from({ length: weather.clients }, () => draw.uuid());
    const sent = new Map();
    const anyNode = () => {
      const serving = this.#places.flatMap(({ node }) => (node.isServing ? [node] : []));
      return serving.length > 0 ? draw.one(serving) : undefined;
    };
    const surroundings = { world, attempts: this.#attempts, users, sent, anyNode };
    this.#clients = users.map((user) => new Client(user, surroundings));
    for (const mishap of weather.mishaps) world.timeline.after(mishap.at, () => this.#befall(mishap));
  }

  /** Until all is well after the last trouble, or should have been for long. */
  async play(): Promise<void> {
    const { timeline, weather } = this.world;
    const look = () => {
      if (this.#isWell()) timeline.end();
      else timeline.after(LOOK_MS, look);
    };
    timeline.after(weather.calmAt, look);
    await timeline.run(weather.calmAt + RECOVERY_MS);
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

  #befall({ kind, ms, node: place, isOwner }: Mishap): void {
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
