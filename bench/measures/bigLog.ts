import type { BenchUser, Running, System } from '../systems/system.js';

export const smallRoom = 1000;

/** A server with a long log: one room has nearly all of its messages. */
export interface BigLog {
  readonly running: Running;
  readonly user: BenchUser;
  /** A room with 1,000 messages. */
  readonly smallRoomId: string;
  readonly bigRoomId: string;
  /** When the filling began, in milliseconds since 1970. */
  readonly filledFrom: number;
}

/** Fills one big log for each system; all measures that need one share it. */
export class BigLogs {
  readonly #size: number;
  readonly #log: (line: string) => void;
  readonly #made = new Map<System, Promise<BigLog>>();

  constructor(size: number, log: (line: string) => void) {
    this.#size = size;
    this.#log = log;
  }

  get size(): number {
    return this.#size;
  }

  of(system: System): Promise<BigLog> {
    const log = this.#made.get(system) ?? this.#make(system);
    this.#made.set(system, log);
    return log;
  }

  async stop(): Promise<void> {
    const made = await Promise.allSettled(this.#made.values());
    for (const log of made) if (log.status === 'fulfilled') await log.value.running.stop();
  }

  async #make(system: System): Promise<BigLog> {
    const running = await system.start();
    const [user, friend, other] = await running.signUp(3);
    if (!user || !friend || !other) throw new Error('signing up three users returned fewer');
    const [smallRoomId = '', bigRoomId = ''] = await running.rooms([
      [user, friend],
      [user, other],
    ]);
    const [filledFrom, from] = [Date.now(), performance.now()];
    await running.fill(smallRoomId, friend, smallRoom);
    await running.fill(bigRoomId, other, this.#size);
    this.#log(
      `${system.name}: ${this.#size} messages in ${((performance.now() - from) / 1000).toFixed(0)} s`,
    );
    return { running, user, smallRoomId, bigRoomId, filledFrom };
  }
}
