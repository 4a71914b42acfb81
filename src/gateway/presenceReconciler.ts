import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { NodeId } from '../cluster/bus.js';
import { DEAD_AFTER_MS, type Devices, type Nodes } from '../cluster/nodes.js';
import type { UserId } from '../domain/ids.js';
import type { Queries } from '../projections/queries.js';
import type { WritePresence } from './presence.js';

/** How often the reconciler looks for nodes that have died. */
const LOOK_EVERY_MS = 2500;
/** How often all online users are checked even if no node has died. */
const SWEEP_EVERY_MS = 300_000;
const USERS_PER_PAGE = 200;

export interface PresenceReconcilerDeps {
  readonly cluster: {
    readonly node: NodeId;
    readonly nodes: Pick<Nodes, 'listLive' | 'listDead'>;
    readonly devices: Pick<Devices, 'findActive' | 'listActive'>;
    /** Removes the devices of a dead node, then the node. */
    readonly forgetNode: (node: NodeId) => Promise<void>;
  };
  readonly users: {
    readonly online: Queries['online'];
    /** Whether this node writes the user's presence, because it owns the user's partition. */
    readonly isOurs: (user: UserId) => boolean;
  };
  readonly presence: {
    readonly write: WritePresence;
    /** Announces the devices again, after the other nodes took this node for dead and forgot them. */
    readonly announceAgain: () => void;
  };
  readonly times: {
    readonly graceMs: number;
    /** The last heartbeat of the previous process, on one node only. Used as `lastSeen` if no better time is known. */
    readonly lastHeartbeat: Date | undefined;
    /** Milliseconds, monotonic. */
    readonly now: () => number;
  };
  readonly logger: Logger;
}

/** A user who is online without an active device, and since when this node knows that. */
interface Absence {
  readonly sinceMs: number;
  readonly since: Date;
}

/**
 * Takes users offline who are online in the log but have no active device on a live node. This happens after a crash,
 * when the grace time for reconnecting has passed. Every node checks all users, so that a change of owner costs no
 * time, and writes for the users whose partition it owns. Then a dead node is forgotten.
 */
export class PresenceReconciler {
  readonly #deps: PresenceReconcilerDeps;
  #absent = new Map<UserId, Absence>();
  /** Dead nodes, and since when this node knows that. */
  readonly #dead = new Map<NodeId, number>();
  #sweptAt = Number.NEGATIVE_INFINITY;
  #startedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: PresenceReconcilerDeps) {
    this.#deps = deps;
  }

  /** Looks now and every 2.5 s, until it is stopped. */
  async start(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      this.#deps.logger.warn({ err: error }, 'presence could not be reconciled; trying again');
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.start(), LOOK_EVERY_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Looks once. Throws when a store does not answer; the next look completes the work. */
  async look(): Promise<void> {
    const { node, nodes } = this.#deps.cluster;
    const { now } = this.#deps.times;
    this.#checkForgotten((await nodes.listLive()).find((each) => each.node === node)?.startedAt);
    const dead = await nodes.listDead();
    for (const known of this.#dead.keys())
      if (!dead.some((each) => each.node === known)) this.#dead.delete(known);
    for (const each of dead) if (!this.#dead.has(each.node)) this.#dead.set(each.node, now());
    if (dead.length === 0 && this.#absent.size === 0 && now() - this.#sweptAt < SWEEP_EVERY_MS) return;

    const lastBeats = new Map<UserId, Date>();
    const usersOf = new Map<NodeId, Set<UserId>>();
    for (const each of dead) {
      const users = await this.#usersOf(each.node);
      usersOf.set(each.node, users);
      for (const user of users) lastBeats.set(user, laterOf(lastBeats.get(user), each.lastHeartbeat));
    }
    const online = await this.#sweep(lastBeats);
    for (const each of dead) {
      const isAnyOnline = [...(usersOf.get(each.node) ?? [])].some((user) => online.has(user));
      if (!isAnyOnline) await this.#forget(each.node);
    }
  }

  /** Announces the devices again if the other nodes forgot this one: its next heartbeat then has a new start time. */
  #checkForgotten(startedAt: Date | undefined): void {
    if (!startedAt) return;
    const isAnother = this.#startedAt !== undefined && this.#startedAt !== startedAt.getTime();
    this.#startedAt = startedAt.getTime();
    if (isAnother) this.#deps.presence.announceAgain();
  }

  /** Forgets a dead node. Waits first, because its last writes may not be in the read model yet. */
  async #forget(dead: NodeId): Promise<void> {
    const { graceMs, now } = this.#deps.times;
    const knownAt = this.#dead.get(dead) ?? now();
    if (now() - knownAt < Math.max(graceMs, DEAD_AFTER_MS)) return;
    await this.#deps.cluster.forgetNode(dead);
  }

  async #usersOf(node: NodeId): Promise<Set<UserId>> {
    const users = new Set<UserId>();
    for (let after: UserId | undefined; !this.#isStopped; ) {
      const page = await this.#deps.cluster.devices.listActive(node, USERS_PER_PAGE, after);
      for (const user of page) users.add(user);
      after = page.at(-1);
      if (page.length < USERS_PER_PAGE) break;
    }
    return users;
  }

  /** Checks all online users. Returns those without an active device, whether they were taken offline now or not. */
  async #sweep(lastBeats: ReadonlyMap<UserId, Date>): Promise<ReadonlyMap<UserId, Absence>> {
    const { cluster, users, times } = this.#deps;
    const absent = new Map<UserId, Absence>();
    for (let after: UserId | undefined; !this.#isStopped; ) {
      const page = await users.online(USERS_PER_PAGE, after);
      const active = page.length > 0 ? await cluster.devices.findActive(page) : new Set();
      const gone: [UserId, Absence][] = [];
      for (const user of page) {
        if (active.has(user)) continue;
        const known = this.#absent.get(user) ?? { sinceMs: times.now(), since: new Date() };
        absent.set(user, known);
        if (times.now() - known.sinceMs >= times.graceMs && users.isOurs(user)) gone.push([user, known]);
      }
      await Promise.all(gone.map(([user, { since }]) => this.#takeOffline(user, lastBeats.get(user), since)));
      after = page.at(-1);
      if (page.length < USERS_PER_PAGE) break;
    }
    this.#absent = absent;
    this.#sweptAt = times.now();
    return absent;
  }

  /** Takes the user offline, unless the user came back: the owner of the partition checks the devices again. */
  async #takeOffline(user: UserId, lastBeat: Date | undefined, since: Date): Promise<void> {
    const { presence, times, logger } = this.#deps;
    try {
      await presence.write(user, lastBeat ?? times.lastHeartbeat ?? since);
    } catch (error) {
      logger.debug({ err: error, user }, 'a user could not be taken offline; trying again');
    }
  }
}

const laterOf = (a: Date | undefined, b: Date): Date => (a && a > b ? a : b);

const HEARTBEAT_EVERY_MS = 5000;

/** Remembers when a system of one process was last alive. After a crash, its users were last seen then. */
export interface Heartbeat {
  /** Undefined before the first beat. */
  last(): Promise<Date | undefined>;
  beat(): Promise<void>;
}

/** Beats now and every 5 s. Returns the function that stops it. */
export async function startBeating(
  heartbeat: Heartbeat,
  report: (error: unknown) => void,
): Promise<() => void> {
  const beat = () => heartbeat.beat().catch(report);
  await beat();
  const timer = setInterval(() => void beat(), HEARTBEAT_EVERY_MS);
  return () => clearInterval(timer);
}

/** The heartbeat of the embedded engine: the modification time of a file. */
export function fileHeartbeat(dataDir: string): Heartbeat {
  const file = join(dataDir, 'heartbeat');
  return {
    async last() {
      try {
        return (await stat(file)).mtime;
      } catch {
        return undefined; // Before the first beat there is no file.
      }
    },
    async beat() {
      const now = new Date();
      await utimes(file, now, now).catch(() => writeFile(file, '', { mode: 0o600 }));
    },
  };
}
