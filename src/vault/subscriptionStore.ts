import { randomUUID } from 'node:crypto';
import { VaultUnavailable } from '../base/errors.js';
import type { Time } from '../domain/fields.js';
import { type DataKey, open, seal } from './dataKeys.js';
import type { DeliveryRow, SubscriptionRow, SubscriptionTable } from './vaultStore.js';

/** The events that go to a receiver: of these types, of these rooms. An absent list does not limit. */
export interface Selection {
  /** Without it, all but those that go only where they are named. */
  readonly types?: readonly string[];
  readonly rooms?: readonly string[];
}

/** A secret that signs deliveries. */
export interface SigningSecret {
  /** `whsec_…` */
  readonly secret: string;
  /** It signs until then; absent of the newest one. */
  readonly until?: Time;
}

/** What the host's server has subscribed to. */
export interface Subscription extends Selection {
  readonly id: string;
  /** 1, 2, 3 …: it grows with each change, and when the place is moved. */
  readonly version: number;
  readonly url: string;
  /** The most events of a delivery; absent: one, by itself. */
  readonly batch?: number;
  readonly isPaused: boolean;
  /** The newest first. */
  readonly secrets: readonly SigningSecret[];
  /** The number of the newest secret: 1, 2 … */
  readonly secretNumber: number;
}

/** Why a delivery failed: the status of the answer, or that there was none. */
export type Failure = number | 'timeout' | 'unreachable' | 'address';

/** Deliveries that fail, since the first of them. */
export interface Failing {
  readonly since: Time;
  readonly status: Failure;
  /** The time of the next try. */
  readonly next: Time;
  /** The tries that have failed. */
  readonly tries: number;
}

/** A batch that is under way: every try has the same events. */
export interface Pending extends Selection {
  /** The batch has the selected events below this offset. */
  readonly upTo: number;
  /** It is one event by itself, and no list. */
  readonly isSingle?: true;
}

/** How far a subscription is in one partition. */
export interface Progress {
  /** The history of the log that `size` is of. */
  readonly history: string;
  /** All events at an offset below it were taken, or are not selected. */
  readonly size: number;
  readonly pending?: Pending;
  readonly failing?: Failing;
}

/** The stored progress. `tag`: the write that it came by. */
export interface Delivery extends Progress {
  readonly partition: number;
  readonly tag: string;
}

const contextOf = (id: string, version: number): string => `subscription ${id}, ${version}`;

/** The subscriptions of the host's server. URLs and secrets are sealed, and bound to id and version. */
export class SubscriptionStore {
  readonly #table: SubscriptionTable;
  readonly #key: DataKey;

  constructor(table: SubscriptionTable, key: DataKey) {
    this.#table = table;
    this.#key = key;
  }

  /** All subscriptions, by id. */
  async list(): Promise<Subscription[]> {
    return (await this.#table.listSubscriptions()).map((row) => this.#open(row));
  }

  /** Stores version 1, after its deliveries. Returns false if there is one of this id. */
  async insert(subscription: Subscription, deliveries: readonly (Progress & { partition: number })[]) {
    for (const { partition, ...progress } of deliveries) await this.put(subscription.id, partition, progress);
    return this.#table.insertSubscription(this.#seal(subscription));
  }

  /** Stores the next version. Returns false if the present one is not `subscription.version` − 1. */
  replace(subscription: Subscription): Promise<boolean> {
    return this.#table.replaceSubscription(this.#seal(subscription));
  }

  /** May be repeated. */
  remove(id: string): Promise<void> {
    return this.#table.removeSubscription(id);
  }

  /** How far it is, by partition. */
  async deliveries(id: string): Promise<Delivery[]> {
    const rows = await this.#table.listDeliveries(id);
    return rows.map(({ partition, tag, progress }) => ({
      ...(JSON.parse(progress) as Progress), // Only this class writes it.
      ...{ partition, tag },
    }));
  }

  /** Stores how far it is in a partition, whatever was stored. */
  async put(id: string, partition: number, progress: Progress): Promise<void> {
    await this.#table.putDelivery(rowOf(id, partition, progress));
  }

  /**
   * Stores how far it is, if `from` is still what is stored. Else returns undefined, and nothing has changed. `isSoon`:
   * it waits for no disk. A loss of power may take this and the writes before it back, to the last that waited.
   */
  async advance(
    id: string,
    from: Delivery,
    progress: Progress,
    isSoon = false,
  ): Promise<Delivery | undefined> {
    const { partition } = from;
    const row = rowOf(id, partition, progress);
    const isStored = isSoon
      ? await this.#table.replaceDeliverySoon(row, from.tag)
      : await this.#table.replaceDelivery(row, from.tag);
    return isStored ? { ...progress, partition, tag: row.tag } : undefined;
  }

  #seal({ id, version, ...rest }: Subscription): SubscriptionRow {
    return { id, version, sealed: seal(this.#key, JSON.stringify(rest), contextOf(id, version)) };
  }

  #open({ id, version, sealed }: SubscriptionRow): Subscription {
    try {
      const rest = JSON.parse(open(this.#key, sealed, contextOf(id, version)));
      return { id, version, ...rest };
    } catch (cause) {
      throw new VaultUnavailable(`subscription ${id} does not open with this master key`, { cause });
    }
  }
}

const rowOf = (subscription: string, partition: number, progress: Progress): DeliveryRow => ({
  subscription,
  partition,
  tag: randomUUID(),
  progress: JSON.stringify(progress),
});
