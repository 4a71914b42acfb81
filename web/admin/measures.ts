import { pluralize } from '../ui/format.js';
import { formatBytes, formatDuration, type Samples } from './metrics.js';

/** Something that needs an admin, and the part of the page about incidents that says what to do. */
export interface Finding {
  readonly text: string;
  readonly help: string;
}

/** The panels of the page, in their order. */
export const GROUPS = [
  'Event log',
  'Read models',
  'Vault',
  'Disk and backup',
  'Subscriptions',
  'Traffic',
  'Process',
] as const;

/** One value that the server measures, with what is normal. */
export interface Measure {
  readonly group: (typeof GROUPS)[number];
  readonly name: string;
  readonly value: string;
  readonly normal?: string;
  /** Present if the value is not normal. */
  readonly finding?: Finding;
}

const MIB = 1024 ** 2;
// The limits are those of the alerts in `deploy/prometheus/alerts.yaml`.
const MIN_FREE_BYTES = 2 * 1024 * MIB;
const MAX_LAG_S = 3;
const MAX_WAITING_BYTES = 64 * MIB;
const MAX_LOOP_LAG_S = 0.2;
const MAX_SUBSCRIPTION_LAG_S = 600;
/** By queue, the most that normally wait, and the incident. A queue that is not named may have any length. */
const QUEUES: Readonly<Record<string, { readonly most: number; readonly help: string }>> = {
  commands: { most: 4096, help: 'parleycommandsqueue' },
  passwords: { most: 20, help: 'parleypasswordqueue' },
  hook: { most: 64, help: 'parleyhookslow' },
};

/** What the metrics say, for people. */
export function measure(metrics: Samples): readonly Measure[] {
  const value = (name: string): number => metrics.get(name) ?? 0;
  const started = metrics.get('process_start_time_seconds');
  const owned = value('parley_partitions_owned');
  return [
    diskMeasure(metrics.get('parley_disk_free_bytes')),
    { group: 'Event log', name: 'Partitions', value: `${owned} of ${value('parley_partitions')} here` },
    lagMeasure(value('parley_projection_lag_seconds')),
    {
      ...{ group: 'Traffic', name: 'Sockets' },
      value: pluralize(value('parley_connections'), 'connection'),
    },
    waitingMeasure(value('parley_bytes_waiting')),
    queuesMeasure(metrics),
    ...subscriptionMeasures(metrics),
    loopMeasure(metrics.get('nodejs_eventloop_lag_p99_seconds')),
    { group: 'Process', name: 'Memory', value: formatBytes(value('process_resident_memory_bytes')) },
    {
      ...{ group: 'Process', name: 'Running for' },
      value: started === undefined ? '–' : formatDuration(Date.now() / 1000 - started),
    },
  ];
}

/** The finding, if there is one. */
const found = (isNormal: boolean, text: string, help: string): { finding?: Finding } =>
  isNormal ? {} : { finding: { text, help } };

function diskMeasure(free: number | undefined): Measure {
  const common = { group: 'Disk and backup', name: 'Free on disk' } as const;
  if (free === undefined) return { ...common, value: 'in MongoDB' };
  const text = `Only ${formatBytes(free)} are free on the disk of the data directory.`;
  return {
    ...{ ...common, value: formatBytes(free), normal: `at least ${formatBytes(MIN_FREE_BYTES)}` },
    ...found(free >= MIN_FREE_BYTES, text, 'parleydiskfull'),
  };
}

function lagMeasure(seconds: number): Measure {
  const behind = `${formatDuration(seconds)} behind the log`;
  return {
    ...{ group: 'Read models', name: 'State', normal: `at most ${MAX_LAG_S} s behind` },
    value: seconds < 1 ? 'up to date' : behind,
    ...found(seconds <= MAX_LAG_S, `The read models are ${behind}.`, 'parleyreadmodelslate'),
  };
}

function waitingMeasure(bytes: number): Measure {
  const text = `Clients have not read ${formatBytes(bytes)}.`;
  return {
    ...{ group: 'Traffic', name: 'To be sent', normal: `at most ${formatBytes(MAX_WAITING_BYTES)}` },
    value: formatBytes(bytes),
    ...found(bytes <= MAX_WAITING_BYTES, text, 'parleyslowreaders'),
  };
}

function queuesMeasure(metrics: Samples): Measure {
  const queues = [...metrics].flatMap(([name, depth]) => {
    const [, queue] = /^parley_queue_depth\{queue="([^"]*)"\}$/.exec(name) ?? [];
    return queue === undefined || depth === 0 ? [] : [{ queue, depth }];
  });
  const long = queues.find(({ queue, depth }) => depth > (QUEUES[queue]?.most ?? Number.POSITIVE_INFINITY));
  return {
    ...{ group: 'Traffic', name: 'Queues', normal: 'empty most of the time' },
    value: queues.length === 0 ? 'empty' : queues.map(({ queue, depth }) => `${queue}: ${depth}`).join(', '),
    ...found(
      !long,
      `${long?.depth} wait in the queue ${long?.queue}.`,
      QUEUES[long?.queue ?? '']?.help ?? '',
    ),
  };
}

/** One for the subscription that is the furthest behind; none where there is no subscription. */
function subscriptionMeasures(metrics: Samples): readonly Measure[] {
  const lags = [...metrics].flatMap(([name, seconds]) => {
    const [, id] = /^parley_subscription_lag_seconds\{subscription="([^"]*)"\}$/.exec(name) ?? [];
    return id === undefined ? [] : [{ id, seconds }];
  });
  const [worst] = lags.toSorted((a, b) => b.seconds - a.seconds);
  if (!worst) return [];
  const behind = `${worst.id} is ${formatDuration(worst.seconds)} behind`;
  return [
    {
      ...{
        group: 'Subscriptions',
        name: 'Furthest behind',
        normal: `at most ${formatDuration(MAX_SUBSCRIPTION_LAG_S)} behind`,
      },
      value: worst.seconds < 1 ? 'up to date' : behind,
      ...found(
        worst.seconds <= MAX_SUBSCRIPTION_LAG_S,
        `The subscription ${behind}.`,
        'parleysubscriptionlags',
      ),
    },
  ];
}

function loopMeasure(seconds: number | undefined): Measure {
  const common = { group: 'Process', name: 'Event loop' } as const;
  if (seconds === undefined) return { ...common, value: '–' };
  const ms = `${Math.round(seconds * 1000)} ms late`;
  return {
    ...{ ...common, value: ms, normal: `at most ${MAX_LOOP_LAG_S * 1000} ms late` },
    ...found(seconds <= MAX_LOOP_LAG_S, `The thread of the sockets is ${ms}.`, 'parleyeventloopslow'),
  };
}
