import type { Cluster } from '../cluster/nodes.js';
import { Ownership, type OwnershipEvents } from '../cluster/ownership.js';
import { type OwnWriters, streamOfCommand } from '../domain/commands.js';
import { partitionOf } from '../log/log.js';
import { Writer } from './writer.js';
import type { WriterDeps, WriterEvents } from './writerPorts.js';

/** Routes each command to the writer of its partition. `writers` has one per partition, in order. */
export function routeToWriters(writers: readonly Pick<Writer, 'submit'>[]): OwnWriters {
  return {
    submit(command, commandId, epoch) {
      const stream = streamOfCommand(command);
      const partition = partitionOf(stream, writers.length);
      const writer = writers[partition];
      if (!writer) throw new RangeError(`partition ${partition} has no writer`);
      return writer.submit(command, commandId, stream, epoch);
    },
  };
}

/** Everything that the writers of a node and its ownership of partitions need. */
export interface WritersDeps {
  readonly node: string;
  readonly cluster: Pick<Cluster, 'leases' | 'nodes'>;
  readonly writer: Omit<WriterDeps, 'environment' | 'events'> & {
    readonly environment: Omit<WriterDeps['environment'], 'isKnownToAll'>;
    readonly events: Omit<WriterEvents, 'onDeposed'>;
  };
  readonly events: Pick<OwnershipEvents, 'onOwners' | 'onLeasesChanged'>;
}

/** The writers of this node, one a partition, and its ownership of partitions. */
export class Writers implements OwnWriters {
  readonly #writers: readonly Writer[];
  readonly #ownership: Ownership;
  readonly #now: () => number;
  readonly submit: OwnWriters['submit'];

  constructor({ node, cluster, writer, events }: WritersDeps) {
    const { environment } = writer;
    const { onFatal, report } = writer.events;
    const deps: WriterDeps = {
      ...writer,
      environment: { ...environment, isKnownToAll: (type) => this.#ownership.isKnownToAll(type) },
      events: { ...writer.events, onDeposed: (partition) => this.#ownership.release(partition) },
    };
    const { partitions } = writer.storage.log;
    this.#now = () => environment.clock.now();
    this.#writers = Array.from({ length: partitions }, (_, partition) => new Writer(partition, deps));
    this.#ownership = new Ownership({
      ...{ node, cluster, writers: this.#writers, clock: environment.clock },
      events: { ...events, onFatal, report },
    });
    this.submit = routeToWriters(this.#writers).submit;
  }

  /** The number of commands in progress. */
  get depth(): number {
    return this.#writers.reduce((sum, { depth }) => sum + depth, 0);
  }

  /** How long the oldest command has been in progress, in milliseconds. */
  get oldestMs(): number {
    return Math.max(0, this.#now() - Math.min(...this.#writers.map(({ oldestAt }) => oldestAt)));
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
