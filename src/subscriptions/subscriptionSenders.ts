import type { SubscriptionLag } from '../base/metrics.js';
import type { CommitFrame } from '../cluster/bus.js';
import type { Delivery, Subscription, SubscriptionStore } from '../vault/subscriptionStore.js';
import { PartitionSender, type SenderDeps } from './partitionSender.js';

/** How often it looks for changes, and which partitions this node owns. */
const LOOK_EVERY_MS = 1000;

export interface SendersDeps {
  /** What each sender uses. */
  readonly each: SenderDeps & { readonly store: SubscriptionStore };
  /** The partitions that this node owns, now. */
  readonly owned: () => readonly number[];
  /** Called when a receiver answers that it wants no more. */
  readonly onGone: (subscription: Subscription) => Promise<void>;
}

/** The end of a partition. */
interface Tail {
  readonly position: number;
  readonly size: number;
}

/** The sizes that are remembered of a partition. They are enough for years, one a second. */
const MOST_SIZES = 384;
/** Sizes are forgotten if the times between those that are left are at most this share of their age. */
const COARSENESS = 1 / 16;

/** When a partition was seen to have grown. The older it is, the coarser are the times. */
export class Growth {
  #seen: { readonly size: number; readonly at: number }[] = [];

  /** Sizes and times only grow. */
  note(size: number, at: number): void {
    if (this.#seen.at(-1)?.size === size) return;
    this.#seen.push({ size, at });
    if (this.#seen.length > MOST_SIZES) this.#thin(at);
  }

  #thin(now: number): void {
    const kept = this.#seen.slice(-1);
    let later = now;
    for (let i = this.#seen.length - 2; i >= 0; i--) {
      const [seen, older] = [this.#seen[i], this.#seen[i - 1]];
      if (!seen || (older && later - older.at <= (now - older.at) * COARSENESS)) continue;
      kept.push(seen);
      later = seen.at;
    }
    this.#seen = kept.reverse().slice(-MOST_SIZES);
  }

  /** When it was first seen to have more than `size`; undefined if it has not. */
  beyond(size: number): number | undefined {
    return this.#seen.find((seen) => seen.size > size)?.at;
  }
}

/** Sends the partitions that this node owns to all receivers. Costs one query of the vault a second while there is none. */
export class SubscriptionSenders {
  readonly #deps: SenderDeps & { readonly store: SubscriptionStore };
  readonly #owned: SendersDeps['owned'];
  readonly #onGone: SendersDeps['onGone'];
  /** By subscription, then partition. */
  readonly #senders = new Map<string, Map<number, PartitionSender>>();
  readonly #tails = new Map<number, Tail>();
  /** By partition that this node owns. */
  readonly #growth = new Map<number, Growth>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor({ each, owned, onGone }: SendersDeps) {
    this.#deps = each;
    this.#owned = owned;
    this.#onGone = onGone;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    void this.look();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#looking;
    await this.#stopAll([...this.#senders.keys()]);
  }

  /** Takes a commit from the bus. */
  readonly receive = (frame: CommitFrame): void => {
    if (this.#senders.size === 0) return;
    const { partition, position, size } = frame;
    this.#tails.set(partition, { position, size });
    for (const senders of this.#senders.values()) senders.get(partition)?.offer(frame);
  };

  /** How far a partition of a subscription is, if this node sends it. */
  sizeOf(id: string, partition: number): number | undefined {
    return this.#senders.get(id)?.get(partition)?.size;
  }

  /**
   * How far behind each subscription is, in the partitions of this node. The seconds are the age of the oldest event that
   * it has not passed, or the time for which this node has sent the partition.
   */
  *lags(): Generator<SubscriptionLag> {
    const now = this.#deps.environment.clock.now();
    for (const [subscription, senders] of this.#senders) {
      let [events, since] = [0, now];
      for (const [partition, sender] of senders) {
        events += Math.max(0, (this.#tails.get(partition)?.size ?? 0) - sender.size);
        since = Math.min(since, this.#growth.get(partition)?.beyond(sender.size) ?? now);
      }
      yield { subscription, events, seconds: (now - since) / 1000 };
    }
  }

  /** Looks now for subscriptions that were added, changed or removed. One look after the other. */
  look(): Promise<void> {
    this.#looking = this.#looking
      .then(() => this.#follow())
      .catch((err: unknown) =>
        this.#deps.environment.logger.warn({ err }, 'the subscriptions cannot be read now; trying again'),
      );
    return this.#looking;
  }

  async #follow(): Promise<void> {
    if (this.#isStopped) return;
    const { store } = this.#deps;
    const subscriptions = new Map((await store.list()).map((one) => [one.id, one]));
    await this.#stopAll([...this.#senders.keys()].filter((id) => !subscriptions.has(id)));
    if (subscriptions.size === 0) return;
    const partitions = this.#owned();
    await this.#noteTails(partitions);
    for (const subscription of subscriptions.values()) await this.#followOne(subscription, partitions);
  }

  async #noteTails(partitions: readonly number[]): Promise<void> {
    this.#tails.clear();
    for (const partition of this.#growth.keys())
      if (!partitions.includes(partition)) this.#growth.delete(partition);
    for (const partition of partitions) {
      const tail = await this.#deps.log.tail(partition);
      if (!tail) continue;
      this.#tails.set(partition, tail);
      const growth = this.#growth.get(partition) ?? new Growth();
      this.#growth.set(partition, growth);
      growth.note(tail.size, this.#deps.environment.clock.now());
    }
  }

  async #followOne(subscription: Subscription, partitions: readonly number[]): Promise<void> {
    const { id } = subscription;
    const senders = this.#senders.get(id) ?? new Map<number, PartitionSender>();
    this.#senders.set(id, senders);
    for (const [partition, sender] of senders) {
      if (!partitions.includes(partition)) {
        senders.delete(partition);
        await sender.stop();
      } else if (!isSame(sender.subscription, subscription)) sender.change(subscription);
      this.#noteTail(partition, sender);
    }
    if (partitions.every((partition) => senders.has(partition))) return;
    for (const delivery of await this.#deps.store.deliveries(id)) {
      const { partition } = delivery;
      if (!partitions.includes(partition) || senders.has(partition)) continue;
      const present = await this.#ofThisHistory(id, delivery);
      if (!present) continue;
      const sender = new PartitionSender(subscription, present, this.#deps, this.#onGone);
      senders.set(partition, sender);
      this.#noteTail(partition, sender);
    }
  }

  #noteTail(partition: number, sender: PartitionSender): void {
    sender.noteTail(this.#tails.get(partition)?.position ?? 0);
  }

  /** A place of an earlier history, or above the log, is of a log that was restored: it goes on from the end. */
  async #ofThisHistory(id: string, delivery: Delivery): Promise<Delivery | undefined> {
    const { log, store } = this.#deps;
    const size = (await log.tail(delivery.partition))?.size ?? 0;
    if (delivery.history === log.history && delivery.size <= size) return delivery;
    return store.advance(id, delivery, { history: log.history, size });
  }

  async #stopAll(ids: readonly string[]): Promise<void> {
    const stopped = ids.flatMap((id) => [...(this.#senders.get(id)?.values() ?? [])]);
    for (const id of ids) this.#senders.delete(id);
    await Promise.all(stopped.map((sender) => sender.stop()));
  }
}

/** A version is not enough: the id may have been removed and used again. */
const isSame = (a: Subscription, b: Subscription): boolean =>
  a.version === b.version && a.secrets[0]?.secret === b.secrets[0]?.secret;
