import type { Clock } from '../base/clock.js';
import { NotOwner, overloaded, type ParleyError } from '../base/errors.js';
import { Queue } from '../base/limits.js';
import {
  bytesOf,
  type CommandKind,
  type CommandOf,
  type CommandRouter,
  type OwnWriters,
  streamOfCommand,
} from '../domain/commands.js';
import { partitionOf } from '../log/log.js';
import type { Bus, NodeId } from './bus.js';
import { Forwarder } from './forwarding.js';
import type { Owners } from './ownership.js';
import { type Item, Lane, type Voyage } from './partitionQueue.js';

/** How often those are looked for who have waited for too long. */
const EXPIRE_MS = 250;

/** What the lanes of a node stand on. */
export interface LanesDeps {
  readonly node: NodeId;
  readonly partitions: number;
  readonly bus: Pick<Bus, 'request' | 'isConnected' | 'onConnection'>;
  /** For partitions that this node owns. */
  readonly writers: OwnWriters;
  readonly clock: Clock;
  /** Somebody who was thought to own a partition does not: time to look. */
  readonly onReturned: () => void;
}

/**
 * Brings each command to the owner of its partition, on whichever node, in a lane a partition: order holds while
 * owners change. What nobody has taken for 5 s is `overloaded`, what has not been answered for 10 s `unknown`.
 */
export class Lanes implements CommandRouter {
  readonly #deps: LanesDeps;
  readonly #lanes: readonly Lane[];
  readonly #queue = new Queue();
  /** To be pumped at the end of this turn. */
  readonly #woken = new Set<Lane>();
  #orders = 0;
  #isExpiring = false;
  #stopped: ParleyError | undefined;

  constructor(deps: LanesDeps) {
    this.#deps = deps;
    this.#lanes = Array.from({ length: deps.partitions }, (_, partition) => this.#lane(partition));
    deps.bus.onConnection(() => {
      for (const lane of this.#lanes) lane.pump();
    });
  }

  /** How many commands are on their way. */
  get depth(): number {
    return this.#queue.length;
  }

  /** The epoch of the lease by which this node owns the partition; undefined if it does not. */
  epochOf(partition: number): number | undefined {
    const owner = this.#lanes[partition]?.owner;
    return owner?.node === this.#deps.node ? owner.epoch : undefined;
  }

  /** The partitions that this node owns. */
  get owned(): number[] {
    return [...this.#lanes.keys()].filter((partition) => this.epochOf(partition) !== undefined);
  }

  /** Who owns what has changed. */
  setOwners(owners: Owners): void {
    for (const [partition, lane] of this.#lanes.entries()) lane.owner = owners[partition];
  }

  execute: CommandRouter['execute'] = (command, commandId) => {
    const bytes = bytesOf(command);
    const refusal = this.#stopped ?? this.#queue.refusal(bytes, 0);
    if (refusal) return Promise.reject(refusal);
    const stream = streamOfCommand(command);
    // There is a lane a partition.
    const lane = this.#lanes[partitionOf(stream, this.#lanes.length)] as Lane;
    this.#queue.enter(bytes);
    return new Promise((resolve, reject) => {
      const item: Item = {
        command,
        commandId,
        stream,
        order: this.#orders++,
        since: this.#deps.clock.now(),
        isSettled: false,
        leftAt: undefined,
        doubtfulSince: undefined,
        isOvertaken: false,
        settle: (outcome) => {
          if (item.isSettled) return;
          item.isSettled = true;
          this.#queue.leave(bytes);
          if ('answer' in outcome) resolve(outcome.answer);
          else reject(outcome.refused);
        },
      };
      lane.add(item);
      // To its own writers a node sends each at once; what leaves for another gathers for a turn of the event loop.
      if (lane.owner?.node === this.#deps.node) lane.pump();
      else this.#wake(lane);
      this.#expireLater();
    });
  };

  /** Refuses what comes now, and what has not left; what has left gets its answer. */
  stop(): void {
    this.#stopped = overloaded('the server is stopping');
    for (const lane of this.#lanes) lane.refuseUnsent(this.#stopped);
  }

  #lane(partition: number): Lane {
    const { node, bus, clock, onReturned } = this.#deps;
    const forwarder = new Forwarder(partition, bus);
    const lane: Lane = new Lane({
      now: () => clock.now(),
      setTimer: (run, ms) => clock.setTimer(run, ms),
      canReach: (owner) => owner.node === node || bus.isConnected,
      send: (voyage, items) => {
        if (voyage.owner.node === node) for (const item of items) void this.#submit(lane, voyage, item);
        else forwarder.send(lane, voyage, items);
      },
      onReturned,
    });
    return lane;
  }

  async #submit(lane: Lane, voyage: Voyage, item: Item): Promise<void> {
    try {
      // The union of commands is one of them; it is answered with what its own kind answers.
      const command = item.command as CommandOf<CommandKind>;
      const answer = await this.#deps.writers.submit(command, item.commandId, voyage.owner.epoch);
      lane.answered(voyage, item, answer as never);
    } catch (error) {
      if (error instanceof NotOwner) lane.returned(voyage, item);
      else lane.refused(voyage, item, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #wake(lane: Lane): void {
    if (this.#woken.size === 0)
      this.#deps.clock.soon(() => {
        const woken = [...this.#woken];
        this.#woken.clear();
        for (const each of woken) each.pump();
      });
    this.#woken.add(lane);
  }

  #expireLater(): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    this.#deps.clock.setTimer(() => {
      this.#isExpiring = false;
      for (const lane of this.#lanes) lane.expire();
      if (this.#queue.length > 0) this.#expireLater();
    }, EXPIRE_MS);
  }
}
