import hdr from 'hdr-histogram-js';
import { seededRandom } from './random.js';
import { Tally } from './tally.js';
import type { WireConnection } from './wire/connection.js';
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

/** Latencies are in milliseconds from a message's scheduled time to its delivery, for messages of the window. */
export interface LoadResult {
  /** Messages scheduled within the window. */
  readonly messages: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
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
const tickMs = 1;
const seed = 20_240_229;
let nextMessage = 0;

/** Reserves `count` message numbers and returns the first. */
export function takeMessages(count: number): number {
  nextMessage += count;
  return nextMessage - count;
}

const histogram = () =>
  hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
const micros = (ms: number) => Math.max(1, Math.round(ms * 1000));

/**
 * Runs an open-loop load: messages have Poisson arrivals at a fixed rate and random senders, and are sent on time
 * even if the server is late. Then waits up to 20 s until all messages are delivered and acknowledged.
 */
export function runLoad(senders: readonly Sender[], options: LoadOptions): Promise<LoadResult> {
  const { rate, warmupMs, windowMs } = options;
  const random = seededRandom(seed);
  const latencies = histogram();
  const lateness = histogram();
  const first = takeMessages(Math.ceil(((warmupMs + windowMs) / 1000) * rate * 1.5) + 1000);
  const tally = new Tally(first);
  const startsAt = performance.now() + 50;
  const windowAt = startsAt + warmupMs;
  const endsAt = windowAt + windowMs;
  let messages = 0;
  let abandoned = false;

  const listener = {
    delivered(message: number): void {
      const at = tally.delivered(message);
      if (at !== undefined && at >= windowAt) latencies.recordValue(micros(performance.now() - at));
    },
    acknowledged: () => tally.acknowledged(),
    refused: (_message: number, code: string) => tally.refused(code),
  };
  for (const { connection } of senders) connection.listener = listener;

  function send(at: number): void {
    const sender = senders[Math.floor(random() * senders.length)];
    const message = tally.scheduled(at);
    sender?.connection.send(sender.template.fill(firstSend + message, message));
    if (at < windowAt) return;
    messages++;
    lateness.recordValue(micros(performance.now() - at));
  }

  return new Promise((resolve) => {
    let due = startsAt;
    let inWindow = false;
    let ended = false;

    function tick(): void {
      const now = performance.now();
      if (!inWindow && now >= windowAt) {
        inWindow = true;
        options.onWindowStart?.();
      }
      while (!ended && due <= now && due < endsAt) {
        send(due);
        due += (-Math.log(1 - random()) * 1000) / rate;
      }
      if (!ended && now - (tally.oldestOpen() ?? now) > hopelessMs) abandoned = true;
      if (!ended && (now >= endsAt || abandoned)) {
        ended = true;
        options.onWindowEnd?.();
      }
      if (ended && (tally.isSettled || now > endsAt + drainMs)) return finish();
      setTimeout(tick, tickMs);
    }

    function finish(): void {
      for (const { connection } of senders) connection.listener = {};
      const ms = (percentile: number) => latencies.getValueAtPercentile(percentile) / 1000;
      resolve({
        messages,
        p50: ms(50),
        p99: ms(99),
        max: latencies.maxValue / 1000,
        generatorLateP99: lateness.getValueAtPercentile(99) / 1000,
        lost: tally.lost,
        doubled: tally.doubled,
        refusals: tally.refusals,
        abandoned,
      });
    }

    tick();
  });
}
