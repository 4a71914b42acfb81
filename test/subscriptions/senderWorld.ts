import { randomBytes, randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { EgressFailed, EgressRefused } from '../../src/base/egress.js';
import { newSigningSecret } from '../../src/base/webhooks.js';
import { commitFrame } from '../../src/cluster/bus.js';
import { encodeEvent } from '../../src/domain/codec.js';
import type { EventType } from '../../src/domain/events.js';
import { PartitionSender } from '../../src/subscriptions/partitionSender.js';
import { type Subscription, SubscriptionStore } from '../../src/vault/subscriptionStore.js';
import { FakeVault } from '../support/fakeVault.js';
import { MemoryLog } from '../support/memoryLog.js';
import { memorySubscriptions } from '../support/memorySubscriptions.js';
import { virtualTime } from '../support/virtualTime.js';

export const roomId = '33333333-3333-4333-8333-333333333333';
export const otherRoom = '44444444-4444-4444-8444-444444444444';
const userId = '55555555-5555-4555-8555-555555555555';
const START = Date.parse('2026-01-02T03:04:05.000Z');

/** What a receiver does with a request: its status, or no answer, for the reason that is named. */
export type Answer = number | 'unreachable' | 'address' | 'silence';

/** A request that the receiver got: its id, and the offsets of its events. */
export interface Got {
  readonly id: string;
  readonly offsets: readonly number[];
  /** What the events are in: a list, or nothing. */
  readonly isList: boolean;
}

/** One partition, its sender, and a receiver that a test answers for. Time passes only when the test says so. */
export class SenderWorld {
  readonly log = new MemoryLog(1);
  readonly time = virtualTime(START);
  readonly #table = memorySubscriptions();
  readonly store = new SubscriptionStore(this.#table, randomBytes(32));
  readonly got: Got[] = [];
  answer: (got: Got) => Answer | Promise<Answer> = () => 200;
  readonly gone: string[] = [];
  #versions = 0;
  #sender: PartitionSender | undefined;
  /** Ends with each kill: nothing that it began is heard of, or stored, from then on. */
  #life = { isOver: false };

  get sender(): PartitionSender {
    if (!this.#sender) throw new Error('nothing is started');
    return this.#sender;
  }

  /** Appends one commit, and tells the sender. */
  append(...events: readonly (readonly [type: EventType, room?: string])[]): void {
    const leaves = events.map(([type, room = roomId]) => {
      const version = ++this.#versions;
      const isRoom = type === 'MessagesRead';
      const [stream, data] = isRoom
        ? [`room:${room}`, { roomId: room, userId, upTo: version }]
        : [`user:${userId}`, { userId }];
      const recorded = {
        actor: userId,
        recordedAt: this.time.wallNow().toISOString(),
        commandId: randomUUID(),
      };
      // As a decider makes it: type, stream and data belong together.
      return encodeEvent({ stream, version, type, data, ...recorded } as Parameters<typeof encodeEvent>[0]);
    });
    const commit = this.log.rival(leaves);
    this.#sender?.offer(commitFrame(commit));
  }

  /** Stores a subscription that begins at the first event. */
  async subscribe(wanted: Partial<Subscription> = {}): Promise<Subscription> {
    const subscription: Subscription = {
      ...{ id: 'a', version: 1, url: 'https://host.example/hook', isPaused: false },
      ...{ secrets: [{ secret: newSigningSecret() }], secretNumber: 1 },
      ...wanted,
    };
    await this.store.insert(subscription, [{ partition: 0, size: 0, history: this.log.history }]);
    return subscription;
  }

  /** Starts a sender from what is stored. */
  async start(): Promise<void> {
    const [subscription] = await this.store.list();
    const [delivery] = await this.store.deliveries('a');
    if (!subscription || !delivery) throw new Error('nothing is stored');
    const life = { isOver: false };
    this.#life = life;
    const never = new Promise<never>(() => {});
    const { store, log, time } = this;
    this.#sender = new PartitionSender(
      subscription,
      delivery,
      {
        log,
        keys: new FakeVault().keys,
        store: {
          advance: (id, from, to, isSoon) => (life.isOver ? never : store.advance(id, from, to, isSoon)),
          deliveries: (id) => (life.isOver ? never : store.deliveries(id)),
        },
        egress: { request: (_, request) => this.#request(request, life) },
        environment: { clock: time, now: () => time.wallNow().getTime(), logger: pino({ level: 'silent' }) },
      },
      async ({ id }) => void this.gone.push(id),
    );
    this.#sender.noteTail(log.commits().length);
    await time.advance(0);
  }

  /** The process ends: what it was doing is never heard of. */
  kill(): void {
    this.#life.isOver = true;
    this.#sender = undefined;
  }

  /** The machine ends, and takes back what no sync has followed. */
  losePower(): void {
    this.kill();
    this.#table.losePower();
  }

  async #request({ body = '', signal }: { body?: string; signal?: AbortSignal }, life: { isOver: boolean }) {
    const { data } = JSON.parse(body);
    const isList = Array.isArray(data);
    const offsets = (isList ? data : [data]).map(({ offset }: { offset: number }) => offset);
    const got = { id: '', offsets, isList };
    const answer = life.isOver ? 'silence' : await this.answer(got);
    if (!life.isOver && answer !== 'unreachable' && answer !== 'address') this.got.push(got);
    if (life.isOver) return new Promise<never>(() => {});
    if (answer === 'address') throw new EgressRefused('it is private');
    if (answer === 'unreachable') throw new EgressFailed('nobody listens');
    if (answer === 'silence')
      return new Promise<never>((_, reject) => {
        const late = () => reject(new EgressFailed('no answer'));
        this.time.setTimer(late, 15_000);
        signal?.addEventListener('abort', late, { once: true });
      });
    return { status: answer, headers: {}, body: '' };
  }
}
