import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Traces } from './tracing.js';

const DURATION_BUCKETS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** Gauges, read only when Prometheus asks. */
const GAUGE_HELP = {
  parley_projection_lag_seconds: 'Age of the oldest commit that is not folded into the read models.',
  parley_ready: 'Whether /ready succeeds: 1 or 0.',
  parley_clock_behind: "Whether the log's last time is more than 5 min ahead of the clock: 1 or 0.",
  parley_disk_free_bytes: 'Free bytes where DATA_DIR is.',
  parley_partitions: 'Partitions of the log, the same on every node.',
  parley_partitions_owned: 'Partitions that this node owns.',
  parley_connections: 'Open WebSocket connections.',
  parley_bytes_waiting: 'Bytes that wait to be written to sockets.',
} as const;
export type GaugeName = keyof typeof GAUGE_HELP;

/** How far behind the log a subscription is on this node. */
export interface SubscriptionLag {
  readonly subscription: string;
  readonly events: number;
  readonly seconds: number;
}

/** An append that is durable, and the commands whose events it has. */
export interface DurableAppend {
  readonly ms: number;
  readonly events: number;
  readonly partition: number;
  readonly tasks: readonly { readonly commandId: string }[];
}

/** The commit whose pushes were queued. */
export interface PushedCommit {
  readonly partition: number;
  readonly recordedAt: string;
  readonly events: readonly { readonly commandId: string }[];
}

/**
 * All metrics of a process. Counting a command is one addition; Prometheus' view is built on each scrape.
 * Durations are passed in milliseconds and exported in seconds.
 */
export class Metrics {
  readonly #registry = new Registry();
  /** Counts by event, then by outcome. */
  readonly #commands = new Map<string, Map<string, number>>();
  readonly #queues = new Map<string, () => number>();
  readonly #append = this.#histogram(
    'parley_append_seconds',
    'Time of one append to the log.',
    DURATION_BUCKETS_S,
  );
  readonly #batch = this.#histogram(
    'parley_append_events',
    'Events in one append.',
    [1, 2, 4, 8, 16, 32, 64, 128, 256],
  );
  readonly #push = this.#histogram(
    'parley_push_latency_seconds',
    'From the recording of an event to its being written to a socket.',
    DURATION_BUCKETS_S,
  );
  readonly #http = new Histogram({
    name: 'parley_http_request_seconds',
    help: 'Time of an HTTP request.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: DURATION_BUCKETS_S,
    registers: [this.#registry],
  });

  /** Where this process records spans of the same work; undefined: nowhere. */
  readonly traces: Traces | undefined;

  constructor(traces?: Traces) {
    this.traces = traces;
    // Includes event-loop delay, garbage collection, memory, CPU and file descriptors.
    // Each look at the event loop wakes the process; the default of 10 ms would do so 100 times a second.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 100 });
    const commands = this.#commands;
    new Counter({
      name: 'parley_commands_total',
      help: 'Commands by event and by outcome: `ok` or an error code.',
      labelNames: ['event', 'outcome'] as const,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [event, outcomes] of commands)
          for (const [outcome, count] of outcomes) this.inc({ event, outcome }, count);
      },
    });
    const queues = this.#queues;
    new Gauge({
      name: 'parley_queue_depth',
      help: 'How many wait in each queue.',
      labelNames: ['queue'] as const,
      registers: [this.#registry],
      collect() {
        for (const [queue, depth] of queues) this.set({ queue }, depth());
      },
    });
  }

  /**
   * Counts an answered command. `event` is an event name of the contract; `outcome` is `ok` or an error code.
   */
  countCommand(event: string, outcome: string): void {
    const outcomes = this.#commands.get(event) ?? new Map<string, number>();
    if (outcomes.size === 0) this.#commands.set(event, outcomes);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  /** Records one durable append. */
  readonly observeAppend = ({ ms, events, partition, tasks }: DurableAppend): void => {
    this.#append.observe(ms / 1000);
    this.#batch.observe(events);
    this.traces?.recordAppend(
      ms,
      { 'parley.partition': partition, 'parley.events': events },
      commandsOf(tasks),
    );
  };

  /** Records that the pushes of a commit were queued. Called once a commit, not once a push. */
  observePush({ recordedAt, partition, events }: PushedCommit, now = Date.now()): void {
    const ms = Math.max(0, now - Date.parse(recordedAt));
    this.#push.observe(ms / 1000);
    this.traces?.recordPushes(ms, { 'parley.partition': partition }, commandsOf(events));
  }

  /** Records an answered request. `route` must be the pattern: anyone can vary the path. */
  observeHttpRequest(method: string, route: string, status: number, milliseconds: number): void {
    this.#http.observe({ method, route, status }, milliseconds / 1000);
  }

  /** Adds a gauge, in the unit of its name. Called once for each. */
  addGauge(name: GaugeName, read: () => number): void {
    new Gauge({
      name,
      help: GAUGE_HELP[name],
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Adds the lag of the host's subscriptions, which are at most 50. */
  addSubscriptions(lags: () => Iterable<SubscriptionLag>): void {
    const addLag = (unit: 'events' | 'seconds', help: string) =>
      new Gauge({
        name: `parley_subscription_lag_${unit}`,
        help,
        labelNames: ['subscription'] as const,
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const { subscription, ...lag } of lags()) this.set({ subscription }, lag[unit]);
        },
      });
    addLag(
      'events',
      'Events of the log, in the partitions of this node, that a subscription has not passed.',
    );
    addLag(
      'seconds',
      'Age of the oldest event, in the partitions of this node, that a subscription has not passed.',
    );
  }

  /** Adds a queue whose depth is exported. */
  addQueue(name: string, depth: () => number): void {
    this.#queues.set(name, depth);
  }

  /** Renders all metrics in the Prometheus text format, of type `contentType`. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.#registry] });
  }
}

function* commandsOf(all: readonly { readonly commandId: string }[]): Iterable<string> {
  for (const { commandId } of all) yield commandId;
}
