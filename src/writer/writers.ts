import type { Clock } from '../base/clock.js';
import { NotOwner, overloaded, type ParleyError } from '../base/errors.js';
import type { NodeRouter } from '../cluster/commandRouter.js';
import type { Cluster } from '../cluster/nodes.js';
import { type Owners, Ownership, type OwnershipEvents } from '../cluster/ownership.js';
import { COMMAND_TIMEOUTS } from '../cluster/partitionQueue.js';
import { type CommandRouter, describeCommand, type OwnWriters } from '../domain/commands.js';
import { partitionOf } from '../log/log.js';
import { Writer } from './writer.js';
import type { WriterDeps, WriterEvents } from './writerPorts.js';

/** Routes each command to the writer of its partition. `writers` has one per partition, in order. */
export function routeToWriters(
  writers: readonly Pick<Writer, 'submit'>[],
  clock: Pick<Clock, 'now'>,
): OwnWriters {
  return {
    submit: (command, commandId, epoch) =>
      new Promise((resolve, reject) => {
        const about = describeCommand(command);
        const partition = partitionOf(about.stream, writers.length);
        const writer = writers[partition];
        if (!writer) throw new RangeError(`partition ${partition} has no writer`);
        const submittedAt = clock.now();
        writer.submit({ ...about, command, commandId, submittedAt, resolve, reject }, epoch);
      }),
  };
}

/** The interval between checks for expired commands, once one may have expired. */
const EXPIRY_CHECK_MS = 250;

/** A writer as the router of a single node uses it. */
export interface LocalWriter extends Pick<Writer, 'submit' | 'expire'> {
  /** The number of commands in progress. */
  readonly depth: number;
}

/**
 * Hands each command to its writer: the router of a single node. A command without an answer after
 * `COMMAND_TIMEOUTS.unansweredMs` is `unknown`.
 */
export class LocalRouter implements NodeRouter {
  readonly #writers: readonly LocalWriter[];
  readonly #clock: Clock;
  readonly #epochs: (number | undefined)[];
  /** Cancels the next check for expired commands. Undefined if there is none. */
  #cancelCheck: (() => void) | undefined;
  #stopRefusal: ParleyError | undefined;

  /** `writers` has one per partition, in order. */
  constructor(writers: readonly LocalWriter[], clock: Clock) {
    this.#writers = writers;
    this.#clock = clock;
    this.#epochs = Array.from({ length: writers.length });
  }

  get depth(): number {
    return this.#writers.reduce((sum, { depth }) => sum + depth, 0);
  }

  get owned(): readonly number[] {
    return [...this.#epochs.keys()].filter((partition) => this.#epochs[partition] !== undefined);
  }

  epochOf(partition: number): number | undefined {
    return this.#epochs[partition];
  }

  setOwners(owners: Owners): void {
    for (const partition of this.#epochs.keys()) this.#epochs[partition] = owners[partition]?.epoch;
  }

  execute: CommandRouter['execute'] = (command, commandId) =>
    new Promise((resolve, reject) => {
      if (this.#stopRefusal) throw this.#stopRefusal;
      const { declaration, stream, actor, via, bytes } = describeCommand(command);
      const partition = partitionOf(stream, this.#epochs.length);
      const [writer, epoch] = [this.#writers[partition], this.#epochs[partition]];
      if (!writer || epoch === undefined) throw overloaded('this node does not write yet; try again');
      const submittedAt = this.#clock.now();
      const refuse = (error: unknown) =>
        // The node is giving its partitions up, so it stops.
        reject(error instanceof NotOwner ? overloaded('the server is stopping') : error);
      const about = { declaration, stream, actor, via, bytes };
      writer.submit({ command, commandId, ...about, submittedAt, resolve, reject: refuse }, epoch);
      if (!this.#cancelCheck) this.#expireLater(COMMAND_TIMEOUTS.unansweredMs);
    });

  stop(): void {
    this.#stopRefusal = overloaded('the server is stopping');
    // A timer that is left keeps the process of an operator's command alive.
    if (this.depth === 0) this.#cancelCheck?.();
  }

  #expireLater(ms: number): void {
    this.#cancelCheck = this.#clock.setTimer(() => {
      this.#cancelCheck = undefined;
      const before = this.#clock.now() - COMMAND_TIMEOUTS.unansweredMs;
      for (const writer of this.#writers) writer.expire(before);
      if (this.depth > 0) this.#expireLater(EXPIRY_CHECK_MS);
    }, ms);
  }
}

/** Everything that the writers of a node and its ownership of partitions need. */
export interface WritersDeps {
  readonly node: string;
  readonly cluster: Pick<Cluster, 'leases' | 'nodes'>;
  readonly writer: Omit<WriterDeps, 'environment' | 'events'> & {
    readonly environment: Omit<WriterDeps['environment'], 'knownToAll'>;
    readonly events: Omit<WriterEvents, 'onDeposed'>;
  };
  readonly events: Pick<OwnershipEvents, 'onOwners' | 'onLeasesChanged'>;
}

/** The writers of this node, one a partition, and its ownership of partitions. */
export class Writers implements OwnWriters {
  /** One a partition, in order. */
  readonly ofPartitions: readonly Writer[];
  readonly #ownership: Ownership;
  readonly #now: () => number;
  readonly submit: OwnWriters['submit'];

  constructor({ node, cluster, writer, events }: WritersDeps) {
    const { environment } = writer;
    const { onFatal, report } = writer.events;
    const knownToAll = new Set<string>();
    const deps: WriterDeps = {
      ...writer,
      environment: { ...environment, knownToAll },
      events: { ...writer.events, onDeposed: (partition) => this.#ownership.release(partition) },
    };
    const { partitions } = writer.storage.log;
    this.#now = () => environment.clock.now();
    this.ofPartitions = Array.from({ length: partitions }, (_, partition) => new Writer(partition, deps));
    this.#ownership = new Ownership({
      ...{ node, cluster, writers: this.ofPartitions, clock: environment.clock },
      events: {
        ...{ ...events, onFatal, report },
        onSharedCapabilities(shared) {
          knownToAll.clear();
          for (const type of shared) knownToAll.add(type);
        },
      },
    });
    this.submit = routeToWriters(this.ofPartitions, environment.clock).submit;
  }

  /** The number of commands in progress. */
  get depth(): number {
    return this.ofPartitions.reduce((sum, { depth }) => sum + depth, 0);
  }

  /** How long the oldest command has been in progress, in milliseconds. */
  get oldestMs(): number {
    return Math.max(0, this.#now() - Math.min(...this.ofPartitions.map(({ oldestAt }) => oldestAt)));
  }

  /**
   * Starts to acquire this node's share of the partitions. Resolves when all partitions are served by some
   * node, or after 10 s.
   */
  start(): Promise<void> {
    return this.#ownership.start();
  }

  /** Rebalances after leases have changed hands. */
  rebalance(): void {
    this.#ownership.rebalance();
  }

  /** Releases all partitions. Resolves when appends in flight have their outcome, or after 2 s. */
  stop(): Promise<void> {
    return this.#ownership.stop();
  }
}
