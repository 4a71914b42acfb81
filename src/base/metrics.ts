import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const DURATION_BUCKETS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** What is read when somebody asks, and not before. */
const GAUGE_HELP = {
  parley_projection_lag_seconds: 'Age of the oldest commit that is not folded into the read models.',
  parley_partitions_owned: 'Partitions that this node owns.',
  parley_connections: 'Open WebSocket connections.',
  parley_bytes_waiting: 'Bytes that wait to be written to sockets.',
} as const;
export type GaugeName = keyof typeof GAUGE_HELP;

/**
 * Everything that is measured, made once a process. Counting a command is one addition; what Prometheus sees of
 * it is put together when it asks. Durations are given in milliseconds and shown in seconds.
 */
export class Metrics {
  readonly #registry = new Registry();
  /** By event, then by outcome. */
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

  constructor() {
    // Event-loop delay, garbage collection, memory, CPU, file descriptors.
    collectDefaultMetrics({ register: this.#registry });
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

  /** A command was answered; `event` is one of the contract's, `outcome` is `ok` or an error code. */
  countCommand(event: string, outcome: string): void {
    const outcomes = this.#commands.get(event) ?? new Map<string, number>();
    if (outcomes.size === 0) this.#commands.set(event, outcomes);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  /** The log has made one commit durable. */
  observeAppend(milliseconds: number, events: number): void {
    this.#append.observe(milliseconds / 1000);
    this.#batch.observe(events);
  }

  /** A commit's pushes have been written to their sockets; once a commit, not once a push. */
  observePush(milliseconds: number): void {
    this.#push.observe(milliseconds / 1000);
  }

  /** A request was answered; `route` is the pattern, never the path, which anyone can vary. */
  observeHttpRequest(method: string, route: string, status: number, milliseconds: number): void {
    this.#http.observe({ method, route, status }, milliseconds / 1000);
  }

  /** Says where a gauge is read; in the unit of its name. Once each. */
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

  /** Says where the depth of a queue is read. */
  addQueue(name: string, depth: () => number): void {
    this.#queues.set(name, depth);
  }

  /** The Prometheus text format, of type `contentType`. */
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
