import { hasTexts, isTime, onStoredChange, readJson, writeText } from '../../ui/browserStore.js';
import type { TrustedHead } from '../verify/consistency.js';
import type { Step } from '../verify/verification.js';

const KEY = 'parley.audit.witness';
/** Beyond this number the oldest acknowledged alarms are removed; open alarms never are. */
const MAX_ALARMS = 50;
const MAX_SIZES = 300;

/** A partition's size at a time. */
export interface SizeSample {
  readonly at: string;
  readonly size: number;
}

/** A partition as this browser knows it. */
export interface WitnessedPartition extends TrustedHead {
  readonly storedAt: string;
  /** Oldest first. */
  readonly sizes: readonly SizeSample[];
}

/** A head that failed verification. It stays open until an auditor acknowledges it, and is kept after that. */
export interface Alarm {
  readonly id: string;
  readonly partition: number;
  readonly at: string;
  /** All verification steps, with the failed ones. */
  readonly steps: readonly Step[];
  /** The trusted head and the rejected one. Both are signed, so they are evidence. */
  readonly trusted: string | undefined;
  readonly rejected: string;
  /** The verifier keys that the server sent with the rejected head. */
  readonly keys: string;
  readonly acknowledgedAt?: string;
}

/** All that the witness stores in this browser. */
export interface WitnessState {
  readonly partitions: Readonly<Record<number, WitnessedPartition>>;
  /** Newest first. */
  readonly alarms: readonly Alarm[];
}

/** Loads the stored state without its damaged parts; an empty one if there is none. */
export function loadState(): WitnessState {
  return checkState(readJson(KEY));
}

/** The parts of a stored value that can be used. */
function checkState(stored: unknown): WitnessState {
  if (typeof stored !== 'object' || stored === null) return { partitions: {}, alarms: [] };
  const partitions = 'partitions' in stored ? Object.entries(stored.partitions ?? {}) : [];
  const alarms = 'alarms' in stored && Array.isArray(stored.alarms) ? stored.alarms : [];
  return {
    partitions: Object.fromEntries(
      partitions.filter((pair): pair is [string, WitnessedPartition] => isPartition(pair[1])),
    ),
    alarms: alarms.filter(isAlarm),
  };
}

/** Whether a field is a list whose elements all pass the check. */
const isListOf = (value: object, name: string, isElement: (element: unknown) => boolean): boolean => {
  const list: unknown = new Map<string, unknown>(Object.entries(value)).get(name);
  return Array.isArray(list) && list.every(isElement);
};

const isText = (value: unknown): boolean => typeof value === 'string';
const isSample = (value: unknown): boolean =>
  hasTexts(value, 'at') && isTime(value.at) && 'size' in value && typeof value.size === 'number';
const isStep = (value: unknown): boolean =>
  hasTexts(value, 'title', 'text', 'outcome') &&
  isListOf(value, 'values', (pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));

const isPartition = (value: unknown): value is WitnessedPartition =>
  hasTexts(value, 'note', 'storedAt') &&
  isTime(value.storedAt) &&
  isListOf(value, 'keys', isText) &&
  isListOf(value, 'sizes', isSample);

const isAlarm = (value: unknown): value is Alarm =>
  hasTexts(value, 'id', 'at', 'rejected', 'keys') &&
  isTime(value.at) &&
  isListOf(value, 'steps', isStep) &&
  'partition' in value &&
  typeof value.partition === 'number' &&
  (!('acknowledgedAt' in value) || isText(value.acknowledgedAt));

/** Loads the state, changes it and stores it in one turn, because other tabs change it too. */
export function updateState(change: (state: WitnessState) => WitnessState): void {
  writeText(KEY, JSON.stringify(change(loadState())));
}

/** Calls `listener` when another tab has changed the state. Returns a function that unsubscribes. */
export const onStateChange = (listener: () => void): (() => void) => onStoredChange(KEY, listener);

/** Adds an alarm, unless there is an open one for the same trusted head of the partition. */
export function addAlarm(alarms: readonly Alarm[], alarm: Alarm): readonly Alarm[] {
  const isSame = (one: Alarm): boolean =>
    one.partition === alarm.partition && !one.acknowledgedAt && one.trusted === alarm.trusted;
  if (alarms.some(isSame)) return alarms;
  const all = [alarm, ...alarms];
  return all.filter((one, i) => i < MAX_ALARMS || !one.acknowledgedAt);
}

/** Adds a sample. Of equal sizes it keeps the first and the last; of too many samples it drops every second one. */
export function addSize(sizes: readonly SizeSample[], sample: SizeSample): readonly SizeSample[] {
  const [before, last] = sizes.slice(-2);
  const isUnchanged = before?.size === sample.size && last?.size === sample.size;
  const all = [...(isUnchanged ? sizes.slice(0, -1) : sizes), sample];
  return all.length <= MAX_SIZES ? all : all.filter((_, i) => i % 2 === 0 || i === all.length - 1);
}
