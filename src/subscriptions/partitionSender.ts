import type { Logger } from 'pino';
import { type AuditKeys, openEvents } from '../audit/events/transcript.js';
import type { Clock } from '../base/clock.js';
import { type Egress, EgressFailed, EgressRefused } from '../base/egress.js';
import { signedHeaders } from '../base/webhooks.js';
import type { CommitFrame } from '../cluster/bus.js';
import type { Recorded } from '../domain/events.js';
import type {
  Delivery,
  Failing,
  Failure,
  Pending,
  Progress,
  Subscription,
  SubscriptionStore,
} from '../vault/subscriptionStore.js';
import { EventReader, type ReadableLog, selects } from './eventReader.js';

/** A receiver has this long to answer. */
const ANSWER_MS = 15_000;
const ANSWER_BYTES = 1024 * 1024;
/** The waits between tries: doubled from the first to the last, and then the same without end. */
const RETRY_MS = { first: 5000, last: 3_600_000 } as const;
/** The most that the log holds of the events of one delivery. */
const BATCH_CHARACTERS = 256 * 1024;
/** Progress over events that are not selected is saved after 4,096 events, or after 10 s. */
const SAVE_EVERY = { events: 4096, ms: 10_000 } as const;
/** The wait after an outage of the log or the vault. */
const OUTAGE_MS = 1000;
/** A node that stops gives a delivery under way this long. */
const STOP_MS = 2000;

export interface SenderDeps {
  readonly log: ReadableLog;
  readonly store: Pick<SubscriptionStore, 'advance' | 'deliveries'>;
  readonly keys: AuditKeys;
  readonly egress: Pick<Egress, 'request'>;
  readonly environment: {
    readonly clock: Pick<Clock, 'now' | 'setTimer'>;
    /** The wall clock. */
    readonly now: () => number;
    readonly logger: Logger;
  };
}

/** The type of a delivery of a list of events. */
const BATCH_TYPE = 'events';

/** When the next try after these failed ones is due. */
const retryAfterMs = (tries: number): number => Math.min(RETRY_MS.first * 2 ** (tries - 1), RETRY_MS.last);

/** A batch that is to be sent: its events, and the place behind it. */
interface Batch {
  readonly events: readonly Recorded[];
  readonly isAtEnd: boolean;
}

/**
 * Sends the events of one partition to one receiver, in order, the next only after the last was taken. Keeps nothing
 * but a batch and a page of the log in memory, and neither while it waits for a receiver that fails.
 */
export class PartitionSender {
  readonly partition: number;
  readonly #deps: SenderDeps;
  readonly #onGone: (subscription: Subscription) => Promise<void>;
  readonly #reader: EventReader;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #subscription: Subscription;
  #delivery: Delivery;
  /** Every event below it was taken, or is not selected. It may be ahead of what is stored. */
  #taken: number;
  #isStale = false;
  #isStopping = false;
  #savedAt: number;
  /** When the next try is due, on the monotonic clock. */
  #dueAt: number;
  #signals = 0;
  #wake = (): void => {};

  /** `onGone`: called when the receiver answers that it wants no more. */
  constructor(
    subscription: Subscription,
    delivery: Delivery,
    deps: SenderDeps,
    onGone: (subscription: Subscription) => Promise<void>,
  ) {
    this.partition = delivery.partition;
    this.#subscription = subscription;
    this.#delivery = delivery;
    this.#taken = delivery.size;
    this.#deps = deps;
    this.#onGone = onGone;
    this.#reader = new EventReader(deps.log, delivery.partition, delivery.size);
    this.#savedAt = deps.environment.clock.now();
    this.#dueAt = this.#dueAfter(delivery);
    this.#running = this.#run();
  }

  /** Every event below it was taken, or is not selected. */
  get size(): number {
    return this.#taken;
  }

  get subscription(): Subscription {
    return this.#subscription;
  }

  /** The subscription has changed, and maybe its place. */
  change(subscription: Subscription): void {
    this.#subscription = subscription;
    this.#isStale = true;
    this.#signal();
  }

  /** A commit of the bus. */
  offer(frame: CommitFrame): void {
    this.#reader.offer(frame);
    this.#signal();
  }

  /** The log has at least this position. Called every second. */
  noteTail(position: number): void {
    this.#reader.noteTail(position);
    this.#signal();
  }

  /** Resolves when nothing is under way. A delivery that takes too long is given up, and sent again by the next owner. */
  async stop(): Promise<void> {
    const cancel = this.#clock.setTimer(() => this.#ending.abort(), STOP_MS);
    this.#isStopping = true;
    this.#signal();
    await this.#running;
    cancel();
  }

  #signal(): void {
    this.#signals++;
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const seen = this.#signals;
      try {
        if (!(await this.#step())) await this.#idle(seen, this.#dueAt - this.#clock.now());
      } catch (err) {
        if (this.#isStopping) break;
        const { partition, subscription } = this;
        this.#deps.environment.logger.warn(
          { err, partition, subscription: subscription.id },
          'a subscription cannot go on now; trying again',
        );
        this.#reader.seek(this.#taken);
        this.#dueAt = this.#clock.now() + OUTAGE_MS;
      }
    }
    await this.#saveProgress(0).catch(() => undefined); // The next owner begins a little before.
  }

  /** Waits for something to do: a commit, a change, or the next try. */
  async #idle(seen: number, ms: number): Promise<void> {
    if (this.#signals !== seen) return;
    let cancel = (): void => {};
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (ms > 0) cancel = this.#clock.setTimer(resolve, ms);
    });
    cancel();
    this.#wake = () => {};
  }

  /** Does the next piece of work. Returns false if there is none now. */
  async #step(): Promise<boolean> {
    if (this.#isStale) await this.#reload();
    const subscription = this.#subscription;
    // What was read is dropped meanwhile, and read again.
    if (subscription.isPaused || this.#delivery.failing) this.#reader.seek(this.#taken);
    if (subscription.isPaused || this.#clock.now() < this.#dueAt) return false;
    const batch = await this.#collect(subscription);
    if (batch.events.length > 0) {
      await this.#send(batch, subscription);
      return true;
    }
    if (!this.#delivery.pending) this.#taken = this.#reader.size;
    await this.#saveProgress(SAVE_EVERY.events);
    return !batch.isAtEnd;
  }

  /** Reads the stored place again: somebody has moved it, or another node has gone on. */
  async #reload(): Promise<void> {
    this.#isStale = false;
    const { id } = this.#subscription;
    const deliveries = await this.#deps.store.deliveries(id);
    const found = deliveries.find(({ partition }) => partition === this.partition);
    // It was removed: its sender is stopped soon.
    if (!found) this.#dueAt = this.#clock.now() + OUTAGE_MS;
    if (!found || found.tag === this.#delivery.tag) return;
    this.#delivery = found;
    this.#taken = found.size;
    this.#reader.seek(found.size);
    this.#dueAt = this.#dueAfter(found);
  }

  /** The next events to send. More than one are stored before they are sent, so that each try has the same. */
  async #collect(subscription: Subscription): Promise<Batch> {
    const { batch } = subscription;
    const { pending } = this.#delivery;
    if (pending) return this.#readAgain(pending);
    const limits = { events: batch ?? 1, characters: BATCH_CHARACTERS };
    const found = await this.#reader.read(selects(subscription), limits);
    if (batch !== undefined && found.events.length > 0)
      await this.#advance({ ...this.#place(), pending: pendingOf(subscription, this.#reader.size) });
    return found;
  }

  /** A batch that was begun. It may lie behind many events that are not selected. */
  async #readAgain(pending: Pending): Promise<Batch> {
    const whole = Number.POSITIVE_INFINITY;
    const limits = { events: whole, characters: whole, upTo: pending.upTo };
    const events: Recorded[] = [];
    const isSelected = selects(pending);
    this.#reader.seek(this.#delivery.size);
    while (this.#reader.size < pending.upTo) {
      const found = await this.#reader.read(isSelected, limits);
      events.push(...found.events);
      if (found.isAtEnd && this.#reader.size < pending.upTo)
        throw new Error(`the log lacks events of a batch up to offset ${pending.upTo}`);
    }
    if (events.length === 0) throw new Error(`no event of a batch up to offset ${pending.upTo} is left`);
    return { events, isAtEnd: false };
  }

  async #send({ events }: Batch, subscription: Subscription): Promise<void> {
    const [first] = events;
    // Stopped while it was read, or another place is stored: nothing was sent yet.
    if (!first || this.#isStopping || this.#isStale) return this.#reader.seek(this.#taken);
    const { log, keys } = this.#deps;
    const { pending } = this.#delivery;
    const opened = await openEvents(keys, events);
    const isSingle = pending ? pending.isSingle === true : subscription.batch === undefined;
    const [type, data] = isSingle ? [first.type, opened[0]] : [BATCH_TYPE, opened];
    const id = `evt_${log.history}_${this.partition}_${first.offset}`;
    const body = JSON.stringify({ type, timestamp: first.recordedAt, data });
    const status = await this.#post({ id, body }, subscription);
    if (status === undefined) return;
    if (typeof status !== 'number' || status < 200 || status > 299) {
      await this.#fail(status, pending ?? { ...pendingOf(subscription, this.#reader.size), isSingle: true });
      if (status === 410) await this.#onGone(subscription);
      return;
    }
    this.#taken = this.#reader.size;
    await this.#advance(this.#place(), true);
  }

  /** The status of the answer, or why there is none; undefined if this node stops. */
  async #post(
    outgoing: { readonly id: string; readonly body: string },
    subscription: Subscription,
  ): Promise<Failure | undefined> {
    const now = new Date(this.#deps.environment.now());
    const secrets = subscription.secrets.filter(
      ({ until }) => until === undefined || Date.parse(until) > now.getTime(),
    );
    const headers = signedHeaders(
      outgoing,
      secrets.map(({ secret }) => secret),
      now,
    );
    const began = this.#clock.now();
    try {
      const { status } = await this.#deps.egress.request(subscription.url, {
        ...{ method: 'POST', headers, body: outgoing.body },
        ...{ timeoutMs: ANSWER_MS, maxBytes: ANSWER_BYTES, signal: this.#ending.signal },
      });
      return status;
    } catch (error) {
      if (this.#ending.signal.aborted) return undefined;
      if (error instanceof EgressRefused) return 'address';
      if (!(error instanceof EgressFailed)) throw error;
      return this.#clock.now() - began >= ANSWER_MS ? 'timeout' : 'unreachable';
    }
  }

  /** Stores that a try has failed. What was read is dropped, and read again for the next try. */
  async #fail(status: Failure, pending: Pending): Promise<void> {
    const { failing } = this.#delivery;
    const tries = (failing?.tries ?? 0) + 1;
    const now = this.#deps.environment.now();
    const next: Failing = {
      since: failing?.since ?? new Date(now).toISOString(),
      next: new Date(now + retryAfterMs(tries)).toISOString(),
      ...{ status, tries },
    };
    await this.#advance({ ...this.#place(), pending, failing: next });
    this.#reader.seek(this.#taken);
    this.#dueAt = this.#dueAfter({ failing: next });
  }

  /** When the next try is due: at once, unless the last one failed. If the wall clock was set back, in an hour at most. */
  #dueAfter({ failing }: Pick<Progress, 'failing'>): number {
    if (!failing) return 0;
    const waitMs = Math.min(Date.parse(failing.next) - this.#deps.environment.now(), RETRY_MS.last);
    return this.#clock.now() + Math.max(0, waitMs);
  }

  get #clock(): SenderDeps['environment']['clock'] {
    return this.#deps.environment.clock;
  }

  #place(): Progress {
    return { history: this.#deps.log.history, size: this.#taken };
  }

  /** Saves its place if it is at least `events` events further than the saved one, or if that was saved 10 s ago. */
  async #saveProgress(events: number): Promise<void> {
    const { size, pending, failing } = this.#delivery;
    const further = this.#taken - size;
    if (further <= 0 || pending || failing) return;
    if (further < events && this.#clock.now() - this.#savedAt < SAVE_EVERY.ms) return;
    await this.#advance(this.#place(), true);
  }

  /**
   * Stores progress. If another has stored some since, that counts, and this node goes on from there. `isSoon`: without
   * a sync. What was taken may be sent again, but a batch that is to be sent must not get other events.
   */
  async #advance(progress: Progress, isSoon = false): Promise<void> {
    const stored = await this.#deps.store.advance(this.#subscription.id, this.#delivery, progress, isSoon);
    this.#savedAt = this.#clock.now();
    if (stored) this.#delivery = stored;
    else this.#isStale = true;
  }
}

/** The batch of this subscription that ends before an offset. */
const pendingOf = ({ types, rooms }: Subscription, upTo: number): Pending => ({
  ...(types ? { types } : {}),
  ...(rooms ? { rooms } : {}),
  upTo,
});
