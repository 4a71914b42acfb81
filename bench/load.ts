import hdr from 'hdr-histogram-js';
import { seededRandom } from './random.js';
import { Tally } from './tally.js';
import type { Listener, WireConnection } from './wire/connection.js';
import { firstSend } from './wire/dialect.js';
import type { FrameTemplate } from './wire/frames.js';

/** A sender; the other member of its room is a sender too. */
export interface Sender {
  readonly connection: WireConnection;
  readonly template: FrameTemplate;
}

export interface LoadOptions {
  /** Messages a second, all senders together. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  readonly onWindowStart?: () => void;
  readonly onWindowEnd?: () => void;
}

/** Times in milliseconds, from a message's scheduled time, for the messages of the window. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface LoadResult {
  /** Messages scheduled within the window. */
  readonly messages: number;
  /** Messages answered within the window: they are fewer if the server falls behind. */
  readonly answered: number;
  /** Until the other member has the message. */
  readonly delivery: Latency;
  /** Until the sender has the answer. */
  readonly answer: Latency;
  /** How late the generator sent a message, in milliseconds: this delay is part of the latencies. */
  readonly generatorLateP99: number;
  /** Messages that were never delivered or never acknowledged, including the warm-up. */
  readonly lost: number;
  readonly doubled: number;
  readonly refusals: ReadonlyMap<string, number>;
  /** Whether the load ended early because a delivery took more than 2 s: the p99 cannot be below 100 ms then. */
  readonly abandoned: boolean;
}

const hopelessMs = 2000;
const drainMs = 20_000;
const turnMs = 0.5;
const seed = 20_240_229;
let nextMessage = 0;

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Blocks the thread until half a millisecond after `from`. Waking up for each answer would cost the generator 8 µs a
 * message. The sockets are read between two pauses, so a latency is up to half a millisecond too long.
 */
function pause(from: number): void {
  const rest = turnMs - (performance.now() - from);
  if (rest > 0.05) Atomics.wait(never, 0, 0, rest);
}

/** Reserves `count` message numbers and returns the first. */
export function takeMessages(count: number): number {
  nextMessage += count;
  return nextMessage - count;
}

/** Collects times in milliseconds. */
class Latencies {
  readonly #histogram = hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(ms * 1000)));
  }

  get summary(): Latency {
    const ms = (percentile: number) => this.#histogram.getValueAtPercentile(percentile) / 1000;
    return { p50: ms(50), p99: ms(99), max: this.#histogram.maxValue / 1000 };
  }
}

/** What one load has sent, and when it arrived. */
class LoadRecord implements Listener {
  readonly deliveries = new Latencies();
  readonly answers = new Latencies();
  readonly lateness = new Latencies();
  readonly tally: Tally;
  messages = 0;
  answered = 0;
  isInWindow = false;
  abandoned = false;

  /**
   * @param capacity the largest number of messages
   * @param windowAt only messages that are scheduled from this time on are measured
   */
  constructor(
    capacity: number,
    readonly windowAt: number,
  ) {
    this.tally = new Tally(takeMessages(capacity), capacity);
  }

  /** Records the next message and returns its number. */
  scheduled(at: number, now: number): number {
    if (at >= this.windowAt) {
      this.messages++;
      this.lateness.record(now - at);
    }
    return this.tally.scheduled(at);
  }

  delivered(message: number): void {
    const at = this.tally.delivered(message);
    if (at !== undefined && at >= this.windowAt) this.deliveries.record(performance.now() - at);
  }

  acknowledged(message: number): void {
    const at = this.tally.acknowledged(message);
    if (this.isInWindow) this.answered++;
    if (at !== undefined && at >= this.windowAt) this.answers.record(performance.now() - at);
  }

  refused(_message: number, code: string): void {
    this.tally.refused(code);
  }

  get result(): LoadResult {
    return {
      messages: this.messages,
      answered: this.answered,
      delivery: this.deliveries.summary,
      answer: this.answers.summary,
      generatorLateP99: this.lateness.summary.p99,
      lost: this.tally.lost,
      doubled: this.tally.doubled,
      refusals: this.tally.refusals,
      abandoned: this.abandoned,
    };
  }
}

/**
 * Runs an open-loop load: messages have Poisson arrivals at a fixed rate and random senders, and are sent on time
 * even if the server is late. Then waits up to 20 s until all messages are delivered and acknowledged.
 */
export function runLoad(senders: readonly Sender[], options: LoadOptions): Promise<LoadResult> {
  const { rate, warmupMs, windowMs } = options;
  const random = seededRandom(seed);
  const startsAt = performance.now() + 50;
  const windowAt = startsAt + warmupMs;
  const endsAt = windowAt + windowMs;
  const record = new LoadRecord(Math.ceil(((warmupMs + windowMs) / 1000) * rate * 1.5) + 1000, windowAt);
  const { tally } = record;
  const written: WireConnection[] = [];
  for (const { connection } of senders) connection.listener = record;

  function send(at: number, now: number): void {
    const sender = senders[Math.floor(random() * senders.length)];
    if (!sender) throw new Error('a load needs senders');
    const message = record.scheduled(at, now);
    const { connection, template } = sender;
    if (connection.queue(template.fill(firstSend + message, message))) written.push(connection);
  }

  return new Promise((resolve) => {
    let due = startsAt;
    let started = false;
    let ended = false;

    function turn(): void {
      const now = performance.now();
      if (!started && now >= windowAt) {
        started = true;
        record.isInWindow = true;
        options.onWindowStart?.();
      }
      while (!ended && due <= now && due < endsAt) {
        send(due, now);
        due += (-Math.log(1 - random()) * 1000) / rate;
      }
      for (const connection of written) connection.flush();
      written.length = 0;
      if (!ended && now - (tally.oldestOpen() ?? now) > hopelessMs) record.abandoned = true;
      if (!ended && (now >= endsAt || record.abandoned)) {
        ended = true;
        record.isInWindow = false;
        options.onWindowEnd?.();
      }
      if (ended && (tally.isSettled || now > endsAt + drainMs)) return finish();
      pause(now);
      setImmediate(turn);
    }

    function finish(): void {
      for (const { connection } of senders) connection.listener = {};
      resolve(record.result);
    }

    turn();
  });
}
