import { randomUUID } from 'node:crypto';
import type { Egress } from '../base/egress.js';
import { forbidden, notFound, overloaded, ParleyError } from '../base/errors.js';
import { newSigningSecret } from '../base/webhooks.js';
import type { CommandRouter } from '../domain/commands.js';
import type { Time } from '../domain/fields.js';
import type { Actor } from '../domain/ids.js';
import { findLastCommit } from '../log/checkLog.js';
import type {
  Delivery,
  Failing,
  Failure,
  Selection,
  Subscription,
  SubscriptionStore,
} from '../vault/subscriptionStore.js';
import type { ReadableLog } from './eventReader.js';
import { endsOf, type Places } from './places.js';
import type { SubscriptionSenders } from './subscriptionSenders.js';

/** After `rotate` the secret of before signs for this time. */
const OLD_SECRET_MS = 24 * 3_600_000;
/** Secrets that sign at once. */
const MOST_SECRETS = 10;
/** A lost race means that another has written. So many losses mean that something is wrong. */
const MOST_RACES = 20;

export interface SubscriptionParts {
  readonly store: SubscriptionStore;
  readonly log: ReadableLog & { readonly id: string };
  readonly places: Places;
  readonly egress: Pick<Egress, 'check'>;
  readonly senders: Pick<SubscriptionSenders, 'look' | 'sizeOf'>;
}

/** What the host's server asks for. `from`: see `Places`; it counts only when the subscription is made. */
export interface WantedSubscription extends Selection {
  readonly url: string;
  readonly from: string;
  readonly batch?: number;
}

/** A subscription as it is shown: without its secrets, and without the query of its URL. */
export interface SubscriptionView extends Selection {
  readonly id: string;
  readonly url: string;
  readonly batch?: number;
  readonly cursor: string;
  /** Events of the log behind the cursor. */
  readonly lagEvents: number;
  /** The age of the oldest of them. */
  readonly lagSeconds: number;
  readonly failing?: { readonly since: Time; readonly status: Failure; readonly next: Time };
  readonly paused: boolean;
}

/** Who decides about a subscription, and how the decision comes into the log. */
export interface Decider {
  readonly commands: CommandRouter;
  /** The admin; `system` for the host application, whose key the events name, and for the system itself. */
  readonly by: Actor;
}

/** The subscriptions of the host's server. The log records each decision before it is carried out. */
export class HostSubscriptions {
  readonly #parts: SubscriptionParts;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** Makes or changes a subscription. Only a new one shows its secret, once. */
  async put(
    decider: Decider,
    id: string,
    { from, ...wanted }: WantedSubscription,
  ): Promise<{ readonly subscription: SubscriptionView; readonly secret?: string }> {
    await this.#checkUrl(wanted.url);
    const { store, places, log } = this.#parts;
    if (!(await this.#find(id))) {
      // A place that is none is refused before anything is recorded. `now` is behind the record of the subscription.
      await places.find(from, 'from');
      const secret = newSigningSecret();
      const made = { id, version: 1, isPaused: false, secrets: [{ secret }], secretNumber: 1, ...wanted };
      await this.#record(decider, made);
      const at = await places.find(from, 'from');
      const deliveries = at.map((size, partition) => ({ partition, size, history: log.history }));
      if (await store.insert(made, deliveries)) return { subscription: await this.#changed(made), secret };
    }
    const now = await this.#change(
      decider,
      id,
      ({ url: _, types: __, rooms: ___, batch: ____, ...rest }) => ({
        ...rest,
        ...wanted,
      }),
    );
    return { subscription: await this.#changed(await this.#tryNow(now)) };
  }

  async list(): Promise<SubscriptionView[]> {
    const views: SubscriptionView[] = [];
    for (const subscription of await this.#parts.store.list()) views.push(await this.#view(subscription));
    return views;
  }

  /** Throws `not_found`. */
  async get(id: string): Promise<SubscriptionView> {
    return this.#view(await this.#require(id));
  }

  /** Throws `not_found`. */
  async remove(decider: Decider, id: string): Promise<void> {
    const { store, senders } = this.#parts;
    await this.#record(decider, await this.#require(id), true);
    await store.remove(id);
    await senders.look();
  }

  /** Goes on from another place. Throws `not_found`, and `bad_request` for a place that is none. */
  async seek({ commands, by }: Decider, id: string, to: string): Promise<SubscriptionView> {
    const { store, places, log } = this.#parts;
    await this.#require(id);
    const at = await places.find(to, 'to');
    const cursor = places.cursorOf(at);
    await commands.execute<'seek subscription'>(
      { kind: 'seek subscription', policyId: log.id, subscriptionId: id, to, cursor, by },
      randomUUID(),
    );
    for (const [partition, size] of at.entries())
      await store.put(id, partition, { history: log.history, size });
    // Its senders read the place again when the version has changed.
    return this.#changed(await this.#replace(id, (subscription) => subscription));
  }

  /** Throws `not_found`. */
  async pause(decider: Decider, id: string): Promise<SubscriptionView> {
    return this.#changed(await this.#change(decider, id, (now) => ({ ...now, isPaused: true })));
  }

  /** Goes on at once, also where the last try has failed. Throws `not_found`. */
  async resume(decider: Decider, id: string): Promise<SubscriptionView> {
    const resumed = await this.#change(decider, id, (now) => ({ ...now, isPaused: false }));
    return this.#changed(await this.#tryNow(resumed));
  }

  /** The receiver wants no more. Does nothing if the subscription has changed since it answered. */
  async pauseGone(decider: Decider, gone: Subscription): Promise<void> {
    const now = await this.#find(gone.id);
    if (now?.version !== gone.version) return;
    const paused = { ...now, isPaused: true, version: now.version + 1 };
    if (!(await this.#parts.store.replace(paused))) return;
    await this.#record(decider, paused);
    void this.#parts.senders.look();
  }

  /** Signs with a new secret, and for 24 h with those of before too. Throws `not_found`. */
  async rotate(
    decider: Decider,
    id: string,
  ): Promise<{ readonly subscription: SubscriptionView; readonly secret: string }> {
    const secret = newSigningSecret();
    const rotated = await this.#change(decider, id, (now) => {
      const until = new Date(Date.now() + OLD_SECRET_MS).toISOString();
      const before = now.secrets
        .map((one) => ({ ...one, until: one.until ?? until }))
        .filter((one) => Date.parse(one.until) > Date.now());
      if (before.length >= MOST_SECRETS)
        throw forbidden(`${MOST_SECRETS} secrets of the last 24 h are in use, the maximum`, 'too_many');
      return { ...now, secrets: [{ secret }, ...before], secretNumber: now.secretNumber + 1 };
    });
    return { subscription: await this.#changed(rotated), secret };
  }

  async #checkUrl(url: string): Promise<void> {
    const message = await this.#parts.egress.check(url);
    if (message === undefined) return;
    throw new ParleyError('bad_request', `url ${message}`, {
      fields: [{ path: 'url', message }],
      reason: 'url',
    });
  }

  async #find(id: string): Promise<Subscription | undefined> {
    return (await this.#parts.store.list()).find((one) => one.id === id);
  }

  async #require(id: string): Promise<Subscription> {
    const found = await this.#find(id);
    if (!found) throw notFound(`there is no subscription ${id}`);
    return found;
  }

  /** Changes and records a subscription. One that stays the same is left as it is. */
  async #change(
    decider: Decider,
    id: string,
    change: (now: Subscription) => Subscription,
  ): Promise<Subscription> {
    const now = await this.#require(id);
    const next = change(now);
    if (isEqual(now, next)) return now;
    await this.#record(decider, next);
    return this.#replace(id, change);
  }

  async #replace(id: string, change: (now: Subscription) => Subscription): Promise<Subscription> {
    for (let race = 0; race < MOST_RACES; race++) {
      const now = await this.#require(id);
      const next = { ...change(now), version: now.version + 1 };
      if (await this.#parts.store.replace(next)) return next;
    }
    throw overloaded(`subscription ${id} was changed by other requests ${MOST_RACES} times; try again`);
  }

  async #record({ commands, by }: Decider, subscription: Subscription, isRemoved = false): Promise<void> {
    const { id, url, types, rooms, batch, isPaused, secretNumber } = subscription;
    await commands.execute<'set subscription'>(
      {
        ...{ kind: 'set subscription', policyId: this.#parts.log.id, subscriptionId: id },
        ...{ url: withoutQuery(url), secret: secretNumber, by },
        ...(types ? { types } : {}),
        ...(rooms ? { rooms } : {}),
        ...(batch === undefined ? {} : { batch }),
        ...(isPaused ? { paused: true } : {}),
        ...(isRemoved ? { removed: true } : {}),
      },
      randomUUID(),
    );
  }

  /** Tries at once what has failed before. Its senders read the place again, as this changes the version. */
  async #tryNow(subscription: Subscription): Promise<Subscription> {
    const { store } = this.#parts;
    const { id } = subscription;
    const failed = (await store.deliveries(id)).filter(({ failing }) => failing);
    if (failed.length === 0) return subscription;
    for (const delivery of failed) {
      const { history, size, pending } = delivery;
      await store.advance(id, delivery, { history, size, ...(pending ? { pending } : {}) });
    }
    return this.#replace(id, (now) => now);
  }

  /** Lets this node's senders follow a change at once. Other nodes do within a second. */
  async #changed(subscription: Subscription): Promise<SubscriptionView> {
    await this.#parts.senders.look();
    return this.#view(subscription);
  }

  async #view(subscription: Subscription): Promise<SubscriptionView> {
    const { id, url, types, rooms, batch, isPaused } = subscription;
    const { log, store, senders, places } = this.#parts;
    const ends = await endsOf(log);
    const deliveries = new Map((await store.deliveries(id)).map((one) => [one.partition, one]));
    const at = ends.map((end, partition) => {
      const stored = deliveries.get(partition);
      const isPresent = stored?.history === log.history && stored.size <= end;
      return Math.min(senders.sizeOf(id, partition) ?? (isPresent ? stored.size : end), end);
    });
    const lags = ends.map((end, partition) => end - (at[partition] ?? end));
    const failing = failingOf([...deliveries.values()]);
    return {
      ...{ id, url: withoutQuery(url) },
      ...(types ? { types } : {}),
      ...(rooms ? { rooms } : {}),
      ...(batch === undefined ? {} : { batch }),
      cursor: places.cursorOf(at),
      lagEvents: lags.reduce((sum, lag) => sum + lag, 0),
      lagSeconds: await this.#lagSeconds(at, lags),
      ...(failing ? { failing } : {}),
      paused: isPaused,
    };
  }

  /** The age of the oldest event behind these places. */
  async #lagSeconds(at: readonly number[], lags: readonly number[]): Promise<number> {
    const { log } = this.#parts;
    let oldest = Date.now();
    for (const [partition, lag] of lags.entries()) {
      if (lag <= 0) continue;
      const upTo = (await log.tail(partition))?.position ?? 0;
      const size = at[partition] ?? 0;
      const range = { partition, after: 0, upTo };
      const position = size === 0 ? 0 : await findLastCommit(log, range, (place) => place.size <= size);
      const [place] = await log.places(partition, [position + 1]);
      if (place) oldest = Math.min(oldest, Date.parse(place.recordedAt));
    }
    return Math.max(0, (Date.now() - oldest) / 1000);
  }
}

/** The URL as the log and operators see it. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** Of several partitions: since the first failure, with the status of the newest, and the next try of any. */
function failingOf(deliveries: readonly Delivery[]): SubscriptionView['failing'] | undefined {
  const all = deliveries.flatMap(({ failing }) => failing ?? []);
  const by = (field: 'since' | 'next'): Failing[] => all.toSorted((a, b) => (a[field] < b[field] ? -1 : 1));
  const [first, soonest, newest] = [by('since')[0], by('next')[0], by('since').at(-1)];
  if (!first || !soonest || !newest) return undefined;
  return { since: first.since, status: newest.status, next: soonest.next };
}

/** Whether nothing would change. */
const isEqual = (a: Subscription, b: Subscription): boolean => canonical(a) === canonical(b);

function canonical({ types, rooms, batch, url, isPaused, secrets }: Subscription): string {
  return JSON.stringify([types ?? null, rooms ?? null, batch ?? null, url, isPaused, secrets]);
}
