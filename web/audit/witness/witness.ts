import { ClientError } from '@parley/client';
import type { ConsoleApi } from '../../console/consoleApi.js';
import { hasWebCrypto } from '../../ui/browser.js';
import { verifyNewHead } from '../verify/consistency.js';
import { failedStep, outcomeOf, type Step } from '../verify/verification.js';
import {
  type Alarm,
  addAlarm,
  addSize,
  loadState,
  onStateChange,
  updateState,
  type WitnessedPartition,
  type WitnessState,
} from './witnessState.js';

const CHECK_INTERVAL_MS = 15_000;

/** The last check of a partition's head. */
export interface HeadCheck {
  readonly partition: number;
  readonly at: string;
  /** The size and the root hash in the head; `undefined` if there was no head or it is malformed. */
  readonly size: number | undefined;
  readonly root: Uint8Array<ArrayBuffer> | undefined;
  readonly steps: readonly Step[];
  /** The failed request, if the head could not be verified. */
  readonly error?: unknown;
}

/** The witness's checks and state, for the console to show. */
export interface WitnessSnapshot {
  readonly checks: readonly HeadCheck[];
  readonly state: WitnessState;
  readonly isChecking: boolean;
  /** The failed request, if the server's keys could not be fetched. */
  readonly error?: unknown;
}

/**
 * Checks the signed heads of all partitions every 15 s while the console is open. Each head must extend the one that
 * this browser trusts; then it becomes the trusted one. Otherwise it is an alarm, and the trusted head stays until an
 * auditor acknowledges the alarm.
 */
export class Witness {
  #snapshot: WitnessSnapshot = { checks: [], state: loadState(), isChecking: false };
  #running: Promise<void> | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopListening = () => {};
  readonly #listeners = new Set<() => void>();

  constructor(private readonly api: ConsoleApi) {}

  get(): WitnessSnapshot {
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (hasWebCrypto()) {
      void this.checkNow();
      this.#timer = setInterval(() => void this.checkNow(), CHECK_INTERVAL_MS);
    }
    this.#stopListening = onStateChange(() => this.#publish({}));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopListening();
  }

  /** Checks all partitions; joins a check that is already running. */
  checkNow(): Promise<void> {
    this.#running ??= this.#checkAll().finally(() => {
      this.#running = undefined;
      this.#publish({ isChecking: false });
    });
    return this.#running;
  }

  /** Acknowledges an alarm. The partition has no trusted head then: the next check trusts the server's head. */
  acknowledge(id: string): void {
    updateState(({ partitions, alarms }) => {
      const partition = alarms.find((alarm) => alarm.id === id)?.partition;
      const others = Object.entries(partitions).filter(([number]) => Number(number) !== partition);
      const acknowledgedAt = new Date().toISOString();
      return {
        partitions: Object.fromEntries(others),
        alarms: alarms.map((alarm) => (alarm.id === id ? { ...alarm, acknowledgedAt } : alarm)),
      };
    });
    this.#publish({});
    void this.checkNow();
  }

  async #checkAll(): Promise<void> {
    this.#publish({ isChecking: true });
    try {
      const keys = await this.api.text('/audit/log/key');
      const checks: HeadCheck[] = [];
      // One by one: there may be many partitions, and nobody waits for this.
      for (const partition of partitionsOf(keys, loadState()))
        checks.push(await this.#checkPartition(partition, keys));
      this.#snapshot = { checks, state: loadState(), isChecking: true };
    } catch (error) {
      this.#snapshot = { ...this.#snapshot, error };
    }
  }

  async #checkPartition(partition: number, keys: string): Promise<HeadCheck> {
    // Loaded before the head is requested: another tab may store a larger head in between.
    const trusted = loadState().partitions[partition];
    const at = new Date().toISOString();
    const path = `/audit/log/${partition}`;
    try {
      const note = await this.api.text(`${path}/checkpoint`);
      const getProof = (from: number, size: number) =>
        this.api.json<unknown>(`${path}/proof`, { from, size }).catch(undefinedIfRefused);
      const { checkpoint, key, steps } = await verifyNewHead({ partition, note, keys, trusted, getProof });
      if (outcomeOf(steps) === 'failed')
        raiseAlarm({ partition, at, steps, trusted: trusted?.note, rejected: note, keys });
      else if (checkpoint && key) trustHead(partition, { note, key, at, size: checkpoint.size });
      return { partition, at, size: checkpoint?.size, root: checkpoint?.root, steps };
    } catch (error) {
      if (trusted && isRefusal(error)) {
        const steps = [failedStep('Earlier heads', 'The server no longer has this partition.')];
        raiseAlarm({ partition, at, steps, trusted: trusted.note, rejected: '', keys });
      }
      return { partition, at, size: undefined, root: undefined, steps: [], error };
    }
  }

  #publish(change: Partial<WitnessSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change, state: loadState() };
    for (const listener of this.#listeners) listener();
  }
}

/** Whether the server answered that it does not have this; an outage is no refusal. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ClientError && (error.code === 'not_found' || error.code === 'bad_request');

/** A proof that the server refuses for a head that it signed counts as a missing proof, which is an alarm. */
function undefinedIfRefused(error: unknown): undefined {
  if (!isRefusal(error)) throw error;
}

/** The partitions that the keys name and those of the state: a partition that disappears must be noticed. */
function partitionsOf(keys: string, { partitions }: WitnessState): readonly number[] {
  const named = [...keys.matchAll(/^[^\s+]*\/(\d{1,6})\+/gm)].map(([, partition]) => Number(partition));
  return [...new Set([...named, ...Object.keys(partitions).map(Number)])].sort((one, two) => one - two);
}

function raiseAlarm(alarm: Omit<Alarm, 'id'>): void {
  const id = `${alarm.at}/${alarm.partition}`;
  updateState((state) => ({ ...state, alarms: addAlarm(state.alarms, { ...alarm, id }) }));
}

function trustHead(partition: number, head: { note: string; key: string; at: string; size: number }): void {
  updateState((state) => {
    const before = state.partitions[partition];
    const now: WitnessedPartition = {
      note: head.note,
      keys: [...new Set([...(before?.keys ?? []), head.key])],
      storedAt: before?.note === head.note ? before.storedAt : head.at,
      sizes: addSize(before?.sizes ?? [], { at: head.at, size: head.size }),
    };
    return { ...state, partitions: { ...state.partitions, [partition]: now } };
  });
}
