import type { MongoClient } from 'mongodb';
import { PacedCalls } from '../../src/base/clock.js';
import { ParleyError } from '../../src/base/errors.js';
import type { CommitFrame } from '../../src/cluster/bus.js';
import { PartitionRouter } from '../../src/cluster/commandRouter.js';
import { ForwardedCommandReceiver } from '../../src/cluster/forwarding.js';
import { createMongoNodes } from '../../src/cluster/mongoCluster.js';
import { createMongoLeases } from '../../src/cluster/mongoLeases.js';
import { type Owners, Ownership } from '../../src/cluster/ownership.js';
import { knownTypes } from '../../src/domain/codec.js';
import type { CommandKind, CommandOf, OwnWriters } from '../../src/domain/commands.js';
import type { Commit } from '../../src/log/log.js';
import { follow, type TailReader } from '../../src/log/logReader.js';
import { MongoLog } from '../../src/log/mongoLog.js';
import { roomKeysId } from '../../src/vault/textKeys.js';
import { Writer } from '../../src/writer/writer.js';
import type { WriterDeps } from '../../src/writer/writerPorts.js';
import { routeToWriters } from '../../src/writer/writers.js';
import { factsOf } from '../support/facts.js';
import { newRoomKeys } from '../support/fakeVault.js';
import type { Database } from './database.js';
import { Link } from './databaseLink.js';
import type { Attempt, Outcome, Viewed } from './history.js';
import { Machine } from './machine.js';
import type { Network, Port } from './network.js';
import type { FoldedModels } from './readModels.js';
import type { World } from './world.js';

/** All nodes have the same keys, as from one vault. */
const roomKeys = newRoomKeys();

const LOG_ID = '11111111-1111-4111-8111-111111111111';
/** The longest time of a message between two threads of a process. */
const HOP_MS = 3;
const TAILS_MS = 1000;
/** The timeouts of the clients of the log and of the cluster's documents. */
const ATTEMPT_MS = { log: 5000, cluster: 2000 } as const;

/** The parts that all processes of a run share. */
export interface NodeDeps {
  readonly world: World;
  readonly database: Database;
  readonly network: Network;
  readonly models: FoldedModels;
  readonly views: Viewed[];
  /** Called with an error that must never happen. */
  readonly fail: (what: string) => void;
  /** Called when the process has ended; another one may start after `ms` milliseconds, if given. */
  readonly onEnd: (ms?: number) => void;
}

/** One process: the product's own parts, composed as in the product, on a machine that may fail. */
export class Node {
  readonly id: string;
  readonly name: string;
  readonly machine: Machine;
  readonly link: Link;
  readonly bus: Port;
  owners: Owners = [];
  readonly #ground: NodeDeps;
  readonly #log: MongoLog;
  #ownership: Ownership | undefined;
  readonly #knownToAll = new Set<string>();
  #router: PartitionRouter | undefined;
  #readers: TailReader<Commit>[] = [];
  /** Attempts without an answer. */
  readonly #open = new Set<(outcome: Outcome) => void>();

  constructor(name: string, ground: NodeDeps) {
    const { world, database, network } = ground;
    this.#ground = ground;
    this.name = name;
    this.id = world.random.uuid();
    this.machine = new Machine(world.timeline, world.random);
    this.link = new Link(world, database, this.machine);
    this.bus = network.join(this.id, this.machine);
    // The client, as far as the log uses it.
    const client = { db: () => this.link.db(ATTEMPT_MS.log), close: async () => {} } as Pick<
      MongoClient,
      'db' | 'close'
    >;
    const meta = { id: LOG_ID, history: LOG_ID, partitions: world.faultPlan.partitions };
    this.#log = new MongoLog(meta, client, this.machine.clock);
    world.trace(name, 'starts');
    this.machine.run(() => void this.#start());
  }

  /** Whether it takes commands. */
  get isServing(): boolean {
    return this.#router !== undefined && !this.machine.isDead;
  }

  /** How far it has seen each partition. */
  get seen(): number[] {
    return this.#readers.map(({ position }) => position);
  }

  /** Gives it a command of a connection; calls `done` once, with the outcome for the connection. */
  execute(
    { command, commandId }: Pick<Attempt, 'command' | 'commandId'>,
    done: (outcome: Outcome) => void,
  ): void {
    const settle = (outcome: Outcome) => {
      if (this.#open.delete(settle)) done(outcome);
    };
    this.#open.add(settle);
    this.machine.run(() =>
      this.#router
        // The union of commands is one of them.
        ?.execute(command as CommandOf<CommandKind>, commandId)
        .then(
          (answer) => settle({ answer }),
          (error: unknown) => settle({ code: error instanceof ParleyError ? error.code : 'internal' }),
        ),
    );
  }

  /** Like SIGKILL; another process may start after `ms` milliseconds. */
  kill(ms?: number): void {
    if (this.machine.isDead) return;
    this.#ground.world.trace(this.name, 'ends');
    this.machine.die();
    for (const settle of this.#open) settle('lost');
    this.#ground.onEnd(ms);
  }

  /** Like SIGTERM: hands over, then ends. */
  async stop(ms: number): Promise<void> {
    this.#router?.stop();
    await this.#ownership?.stop();
    this.kill(ms);
  }

  /** Like SIGSTOP, and SIGCONT after `ms` milliseconds. */
  pause(ms: number): void {
    this.machine.pause();
    this.#ground.world.timeline.after(ms, () => this.machine.resume());
  }

  async #start(): Promise<void> {
    const { world, fail } = this.#ground;
    const { partitions } = world.faultPlan;
    const { clock } = this.machine;
    const report = (what: string, error: unknown) => world.trace(this.name, `${what}: ${String(error)}`);
    const onFatal = (error: unknown) => fail(`${this.name} cannot go on: ${String(error)}`);
    // A process that cannot reach its database at the start ends, and is started again.
    const db = this.link.db(ATTEMPT_MS.cluster);
    const leases = await createMongoLeases(db, this.id, partitions, clock).catch((error) => {
      report('could not start', error);
      this.kill();
    });
    if (!leases) return;
    const [toMain, toWriters] = [this.machine.channel(HOP_MS), this.machine.channel(HOP_MS)];
    const deps = this.#writerDeps((frame) => toMain(() => this.bus.publish(frame)));
    const writers = Array.from({ length: partitions }, (_, partition) => new Writer(partition, deps));
    const ownership = new Ownership({
      ...{ node: this.id, writers, clock },
      cluster: { leases, nodes: createMongoNodes(db, { node: this.id, capabilities: knownTypes }) },
      events: {
        ...{ onFatal, report },
        onSharedCapabilities: (shared) => {
          this.#knownToAll.clear();
          for (const type of shared) this.#knownToAll.add(type);
        },
        onOwners: (owners) => toMain(() => this.#setOwners(owners)),
        onLeasesChanged: () => toMain(() => this.bus.broadcast({ kind: 'rebalance' })),
      },
    });
    this.#ownership = ownership;
    const look = () => toWriters(() => ownership.rebalance());
    const own = acrossThreads(routeToWriters(writers, clock), toWriters, toMain);
    const router = new PartitionRouter({
      ...{ partitions, bus: this.bus, writers: own, clock, onStaleOwner: look },
    });
    this.#router = router;
    const receiver = new ForwardedCommandReceiver(own, (partition) => router.epochOf(partition));
    this.bus.serve((body, from) => receiver.serve(body, from));
    this.#follow();
    this.bus.onNote((note) => {
      if (note.kind === 'rebalance') look();
      if (note.kind === 'logTails')
        for (const [partition, position] of note.tails) this.#readers[partition]?.notifyTail(position);
    });
    this.#tellTails(router);
    await ownership.start();
  }

  #writerDeps(publish: (frame: CommitFrame) => void): WriterDeps {
    const { world, fail, models, database } = this.#ground;
    const key = Buffer.alloc(32);
    const { reads, folding } = models.of(this.machine);
    return {
      storage: { log: this.#log, bus: { publish }, folding },
      lookups: {
        reads,
        limits: factsOf().limits,
        keys: {
          getKeys: async (owners) => new Map(owners.map((owner) => [owner, key])),
          getRoomKeys: async (rooms) => new Map(rooms.map((room) => [roomKeysId(room), roomKeys])),
          // Half of the rounds find their keys in memory.
          getCached: () => (world.random.chance(0.5) ? key : undefined),
          getCachedRoomKeys: () => (world.random.chance(0.5) ? roomKeys : undefined),
        },
      },
      environment: {
        clock: this.machine.clock,
        pace: new PacedCalls(this.machine.clock, 4),
        now: () => database.time.getTime(),
        newId: () => world.random.uuid(),
        knownToAll: this.#knownToAll,
      },
      events: {
        onDeposed: (partition) => this.#ownership?.release(partition),
        onFatal: (error) => fail(`a writer of ${this.name} failed: ${String(error)}`),
        report: (what, error) => world.trace(this.name, `${what}: ${String(error)}`),
      },
    };
  }

  #setOwners(owners: Owners): void {
    this.owners = owners;
    const told = owners.map((owner) =>
      owner ? `${owner.node === this.id ? 'own' : 'other'}@${owner.epoch}` : '-',
    );
    this.#ground.world.trace(this.name, `hears of owners ${told.join(' ')}`);
    this.#router?.setOwners(owners);
  }

  /** Records what the fan-out would push. */
  #follow(): void {
    const { world, fail, views } = this.#ground;
    this.#readers = Array.from({ length: world.faultPlan.partitions }, (_, partition) =>
      follow<Commit>(
        { partition, after: 0, read: (after, limit) => this.#log.read(partition, after, limit) },
        {
          handle: ({ position, id }) => {
            views.push({ node: this.name, partition, position, id, at: world.now });
          },
          onStop: (error) => fail(`${this.name} cannot follow partition ${partition}: ${String(error)}`),
          onReadError: () => {},
        },
        this.machine.clock,
      ),
    );
    this.bus.subscribe((frame) => this.#readers[frame.partition]?.notify(frame));
  }

  #tellTails(router: PartitionRouter): void {
    const { owned } = router;
    const tails = owned.map((partition) => [partition, this.#readers[partition]?.position ?? 0, 0] as const);
    if (tails.length > 0) this.bus.broadcast({ kind: 'logTails', tails });
    this.machine.clock.setTimer(() => this.#tellTails(router), TAILS_MS);
  }
}

type Send = (deliver: () => void) => void;

/** The writers as the main thread sees them, in a thread of their own. */
const acrossThreads = (writers: OwnWriters, there: Send, back: Send): OwnWriters => ({
  submit: (command, commandId, epoch) =>
    new Promise((resolve, reject) =>
      there(() =>
        writers.submit(command, commandId, epoch).then(
          (answer) => back(() => resolve(answer)),
          (error: unknown) => back(() => reject(error)),
        ),
      ),
    ),
});
