import { formatUtc, pluralize } from '../ui/format.js';
import type { Measure } from './measures.js';
import { formatBytes, formatDuration } from './metrics.js';

/** What the server says of its storage. */
export interface StorageFigures {
  readonly engine: 'embedded' | 'mongodb';
  readonly log: {
    readonly partitions: number;
    readonly events: number;
    readonly bytes: number | null;
    readonly oldest: string | null;
    readonly newest: string | null;
  };
  readonly vault: { readonly bytes: number | null };
  readonly readModels: {
    readonly bytes: number | null;
    readonly events: number;
    readonly lagEvents: number;
    readonly lagSeconds: number;
  };
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number };
  readonly lastBackup?: { readonly madeAt: string; readonly events: number };
  readonly subscriptions: readonly LaggingSubscription[];
}

interface LaggingSubscription {
  readonly id: string;
  readonly lagEvents: number;
  readonly lagSeconds: number;
  readonly failing?: { readonly since: string };
  readonly paused: boolean;
}

const count = (number: number): string => number.toLocaleString('en');
const bytesText = (bytes: number | null): string => (bytes === null ? 'not known' : formatBytes(bytes));
const timeText = (time: string | null): string => (time === null ? 'none' : `${formatUtc(time)} UTC`);

/** What the log, the vault and the read models have, for people. */
export function measureStorage(figures: StorageFigures): readonly Measure[] {
  const { engine, log, vault, readModels, disk, subscriptions } = figures;
  const place = engine === 'embedded' ? 'On disk' : 'In MongoDB';
  return [
    { group: 'Event log', name: 'Events', value: count(log.events) },
    { group: 'Event log', name: place, value: bytesText(log.bytes) },
    { group: 'Event log', name: 'Oldest event', value: timeText(log.oldest) },
    { group: 'Event log', name: 'Newest event', value: timeText(log.newest) },
    { group: 'Read models', name: 'Events', value: foldedText(figures) },
    { group: 'Read models', name: place, value: bytesText(readModels.bytes) },
    { group: 'Vault', name: 'Contents', value: 'keys, accounts, sessions' },
    { group: 'Vault', name: place, value: bytesText(vault.bytes) },
    ...(disk
      ? [{ group: 'Disk and backup', name: 'Size of the disk', value: formatBytes(disk.totalBytes) } as const]
      : []),
    { group: 'Disk and backup', name: 'Last backup', ...backupText(figures) },
    ...subscriptionMeasures(subscriptions),
  ];
}

function foldedText({ log, readModels: { events, lagEvents } }: StorageFigures): string {
  return lagEvents === 0 ? `all ${count(log.events)}` : `${count(events)} of ${count(log.events)}`;
}

function backupText({ engine, log, lastBackup }: StorageFigures): Pick<Measure, 'value' | 'normal'> {
  if (engine === 'mongodb') return { value: 'not known: made with the tools of MongoDB' };
  if (!lastBackup) return { value: 'none is known', normal: 'made with parley backup' };
  const since = Math.max(0, log.events - lastBackup.events);
  return { value: `${timeText(lastBackup.madeAt)}, ${pluralize(since, 'event')} since` };
}

function subscriptionMeasures(lagging: readonly LaggingSubscription[]): readonly Measure[] {
  if (lagging.length === 0) return [{ group: 'Subscriptions', name: 'Behind', value: 'none' }];
  return lagging.map(({ id, lagEvents, lagSeconds, failing, paused }) => ({
    ...{ group: 'Subscriptions', name: id },
    value: [
      lagEvents === 0
        ? 'up to date'
        : `${pluralize(lagEvents, 'event')}, ${formatDuration(lagSeconds)} behind`,
      ...(failing ? [`failing since ${timeText(failing.since)}`] : []),
      ...(paused ? ['paused'] : []),
    ].join(', '),
  }));
}

/** What the metrics say too, for a server that has them on another port. */
export function measureWithoutMetrics({ log, readModels, disk }: StorageFigures): readonly Measure[] {
  const { lagEvents, lagSeconds } = readModels;
  return [
    { group: 'Event log', name: 'Partitions', value: String(log.partitions) },
    {
      ...{ group: 'Read models', name: 'State' },
      value: lagEvents === 0 ? 'up to date' : `${formatDuration(lagSeconds)} behind the log`,
    },
    ...(disk
      ? [{ group: 'Disk and backup', name: 'Free on disk', value: formatBytes(disk.freeBytes) } as const]
      : []),
  ];
}
