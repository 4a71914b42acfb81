import type { KeptHead } from '../verify/extension.js';
import type { Step } from '../verify/steps.js';

/** A size that a partition was seen to have. */
export interface Seen {
  readonly at: string;
  readonly size: number;
}

/** What this browser remembers of a partition. */
export interface KeptPartition extends KeptHead {
  readonly keptAt: string;
  /** Sizes over time, oldest first. */
  readonly seen: readonly Seen[];
}

/** A head that was refused: it stays until somebody has acknowledged it, and its evidence after that. */
export interface Alarm {
  readonly id: string;
  readonly partition: number;
  readonly at: string;
  /** What failed. */
  readonly steps: readonly Step[];
  /** The head that was believed before, and the refused one: signed both, they are the evidence. */
  readonly kept: string | undefined;
  readonly refused: string;
  /** The verifier keys that came with it. */
  readonly keys: string;
  readonly acknowledgedAt?: string;
}

/** All that a browser remembers, over being closed. */
export interface Memory {
  readonly partitions: Readonly<Record<number, KeptPartition>>;
  /** Newest first. */
  readonly alarms: readonly Alarm[];
}

/** Of alarms the oldest acknowledged ones are forgotten; an open one never. */
const MOST_ALARMS = 50;
const MOST_SEEN = 300;

/** With one alarm more, unless the same head of that partition is refused already and not acknowledged. */
export function withAlarm(alarms: readonly Alarm[], alarm: Alarm): readonly Alarm[] {
  const isSame = (one: Alarm): boolean =>
    one.partition === alarm.partition && !one.acknowledgedAt && one.kept === alarm.kept;
  if (alarms.some(isSame)) return alarms;
  const all = [alarm, ...alarms];
  return all.filter((one, i) => i < MOST_ALARMS || !one.acknowledgedAt);
}

/** With one size more; what is between two of the same size is left out, and the middle thinned when there are many. */
export function withSeen(seen: readonly Seen[], next: Seen): readonly Seen[] {
  const [before, last] = seen.slice(-2);
  const isLevel = before?.size === next.size && last?.size === next.size;
  const all = [...(isLevel ? seen.slice(0, -1) : seen), next];
  return all.length <= MOST_SEEN ? all : all.filter((_, i) => i % 2 === 0 || i === all.length - 1);
}
