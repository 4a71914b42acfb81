import type { Clock } from '../base/clock.js';
import { NotOwner, overloaded, type ParleyError } from '../base/errors.js';
import { AdmissionQueue } from '../base/rateLimits.js';
import {
  type CommandKind,
  type CommandOf,
  type CommandRouter,
  describeCommand,
  type OwnWriters,
} from '../domain/commands.js';
import { partitionOf } from '../log/log.js';
import type { RequestChannel } from './bus.js';
import { CommandForwarder } from './forwarding.js';
import type { Owners } from './ownership.js';
import { type InFlightWindow, PartitionQueue, type QueuedCommand } from './partitionQueue.js';

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

/**
 * Routes each command to the owner of its partition, through a queue per partition. Commands of a stream keep
 * their order while owners change. Only one that an owner has refused as `overloaded`, in a reply that was lost, may be
 * done after later ones, as if its caller had repeated it. A command that no owner took within 5 s is `overloaded`, and
 * one without an answer after 10 s `unknown`.
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
    const { stream, bytes } = describeCommand(command);
    const refusal = this.#stopRefusal ?? this.#admission.enter(bytes);
    if (refusal) return Promise.reject(refusal);
    // Every partition has a queue.
    const queue = this.#queues[partitionOf(stream, this.#queues.length)] as PartitionQueue;
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
