import type { Clock } from '../base/clock.js';
import { NotOwner, overloaded, type ParleyError } from '../base/errors.js';
import { AdmissionQueue } from '../base/rateLimits.js';
import {
  bytesOf,
  type CommandKind,
  type CommandOf,
  type CommandRouter,
  type OwnWriters,
  streamOfCommand,
} from '../domain/commands.js';
import { partitionOf } from '../log/log.js';
import type { RequestChannel } from './bus.js';
import { CommandForwarder } from './forwarding.js';
import type { Owners } from './ownership.js';
import {
  COMMAND_TIMEOUTS,
  type InFlightWindow,
  outcomeUnknownError,
  PartitionQueue,
  type QueuedCommand,
} from './partitionQueue.js';

/** The interval between checks for expired commands. */
const EXPIRY_CHECK_MS = 250;

/** Everything a router needs. */
export interface PartitionRouterDeps {
  readonly partitions: number;
  readonly bus: RequestChannel;
  /** The writers of this node, for the partitions it owns. */
  readonly writers: OwnWriters;
  readonly clock: Clock;
  /** Called when a node thought to own a partition does not: ownership should be read again. */
  readonly onStaleOwner: () => void;
}

/** Sends the commands of this node's users to the writers that own their partitions. */
export interface NodeRouter extends CommandRouter {
  /** The number of commands in progress. */
  readonly depth: number;
  /** The partitions that this node owns. */
  readonly owned: readonly number[];
  /** Returns the epoch of this node's lease on the partition; undefined if another node owns it. */
  epochOf(partition: number): number | undefined;
  /** Updates the owners of all partitions. */
  setOwners(owners: Owners): void;
  /** Refuses new and unsent commands. Sent commands still get their answers. */
  stop(): void;
}

/** A command that the writer has, and its caller waits for. */
interface SubmittedCommand {
  readonly since: number;
  refuse(error: ParleyError): void;
}

/**
 * Hands each command to its writer: the router of a single node. A command without an answer after
 * `COMMAND_TIMEOUTS.unansweredMs` is `unknown`.
 */
export class LocalRouter implements NodeRouter {
  readonly #writers: OwnWriters;
  readonly #clock: Clock;
  readonly #epochs: (number | undefined)[];
  /** In the order of submission. */
  readonly #submitted = new Set<SubmittedCommand>();
  #isExpiring = false;
  #stopRefusal: ParleyError | undefined;

  constructor({
    partitions,
    writers,
    clock,
  }: Pick<PartitionRouterDeps, 'partitions' | 'writers'> & { clock: Clock }) {
    this.#writers = writers;
    this.#clock = clock;
    this.#epochs = Array.from({ length: partitions });
  }

  get depth(): number {
    return this.#submitted.size;
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

  execute: CommandRouter['execute'] = (command, commandId) => {
    if (this.#stopRefusal) return Promise.reject(this.#stopRefusal);
    const epoch = this.#epochs[partitionOf(streamOfCommand(command), this.#epochs.length)];
    if (epoch === undefined) return Promise.reject(overloaded('this node does not write yet; try again'));
    return new Promise((resolve, reject) => {
      const submitted = { since: this.#clock.now(), refuse: reject };
      this.#submitted.add(submitted);
      this.#expireLater();
      this.#writers
        .submit(command, commandId, epoch)
        .then(resolve, (error: unknown) =>
          // The node is giving its partitions up, so it stops.
          reject(error instanceof NotOwner ? overloaded('the server is stopping') : error),
        )
        .finally(() => this.#submitted.delete(submitted));
    });
  };

  stop(): void {
    this.#stopRefusal = overloaded('the server is stopping');
  }

  #expireLater(): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    this.#clock.setTimer(() => {
      this.#isExpiring = false;
      this.#expire();
      if (this.#submitted.size > 0) this.#expireLater();
    }, EXPIRY_CHECK_MS);
  }

  #expire(): void {
    const before = this.#clock.now() - COMMAND_TIMEOUTS.unansweredMs;
    for (const submitted of this.#submitted) {
      if (submitted.since > before) return;
      this.#submitted.delete(submitted);
      submitted.refuse(outcomeUnknownError());
    }
  }
}

/**
 * Routes each command to the owner of its partition, through a queue per partition. Commands of a stream keep
 * their order while owners change. A command that no owner took within 5 s is `overloaded`, and one without
 * an answer after 10 s `unknown`.
 */
export class PartitionRouter implements NodeRouter {
  readonly #deps: PartitionRouterDeps;
  readonly #queues: readonly PartitionQueue[];
  readonly #admission = new AdmissionQueue();
  /** Queues to flush at the end of this turn. */
  readonly #toFlush = new Set<PartitionQueue>();
  #nextOrder = 0;
  #isExpiring = false;
  #stopRefusal: ParleyError | undefined;

  constructor(deps: PartitionRouterDeps) {
    this.#deps = deps;
    this.#queues = Array.from({ length: deps.partitions }, (_, partition) => this.#createQueue(partition));
    deps.bus.onConnectionChange(() => {
      for (const queue of this.#queues) queue.flush();
    });
  }

  get depth(): number {
    return this.#admission.length;
  }

  epochOf(partition: number): number | undefined {
    const owner = this.#queues[partition]?.owner;
    return owner?.node === this.#deps.bus.node ? owner.epoch : undefined;
  }

  get owned(): number[] {
    return [...this.#queues.keys()].filter((partition) => this.epochOf(partition) !== undefined);
  }

  setOwners(owners: Owners): void {
    for (const [partition, queue] of this.#queues.entries()) queue.owner = owners[partition];
  }

  execute: CommandRouter['execute'] = (command, commandId) => {
    const bytes = bytesOf(command);
    const refusal = this.#stopRefusal ?? this.#admission.checkCapacity(bytes);
    if (refusal) return Promise.reject(refusal);
    const stream = streamOfCommand(command);
    // Every partition has a queue.
    const queue = this.#queues[partitionOf(stream, this.#queues.length)] as PartitionQueue;
    this.#admission.enter(bytes);
    return new Promise((resolve, reject) => {
      const item: QueuedCommand = {
        command,
        commandId,
        stream,
        order: this.#nextOrder++,
        enqueuedAt: this.#deps.clock.now(),
        isSettled: false,
        sentAt: undefined,
        unknownSince: undefined,
        isOvertaken: false,
        settle: (outcome) => {
          if (item.isSettled) return;
          item.isSettled = true;
          this.#admission.leave(bytes);
          if ('answer' in outcome) resolve(outcome.answer);
          else reject(outcome.refused);
        },
      };
      queue.add(item);
      // Local commands are sent at once. Commands for other nodes are batched until the end of this turn.
      if (queue.owner?.node === this.#deps.bus.node) queue.flush();
      else this.#flushLater(queue);
      this.#expireLater();
    });
  };

  stop(): void {
    this.#stopRefusal = overloaded('the server is stopping');
    for (const queue of this.#queues) queue.refuseUnsent(this.#stopRefusal);
  }

  #createQueue(partition: number): PartitionQueue {
    const { bus, clock, onStaleOwner } = this.#deps;
    const { node } = bus;
    const forwarder = new CommandForwarder(partition, bus);
    const queue: PartitionQueue = new PartitionQueue({
      now: () => clock.now(),
      setTimer: (run, ms) => clock.setTimer(run, ms),
      canReach: (owner) => owner.node === node || bus.isConnected,
      send: (window, items) => {
        if (window.owner.node === node)
          for (const item of items) void this.#submitLocally(queue, window, item);
        else forwarder.send(queue, window, items);
      },
      onStaleOwner,
    });
    return queue;
  }

  async #submitLocally(queue: PartitionQueue, window: InFlightWindow, item: QueuedCommand): Promise<void> {
    try {
      // A command of the union is one of its kinds, and its answer is of that kind.
      const command = item.command as CommandOf<CommandKind>;
      const answer = await this.#deps.writers.submit(command, item.commandId, window.owner.epoch);
      queue.handleAnswer(window, item, answer as never);
    } catch (error) {
      if (error instanceof NotOwner) queue.handleNotTaken(window, item);
      else queue.handleRefusal(window, item, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #flushLater(queue: PartitionQueue): void {
    if (this.#toFlush.size === 0)
      this.#deps.clock.setImmediate(() => {
        const queues = [...this.#toFlush];
        this.#toFlush.clear();
        for (const each of queues) each.flush();
      });
    this.#toFlush.add(queue);
  }

  #expireLater(): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    this.#deps.clock.setTimer(() => {
      this.#isExpiring = false;
      for (const queue of this.#queues) queue.expire();
      if (this.#admission.length > 0) this.#expireLater();
    }, EXPIRY_CHECK_MS);
  }
}
