import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { NodeId } from '../cluster/bus.js';
import type { Devices } from '../cluster/devices.js';
import { DEAD_AFTER_MS, type Nodes } from '../cluster/nodes.js';
import type { UserId } from '../domain/ids.js';
import type { Queries } from '../projections/queries.js';
import type { WritePresence } from './presence.js';

/** How often it is looked for nodes that have died. */
const LOOK_MS = 2500;
/** Everybody who is online is looked through this often, though no node has died. */
const SWEEP_MS = 300_000;
const PAGE = 200;

export interface LevellingDeps {
  readonly node: NodeId;
  readonly nodes: Pick<Nodes, 'listLive' | 'listDead' | 'forget'>;
  readonly devices: Pick<Devices, 'findActive' | 'listActive' | 'dropNode'>;
  readonly queries: Pick<Queries, 'online'>;
  readonly write: WritePresence;
  /** Whether this node is the one to write for the user: it owns their partition. */
  readonly isOurs: (user: UserId) => boolean;
  /** The other nodes had taken this one for dead, and have forgotten it. */
  readonly onForgotten: () => void;
  /** When the life before this one ended, where nothing else tells when its users were last seen. */
  readonly lastLife: Date | undefined;
  readonly graceMs: number;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** A user who is online without an active device, and since when that is known here. */
interface Absent {
  readonly sinceMs: number;
  readonly since: Date;
}

/**
 * Takes offline whom the log calls online although no node that lives has an active device of theirs: after a crash,
 * when one grace time has passed in which they could come back. Every node looks at all users, so that a change of
 * owner costs no time, and writes for those whose partition it owns. A dead node is forgotten when that is done.
 */
export class Levelling {
  readonly #deps: LevellingDeps;
  #absent = new Map<UserId, Absent>();
  /** Dead nodes, and since when that is known here. */
  readonly #dead = new Map<NodeId, number>();
  #sweptAt = Number.NEGATIVE_INFINITY;
  #startedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(deps: LevellingDeps) {
    this.#deps = deps;
  }

  /** Looks now, and every few seconds, until it is stopped. */
  async start(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      this.#deps.logger.warn({ err: error }, 'presence could not be levelled; trying again');
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.start(), LOOK_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** One look. Throws when a store does not answer: the next one does what was left undone. */
  async look(): Promise<void> {
    const { node, nodes, devices, graceMs, now } = this.#deps;
    await this.#noticeForgetting((await nodes.listLive()).find((each) => each.node === node)?.startedAt);
    const dead = await nodes.listDead();
    for (const known of this.#dead.keys())
      if (!dead.some((each) => each.node === known)) this.#dead.delete(known);
    for (const each of dead) if (!this.#dead.has(each.node)) this.#dead.set(each.node, now());
    if (dead.length === 0 && this.#absent.size === 0 && now() - this.#sweptAt < SWEEP_MS) return;

    const lastBeats = new Map<UserId, Date>();
    const usersOf = new Map<NodeId, Set<UserId>>();
    for (const each of dead) {
      const users = await this.#usersOf(each.node);
      usersOf.set(each.node, users);
      for (const user of users) lastBeats.set(user, later(lastBeats.get(user), each.lastHeartbeat));
    }
    const online = await this.#level(lastBeats);
    for (const { node: gone } of dead) {
      const known = this.#dead.get(gone) ?? now();
      const isLevel = [...(usersOf.get(gone) ?? [])].every((user) => !online.has(user));
      // Not at once: what it wrote last may not have reached the read model yet.
      if (!isLevel || now() - known < Math.max(graceMs, DEAD_AFTER_MS)) continue;
      await devices.dropNode(gone);
      await nodes.forget(gone);
    }
  }

  async #noticeForgetting(startedAt: Date | undefined): Promise<void> {
    if (!startedAt) return;
    const isAnother = this.#startedAt !== undefined && this.#startedAt !== startedAt.getTime();
    this.#startedAt = startedAt.getTime();
    if (isAnother) this.#deps.onForgotten();
  }

  async #usersOf(node: NodeId): Promise<Set<UserId>> {
    const users = new Set<UserId>();
    for (let after: UserId | undefined; !this.#stopped; ) {
      const page = await this.#deps.devices.listActive(node, PAGE, after);
      for (const user of page) users.add(user);
      after = page.at(-1);
      if (page.length < PAGE) break;
    }
    return users;
  }

  /** Goes through all who are online; answers those who stay so without an active device. */
  async #level(lastBeats: ReadonlyMap<UserId, Date>): Promise<ReadonlyMap<UserId, Absent>> {
    const { queries, devices, graceMs, now } = this.#deps;
    const absent = new Map<UserId, Absent>();
    for (let after: UserId | undefined; !this.#stopped; ) {
      const users = await queries.online(PAGE, after);
      const active = users.length > 0 ? await devices.findActive(users) : new Set();
      const gone: [UserId, Absent][] = [];
      for (const user of users) {
        if (active.has(user)) continue;
        const known = this.#absent.get(user) ?? { sinceMs: now(), since: new Date() };
        absent.set(user, known);
        if (now() - known.sinceMs >= graceMs && this.#deps.isOurs(user)) gone.push([user, known]);
      }
      await Promise.all(gone.map(([user, { since }]) => this.#takeOffline(user, lastBeats.get(user), since)));
      after = users.at(-1);
      if (users.length < PAGE) break;
    }
    this.#absent = absent;
    this.#sweptAt = now();
    return absent;
  }

  /** One who has come back meanwhile stays online: the owner looks at the devices again. */
  async #takeOffline(user: UserId, lastBeat: Date | undefined, since: Date): Promise<void> {
    try {
      await this.#deps.write(user, lastBeat ?? this.#deps.lastLife ?? since);
    } catch (error) {
      this.#deps.logger.debug({ err: error, user }, 'a user could not be taken offline; trying again');
    }
  }
}

const later = (a: Date | undefined, b: Date): Date => (a && a > b ? a : b);

const BEAT_MS = 5000;

/** When a system of one process was last alive: after a crash, that is when its users were last seen. */
export interface Heartbeat {
  /** Undefined before the first beat. */
  last(): Promise<Date | undefined>;
  beat(): Promise<void>;
}

/** Beats now and every 5 s; returns the function that ends it. */
export async function startBeating(
  heartbeat: Heartbeat,
  report: (error: unknown) => void,
): Promise<() => void> {
  const beat = () => heartbeat.beat().catch(report);
  await beat();
  const timer = setInterval(() => void beat(), BEAT_MS);
  return () => clearInterval(timer);
}

/** The embedded engine's: the modification time of a file. */
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
