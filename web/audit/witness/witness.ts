import { ClientError } from '../../../src/client/index.js';
import type { Api } from '../api.js';
import { judgeHead } from '../verify/extension.js';
import { check, outcomeOf, type Step } from '../verify/steps.js';
import { changeMemory, loadMemory, onMemoryChange } from './kept.js';
import { type KeptPartition, type Memory, withAlarm, withSeen } from './memory.js';

const EVERY_MS = 15_000;

/** How the newest head of a partition was found. */
export interface Sighting {
  readonly partition: number;
  readonly at: string;
  /** The head as it was sent; undefined if it was not. */
  readonly note: string | undefined;
  readonly size: number | undefined;
  readonly root: Uint8Array<ArrayBuffer> | undefined;
  readonly steps: readonly Step[];
  /** Why it could not be judged: the server did not answer. */
  readonly error?: unknown;
}

/** What a witness tells. */
export interface Watch {
  readonly sightings: readonly Sighting[];
  readonly memory: Memory;
  /** A look is on its way. */
  readonly isLooking: boolean;
  /** Not even the keys could be fetched. */
  readonly error?: unknown;
}

/** This page can hash and verify: browsers offer Web Crypto over HTTPS and on this machine only. */
export const hasWebCrypto = (): boolean => globalThis.crypto?.subtle !== undefined;

/**
 * Looks at the heads of all partitions now and then, while the console is open, and remembers them in this browser:
 * each must extend the one before. One that does not is an alarm, and is not taken for a new beginning until
 * somebody has acknowledged it.
 */
export class Witness {
  #watch: Watch = { sightings: [], memory: loadMemory(), isLooking: false };
  #looking: Promise<void> | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopListening = () => {};
  readonly #listeners = new Set<() => void>();

  constructor(private readonly api: Api) {}

  get(): Watch {
    return this.#watch;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (hasWebCrypto()) {
      void this.look();
      this.#timer = setInterval(() => void this.look(), EVERY_MS);
    }
    this.#stopListening = onMemoryChange(() => this.#tell({}));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopListening();
  }

  /** Looks now; a look that is on its way is joined. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      this.#tell({ isLooking: false });
    });
    return this.#looking;
  }

  /** Takes note of an alarm: the next look begins from the head as the server then gives it. */
  acknowledge(id: string): void {
    changeMemory(({ partitions, alarms }) => {
      const partition = alarms.find((alarm) => alarm.id === id)?.partition;
      const others = Object.entries(partitions).filter(([kept]) => Number(kept) !== partition);
      const acknowledgedAt = new Date().toISOString();
      return {
        partitions: Object.fromEntries(others),
        alarms: alarms.map((alarm) => (alarm.id === id ? { ...alarm, acknowledgedAt } : alarm)),
      };
    });
    this.#tell({});
    void this.look();
  }

  async #look(): Promise<void> {
    this.#tell({ isLooking: true });
    try {
      const keys = await this.api.text('/audit/log/key');
      const sightings: Sighting[] = [];
      // One after the other: there may be many, and nobody waits.
      for (const partition of partitionsOf(keys, loadMemory()))
        sightings.push(await this.#see(partition, keys));
      this.#watch = { sightings, memory: loadMemory(), isLooking: true };
    } catch (error) {
      this.#watch = { ...this.#watch, error };
    }
  }

  async #see(partition: number, keys: string): Promise<Sighting> {
    // Before the head is asked for: heads only grow, so that none that comes after may be smaller.
    const kept = loadMemory().partitions[partition];
    const at = new Date().toISOString();
    let note: string | undefined;
    try {
      const path = `/audit/log/${partition}`;
      note = await this.api.text(`${path}/checkpoint`);
      const proofOf = (from: number, size: number) =>
        this.api.json<unknown>(`${path}/proof`, { from, size }).catch(noneIfRefused);
      const { checkpoint, key, steps } = await judgeHead({ partition, note, keys, kept, proofOf });
      const isAlarm = outcomeOf(steps) === 'failed';
      if (isAlarm) this.#raise({ partition, at, steps, kept: kept?.note, refused: note, keys });
      else if (checkpoint && key) keep(partition, { note, key, at, size: checkpoint.size });
      return { partition, at, note, size: checkpoint?.size, root: checkpoint?.root, steps };
    } catch (error) {
      if (kept && isRefusal(error)) {
        const steps = [check('Earlier heads', false, ['', 'The server has this partition no more.'])];
        this.#raise({ partition, at, steps, kept: kept.note, refused: '', keys });
      }
      return { partition, at, note, size: undefined, root: undefined, steps: [], error };
    }
  }

  #raise(alarm: Omit<Memory['alarms'][number], 'id'>): void {
    const id = `${alarm.at}/${alarm.partition}`;
    changeMemory((memory) => ({ ...memory, alarms: withAlarm(memory.alarms, { ...alarm, id }) }));
  }

  #tell(change: Partial<Watch>): void {
    this.#watch = { ...this.#watch, ...change, memory: loadMemory() };
    for (const listener of this.#listeners) listener();
  }
}

/** Whether the server has answered, and will not give it: other than an outage, which ends. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ClientError && (error.code === 'not_found' || error.code === 'bad_request');

/** A proof that is refused of a head that was signed is no proof. */
function noneIfRefused(error: unknown): undefined {
  if (!isRefusal(error)) throw error;
}

/** Those that the keys name and those known from before: one that is gone is asked for too. */
function partitionsOf(keys: string, { partitions }: Memory): readonly number[] {
  const named = [...keys.matchAll(/^[^\s+]*\/(\d{1,6})\+/gm)].map(([, partition]) => Number(partition));
  return [...new Set([...named, ...Object.keys(partitions).map(Number)])].sort((one, two) => one - two);
}

function keep(partition: number, head: { note: string; key: string; at: string; size: number }): void {
  changeMemory((memory) => {
    const before = memory.partitions[partition];
    const now: KeptPartition = {
      note: head.note,
      keys: [...new Set([...(before?.keys ?? []), head.key])],
      keptAt: before?.note === head.note ? before.keptAt : head.at,
      seen: withSeen(before?.seen ?? [], { at: head.at, size: head.size }),
    };
    return { ...memory, partitions: { ...memory.partitions, [partition]: now } };
  });
}
