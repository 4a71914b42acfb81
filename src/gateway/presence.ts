import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Devices } from '../cluster/nodes.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import type { UserId } from '../domain/ids.js';
import { PRESENCE_CALM_MS } from '../domain/limits.js';

/**
 * Writes to the log whether a user is online; `lastSeen` undefined means online. Repeats write nothing. Throws
 * `not_found` when the user has been erased.
 */
export type WritePresence = (user: UserId, lastSeen: Date | undefined) => Promise<Moment>;

/** Writes presence by commands. */
export function createPresenceWriter(router: CommandRouter): WritePresence {
  return async (userId, lastSeen) => {
    const id = randomUUID();
    const { moment } = lastSeen
      ? await router.execute<'go offline'>(
          { kind: 'go offline', userId, lastSeen: lastSeen.toISOString() },
          id,
        )
      : await router.execute<'go online'>({ kind: 'go online', userId }, id);
    return moment;
  };
}

/** Monotonic milliseconds, timers, and the time of day for what is shown or stored. */
export interface GatewayClock extends Pick<Clock, 'now' | 'setTimer'> {
  wallNow(): Date;
}

export const gatewayClock: GatewayClock = { ...systemClock, wallNow: () => new Date() };

export interface PresenceDeps {
  readonly write: WritePresence;
  /** Tells the other nodes of the active devices of this one. */
  readonly devices: Pick<Devices, 'setActive' | 'clearActive'>;
  readonly graceMs: number;
  readonly clock: GatewayClock;
  readonly logger: Logger;
}

/** The presence of one user on this node. Most users have one device and have lost none, so it is kept small. */
interface Status {
  /** Active devices, compared by identity. */
  active: readonly unknown[];
  /** By session, when its newest lost connection was lost. Each counts as active for the grace time. */
  lostAt: Map<string, number> | undefined;
  /** The only time of day here, in milliseconds. */
  lastSeenMs: number;
  /** Whether the log has the user online, as far as this node has written it. */
  isWrittenOnline: boolean | undefined;
  /** `isWrittenOnline` may be wrong: another node wrote presence, or forgot this node's devices. */
  isDoubted: boolean;
  writtenAt: number;
  /** The next write does not wait for the calm time. */
  isUrgent: boolean;
  /** Cancels the timer that is set. */
  cancelTimer: (() => void) | undefined;
  writing: Promise<Moment | undefined> | undefined;
}

/**
 * Writes to the log which users are online, from the devices of this node. A user is online with at least one device
 * that is active, or that was lost within the grace time. The presence is compared with the last write, so a failed
 * write is tried again. Devices are announced to the other nodes before the log is written, so that a node that takes
 * users offline sees the devices of a user who is about to go online.
 */
export class Presence {
  readonly #deps: PresenceDeps;
  readonly #statuses = new Map<UserId, Status>();
  /** The users of sessions with a lost connection. */
  readonly #lost = new Map<string, UserId>();
  #isStopped = false;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  /** The device is active. Resolves when the write that was due at once is done; undefined if none was. */
  setActive(user: UserId, device: unknown): Promise<Moment | undefined> {
    const status = this.#statusOf(user);
    if (!status.active.includes(device)) status.active = [...status.active, device];
    return this.#settle(user, status);
  }

  /** The device went to the background. Resolves as `setActive`. */
  setInBackground(user: UserId, device: unknown): Promise<Moment | undefined> {
    const status = this.#statuses.get(user);
    if (!status) return Promise.resolve(undefined);
    if (removeDevice(status, device)) status.lastSeenMs = this.#wallMs();
    return this.#settle(user, status);
  }

  /** The device's connection is gone: it counts as active for the grace time, unless its session ends before. */
  loseConnection(user: UserId, device: unknown, session: string): void {
    const status = this.#statuses.get(user);
    if (!status || !removeDevice(status, device)) return;
    status.lastSeenMs = this.#wallMs();
    status.lostAt ??= new Map();
    status.lostAt.set(session, this.#now());
    this.#lost.set(session, user);
    void this.#settle(user, status);
  }

  /** The device's session has ended: it counts no more, without a grace time. */
  signOut(user: UserId, device: unknown): void {
    const status = this.#statuses.get(user);
    if (status && removeDevice(status, device)) this.#settleUrgently(user, status);
  }

  /** A session has ended: its lost connections count no more. */
  endSession(session: string): void {
    const user = this.#lost.get(session);
    const status = user === undefined ? undefined : this.#statuses.get(user);
    this.#lost.delete(session);
    if (user !== undefined && status?.lostAt?.delete(session)) this.#settleUrgently(user, status);
  }

  /** Writes the user online again, after another node wrote a user offline who is active here. */
  restoreOnline(user: UserId): void {
    const status = this.#statuses.get(user);
    if (status && this.#isOnline(status)) this.#rewrite(user, status);
  }

  /** The other nodes have forgotten the devices of this one: tells them, and writes, again. */
  announceAgain(): void {
    for (const [user, status] of this.#statuses) this.#rewrite(user, status);
  }

  /** Whether the user is online by the devices of this node, whatever has been written yet. */
  isOnlineHere(user: UserId): boolean {
    const status = this.#statuses.get(user);
    return status !== undefined && this.#isOnline(status);
  }

  /** Users whose presence is kept here: those who are online, and those who were a short time ago. */
  get userCount(): number {
    return this.#statuses.size;
  }

  stop(): void {
    this.#isStopped = true;
    for (const status of this.#statuses.values()) status.cancelTimer?.();
  }

  #now(): number {
    return this.#deps.clock.now();
  }

  #wallMs(): number {
    return this.#deps.clock.wallNow().getTime();
  }

  #statusOf(user: UserId): Status {
    let status = this.#statuses.get(user);
    if (!status) {
      status = {
        active: [],
        lostAt: undefined,
        lastSeenMs: 0,
        isWrittenOnline: undefined,
        isDoubted: false,
        writtenAt: Number.NEGATIVE_INFINITY,
        isUrgent: false,
        cancelTimer: undefined,
        writing: undefined,
      };
      this.#statuses.set(user, status);
    }
    return status;
  }

  #settleUrgently(user: UserId, status: Status): void {
    status.lastSeenMs = this.#wallMs();
    status.isUrgent = !this.#isOnline(status);
    void this.#settle(user, status);
  }

  #rewrite(user: UserId, status: Status): void {
    status.isDoubted = true;
    status.isWrittenOnline = undefined;
    void this.#settle(user, status);
  }

  #isOnline(status: Status): boolean {
    return status.active.length > 0 || this.#now() < this.#graceEnd(status);
  }

  #graceEnd(status: Status): number {
    return Math.max(...(status.lostAt?.values() ?? [])) + this.#deps.graceMs;
  }

  #forgetLost(status: Status): void {
    for (const [session, at] of status.lostAt ?? []) {
      if (this.#now() < at + this.#deps.graceMs) continue;
      status.lostAt?.delete(session);
      this.#lost.delete(session);
    }
    if (status.lostAt?.size === 0) status.lostAt = undefined;
  }

  /** Writes if a write is due, else sets a timer for the time when one may be. */
  #settle(user: UserId, status: Status): Promise<Moment | undefined> {
    if (status.writing) return status.writing;
    status.cancelTimer?.();
    status.cancelTimer = undefined;
    if (this.#isStopped) return Promise.resolve(undefined);
    this.#forgetLost(status);
    const isOnline = this.#isOnline(status);
    const calmAt = status.writtenAt + PRESENCE_CALM_MS;
    if (isOnline === status.isWrittenOnline) {
      if (status.active.length === 0) this.#wake(user, status, isOnline ? this.#graceEnd(status) : calmAt);
      return Promise.resolve(undefined);
    }
    if (this.#now() < calmAt && !status.isUrgent) {
      this.#wake(user, status, calmAt);
      return Promise.resolve(undefined);
    }
    status.isUrgent = false;
    status.writing = this.#write(user, status, isOnline);
    return status.writing;
  }

  async #write(user: UserId, status: Status, isOnline: boolean): Promise<Moment | undefined> {
    let moment: Moment | undefined;
    status.isDoubted = false;
    try {
      const { devices, write } = this.#deps;
      await (isOnline ? devices.setActive(user) : devices.clearActive(user));
      moment = await write(user, isOnline ? undefined : new Date(status.lastSeenMs));
      status.isWrittenOnline = status.isDoubted ? undefined : isOnline;
      status.writtenAt = this.#now();
    } catch (error) {
      if (error instanceof ParleyError && error.code === 'not_found') return this.#forget(user, status);
      this.#deps.logger.debug({ err: error, user }, 'presence could not be written; trying again');
      status.writtenAt = this.#now();
    }
    status.writing = undefined;
    void this.#settle(user, status);
    return moment;
  }

  /** The user has been erased: their presence is never written again. */
  #forget(user: UserId, status: Status): undefined {
    for (const session of status.lostAt?.keys() ?? []) this.#lost.delete(session);
    this.#statuses.delete(user);
  }

  /** Settles again at `at`. A user who is offline and calm by now is forgotten. */
  #wake(user: UserId, status: Status, at: number): void {
    const now = this.#now();
    if (at <= now && !this.#isOnline(status) && status.isWrittenOnline === false) {
      this.#statuses.delete(user);
      return;
    }
    const { clock } = this.#deps;
    status.cancelTimer = clock.setTimer(() => void this.#settle(user, status), Math.max(at - now, 1));
  }
}

/** Returns whether the device was active. */
function removeDevice(status: Status, device: unknown): boolean {
  if (!status.active.includes(device)) return false;
  status.active = status.active.filter((each) => each !== device);
  return true;
}
