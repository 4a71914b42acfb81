import { NotOwner, overloaded } from '../../src/base/errors.js';
import type { NodeId } from '../../src/cluster/bus.js';
import { PartitionRouter, type PartitionRouterDeps } from '../../src/cluster/commandRouter.js';
import { ForwardedCommandReceiver } from '../../src/cluster/forwarding.js';
import type { LeaseHolder } from '../../src/cluster/leases.js';
import type { OwnWriters } from '../../src/domain/commands.js';
import { type VirtualTime, virtualTime } from '../support/virtualTime.js';

/** The fate of one request between two nodes. */
export interface Delivery {
  readonly fate: 'arrives' | 'request lost' | 'reply lost' | 'duplicated' | 'undelivered';
  readonly delayMs: number;
}

export const arrives: Delivery = { fate: 'arrives', delayMs: 1 };

interface Waiting {
  readonly commandId: string;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/** A node that may own the partition. It executes commands in order, one at a time, each only once. */
class Owner implements OwnWriters {
  epoch: number | undefined;
  isDead = false;
  isFull = false;
  #queue: Waiting[] = [];
  #isBusy = false;
  readonly receiver = new ForwardedCommandReceiver(this, () => this.epoch);

  constructor(
    private readonly world: RouterWorld,
    private readonly stepMs: () => number,
  ) {}

  submit: OwnWriters['submit'] = (_, commandId, epoch) => {
    if (epoch !== this.epoch) return Promise.reject(new NotOwner(0));
    if (this.isFull) {
      if (!this.world.effects.includes(commandId)) this.world.refused.add(commandId);
      return Promise.reject(overloaded('full'));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ commandId, resolve, reject });
      this.#work();
    });
  };

  /** Rejects unfinished commands, like a writer that gives up its partition. */
  giveUp(): void {
    this.epoch = undefined;
    for (const { reject } of this.#queue.splice(0)) reject(new NotOwner(0));
  }

  #work(): void {
    const [first] = this.#queue;
    if (!first || this.#isBusy) return;
    this.#isBusy = true;
    this.world.time.setTimer(() => {
      this.#isBusy = false;
      if (this.isDead || this.epoch === undefined || this.#queue[0] !== first) return this.#work();
      this.#queue.shift();
      this.world.effect(first.commandId);
      // The world checks only that an answer came.
      first.resolve({} as never);
      this.#work();
    }, this.stepMs());
  }
}

/** The router of node `here`, the possible owners of its partition, and the network between them. */
export class RouterWorld {
  readonly time: VirtualTime = virtualTime();
  /** Ids of commands, in the order of their first effect. */
  readonly effects: string[] = [];
  /** Ids of commands that a full owner has refused before any effect. The router may not know it. */
  readonly refused = new Set<string>();
  readonly owners: ReadonlyMap<NodeId, Owner>;
  readonly router: PartitionRouter;
  isConnected = true;
  /** The fates of the next requests, in order. Later requests arrive. */
  deliveries: Delivery[] = [];
  looks = 0;
  #watch: (isConnected: boolean) => void = () => {};
  #epoch = 0;

  constructor(stepMs: () => number = () => 2) {
    this.owners = new Map(['here', 'there', 'elsewhere'].map((node) => [node, new Owner(this, stepMs)]));
    this.router = new PartitionRouter({
      partitions: 1,
      bus: this.#bus(),
      writers: this.owner('here'),
      clock: this.time,
      onStaleOwner: () => this.looks++,
    });
  }

  owner(node: NodeId): Owner {
    const owner = this.owners.get(node);
    if (!owner) throw new Error(`there is no node ${node}`);
    return owner;
  }

  effect(commandId: string): void {
    if (!this.effects.includes(commandId)) this.effects.push(commandId);
  }

  /** Gives the partition to this node. The router is not told. */
  take(node: NodeId): LeaseHolder {
    for (const owner of this.owners.values()) if (owner.epoch !== undefined) owner.giveUp();
    const epoch = ++this.#epoch;
    this.owner(node).epoch = epoch;
    return { node, epoch };
  }

  /** Ends the node: its work never finishes, and it answers nobody. */
  kill(node: NodeId): void {
    this.owner(node).isDead = true;
  }

  connect(isConnected: boolean): void {
    this.isConnected = isConnected;
    this.#watch(isConnected);
  }

  /** Returns the outcome of a command: `done`, or the code of its refusal. */
  async send(commandId: string): Promise<string> {
    try {
      await this.router.execute<'go online'>({ kind: 'go online', userId: 'ada' }, commandId);
      return 'done';
    } catch (error) {
      return (error as { code: string }).code; // A `ParleyError`; any other error fails the test.
    }
  }

  #bus(): PartitionRouterDeps['bus'] {
    const world = this;
    return {
      node: 'here',
      get isConnected() {
        return world.isConnected;
      },
      onConnectionChange(handler) {
        world.#watch = handler;
        return () => {};
      },
      async request(to, body, timeoutMs) {
        const { fate, delayMs } = world.deliveries.shift() ?? arrives;
        if (fate === 'undelivered' || !world.isConnected) return 'undelivered';
        return new Promise((resolve) => {
          const cancel = world.time.setTimer(() => resolve('unanswered'), timeoutMs);
          const deliver = (isHeard: boolean) => async () => {
            const { isDead, receiver } = world.owner(to);
            if (isDead) return;
            // In the form that crosses the wire.
            const answer = receiver.serve(JSON.parse(JSON.stringify(body)), 'here');
            const reply = await answer.catch(() => undefined);
            if (!reply || !isHeard || world.owner(to).isDead) return;
            cancel();
            resolve({ reply: JSON.parse(JSON.stringify(reply)) });
          };
          if (fate === 'request lost') return;
          world.time.setTimer(() => void deliver(fate !== 'reply lost')(), delayMs);
          if (fate === 'duplicated') world.time.setTimer(() => void deliver(true)(), delayMs * 3);
        });
      },
    };
  }
}
