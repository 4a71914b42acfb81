import hdr from 'hdr-histogram-js';
import type { Sender } from './load.js';
import { takeMessages } from './load.js';
import { seededRandom } from './random.js';
import type { WireConnection } from './wire/connection.js';
import { firstSend } from './wire/dialect.js';

/** The result of one window of load on a group. Times in milliseconds, from a message's scheduled time. */
export interface GroupResult {
  /** Deliveries within the window, to all members together. */
  readonly deliveries: number;
  readonly p50: number;
  readonly p99: number;
  /** Deliveries that had not come after the wait at the end, of the whole load. */
  readonly missing: number;
  readonly refusals: number;
}

export interface GroupLoadOptions {
  /** Messages a second, all senders together. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  readonly onWindowStart: () => void;
  readonly onWindowEnd: () => void;
}

/**
 * The sockets are read in turns of this length. One delivery costs the generator about as much as a read of a socket,
 * so that many are read at once. A latency is up to this much too long.
 */
const turnMs = 5;
const drainMs = 10_000;
const seed = 20_261_129;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Runs an open-loop load on a group whose connected members are the senders: Poisson arrivals at a fixed rate, random
 * senders, each message to all other members. Then waits up to 10 s for what has not arrived.
 */
export function runGroupLoad(members: readonly Sender[], options: GroupLoadOptions): Promise<GroupResult> {
  const { rate, warmupMs, windowMs } = options;
  const random = seededRandom(seed);
  const capacity = Math.ceil(((warmupMs + windowMs) / 1000) * rate * 1.5) + 1000;
  const first = takeMessages(capacity);
  const scheduledAt = new Float64Array(capacity);
  const latencies = hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000 });
  const startsAt = performance.now() + 50;
  const windowAt = startsAt + warmupMs;
  const endsAt = windowAt + windowMs;
  let [sent, open, deliveries, refusals] = [0, 0, 0, 0];
  const listener = {
    delivered(message: number): void {
      const at = scheduledAt[message - first];
      if (at === undefined || at === 0) return;
      open--;
      if (at < windowAt) return;
      const now = performance.now();
      if (now < endsAt) deliveries++;
      latencies.recordValue(Math.max(1, Math.round((now - at) * 1000)));
    },
    refused(): void {
      refusals++;
    },
  };
  for (const { connection } of members) connection.listener = listener;
  const written: WireConnection[] = [];

  function send(at: number): void {
    const sender = members[Math.floor(random() * members.length)];
    if (!sender) throw new Error('a load needs senders');
    const message = first + sent;
    scheduledAt[sent++] = at;
    open += members.length - 1;
    if (sender.connection.queue(sender.template.fill(firstSend + message, message)))
      written.push(sender.connection);
  }

  return new Promise((resolve) => {
    let due = startsAt;
    let [hasStarted, hasEnded] = [false, false];
    function turn(): void {
      const now = performance.now();
      if (!hasStarted && now >= windowAt) {
        hasStarted = true;
        options.onWindowStart();
      }
      for (; due <= now && due < endsAt; due += (-Math.log(1 - random()) * 1000) / rate) send(due);
      for (const connection of written) connection.flush();
      written.length = 0;
      if (!hasEnded && now >= endsAt) {
        hasEnded = true;
        options.onWindowEnd();
      }
      if (hasEnded && (open <= 0 || now > endsAt + drainMs)) return finish();
      const rest = turnMs - (performance.now() - now);
      if (rest > 0.05) Atomics.wait(never, 0, 0, rest);
      setImmediate(turn);
    }
    function finish(): void {
      for (const { connection } of members) connection.listener = {};
      const ms = (percentile: number) => latencies.getValueAtPercentile(percentile) / 1000;
      resolve({ deliveries, p50: ms(50), p99: ms(99), missing: Math.max(0, open), refusals });
    }
    turn();
  });
}
