import type { Logger } from 'pino';
import { ParleyError } from '../base/errors.js';
import type { Devices } from '../cluster/devices.js';
import type { Moment } from '../domain/commands.js';
import type { UserId } from '../domain/ids.js';

/**
 * Writes a change of level to the log; `lastSeen` undefined means online. Repeats write nothing. Throws `not_found` of
 * one who has been erased.
 */
export type WritePresence = (user: UserId, lastSeen: Date | undefined) => Promise<Moment>;

export interface PresenceDeps {
  readonly write: WritePresence;
  /** What the other nodes know of the devices of this one. */
  readonly devices: Pick<Devices, 'setActive' | 'clearActive'>;
  readonly graceMs: number;
  readonly now: () => number;
  /** Runs it once after so many milliseconds; returns the function that takes it back. */
  readonly setTimer: (run: () => void, ms: number) => () => void;
  readonly logger: Logger;
}

/** Toggles within this after one that was written are written as one at its end. */
const CALM_MS = 2000;

interface Level {
  /** Active devices, by whatever tells them apart. */
  readonly active: Set<unknown>;
  /** Of sign-ins with a lost connection: when the newest of these was lost. It counts as active for the grace time. */
  readonly lostAt: Map<string, number>;
  lastSeen: number;
  /** What the log says, as far as this node has written it. */
  written: boolean | undefined;
  /** Whether that has been put in doubt since the last write began. */
  doubted: boolean;
  writtenAt: number;
  urgent: boolean;
  /** Takes back the timer that is set. */
  cancel: (() => void) | undefined;
  writing: Promise<Moment | undefined> | undefined;
}

/**
 * Keeps the log's word on who is online level with the devices of this node: it compares levels, not edges, so a
 * write that failed is simply tried again. Online means: at least one device active, or lost within the grace time.
 * The other nodes are told before the log: whoever finds nobody active there, and so takes the user offline, was
 * before the `go online` of the one that was not yet to be seen.
 */
export class Presence {
  readonly #deps: PresenceDeps;
  readonly #levels = new Map<UserId, Level>();
  /** Whose the sign-ins of lost connections are. */
  readonly #lost = new Map<string, UserId>();
  #stopped = false;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  /** Resolves when what had to be written at once is; a write that may wait is not waited for. */
  active(user: UserId, device: unknown): Promise<Moment | undefined> {
    const level = this.#level(user);
    level.active.add(device);
    return this.#settle(user, level);
  }

  /** The device went to the background. */
  background(user: UserId, device: unknown): Promise<Moment | undefined> {
    const level = this.#levels.get(user);
    if (!level) return Promise.resolve(undefined);
    if (level.active.delete(device)) level.lastSeen = this.#deps.now();
    return this.#settle(user, level);
  }

  /** The connection is gone; it counts for the grace time, unless its sign-in, known by its id, ends before. */
  lost(user: UserId, device: unknown, session: string): void {
    const level = this.#levels.get(user);
    if (!level?.active.delete(device)) return;
    level.lastSeen = this.#deps.now();
    level.lostAt.set(session, level.lastSeen);
    this.#lost.set(session, user);
    void this.#settle(user, level);
  }

  /** The device's sign-in has ended: no grace, no calm. */
  signedOut(user: UserId, device: unknown): void {
    const level = this.#levels.get(user);
    if (level?.active.delete(device)) this.#leave(user, level);
  }

  /** A sign-in has ended: what counted of it for the grace time counts no more. */
  ended(session: string): void {
    const user = this.#lost.get(session);
    const level = user === undefined ? undefined : this.#levels.get(user);
    this.#lost.delete(session);
    if (user !== undefined && level?.lostAt.delete(session)) this.#leave(user, level);
  }

  /** The log has taken the user offline, whoever asked for that: who is active here is written again. */
  wentOffline(user: UserId): void {
    const level = this.#levels.get(user);
    if (level && this.#wanted(level)) this.#doubt(user, level);
  }

  /** The other nodes have forgotten this one, and its devices: tells them again. */
  repeat(): void {
    for (const [user, level] of this.#levels) this.#doubt(user, level);
  }

  stop(): void {
    this.#stopped = true;
    for (const level of this.#levels.values()) level.cancel?.();
  }

  #level(user: UserId): Level {
    let level = this.#levels.get(user);
    if (!level) {
      level = {
        active: new Set(),
        lostAt: new Map(),
        lastSeen: 0,
        written: undefined,
        doubted: false,
        writtenAt: Number.NEGATIVE_INFINITY,
        urgent: false,
        cancel: undefined,
        writing: undefined,
      };
      this.#levels.set(user, level);
    }
    return level;
  }

  #leave(user: UserId, level: Level): void {
    level.lastSeen = this.#deps.now();
    level.urgent = !this.#wanted(level);
    void this.#settle(user, level);
  }

  #doubt(user: UserId, level: Level): void {
    level.doubted = true;
    level.written = undefined;
    void this.#settle(user, level);
  }

  #wanted(level: Level): boolean {
    return level.active.size > 0 || this.#deps.now() < this.#graceUntil(level);
  }

  #graceUntil(level: Level): number {
    return Math.max(...level.lostAt.values()) + this.#deps.graceMs;
  }

  #forgetLost(level: Level): void {
    for (const [session, at] of level.lostAt) {
      if (this.#deps.now() < at + this.#deps.graceMs) continue;
      level.lostAt.delete(session);
      this.#lost.delete(session);
    }
  }

  #settle(user: UserId, level: Level): Promise<Moment | undefined> {
    if (level.writing) return level.writing;
    level.cancel?.();
    level.cancel = undefined;
    if (this.#stopped) return Promise.resolve(undefined);
    this.#forgetLost(level);
    const now = this.#deps.now();
    const wanted = this.#wanted(level);
    const calmAt = level.writtenAt + CALM_MS;
    if (wanted === level.written) {
      if (level.active.size === 0) this.#wake(user, level, wanted ? this.#graceUntil(level) : calmAt);
      return Promise.resolve(undefined);
    }
    if (now < calmAt && !level.urgent) {
      this.#wake(user, level, calmAt);
      return Promise.resolve(undefined);
    }
    level.urgent = false;
    level.writing = this.#write(user, level, wanted);
    return level.writing;
  }

  async #write(user: UserId, level: Level, online: boolean): Promise<Moment | undefined> {
    let moment: Moment | undefined;
    level.doubted = false;
    try {
      const { devices, write } = this.#deps;
      await (online ? devices.setActive(user) : devices.clearActive(user));
      moment = await write(user, online ? undefined : new Date(level.lastSeen));
      level.written = level.doubted ? undefined : online;
      level.writtenAt = this.#deps.now();
    } catch (error) {
      if (error instanceof ParleyError && error.code === 'not_found') return this.#forget(user, level);
      this.#deps.logger.debug({ err: error, user }, 'presence could not be written; trying again');
      level.writtenAt = this.#deps.now();
    }
    level.writing = undefined;
    void this.#settle(user, level);
    return moment;
  }

  /** Nothing is ever to be said of them again. */
  #forget(user: UserId, level: Level): undefined {
    for (const session of level.lostAt.keys()) this.#lost.delete(session);
    this.#levels.delete(user);
  }

  /** Looks again at `at`; by then, a user who is offline and calm is forgotten. */
  #wake(user: UserId, level: Level, at: number): void {
    const now = this.#deps.now();
    if (at <= now && !this.#wanted(level) && level.written === false) {
      this.#levels.delete(user);
      return;
    }
    level.cancel = this.#deps.setTimer(() => void this.#settle(user, level), Math.max(at - now, 1));
  }
}
