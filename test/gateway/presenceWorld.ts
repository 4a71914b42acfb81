import pino from 'pino';
import { DEAD_AFTER_MS } from '../../src/cluster/nodes.js';
import { decideCommand } from '../../src/domain/commands.js';
import { foldFor, type Recorded } from '../../src/domain/events.js';
import type { UserState } from '../../src/domain/streams.js';
import { Presence } from '../../src/gateway/presence.js';
import { PresenceReconciler } from '../../src/gateway/presenceReconciler.js';
import { factsOf } from '../support/facts.js';
import { virtualTime } from '../support/virtualTime.js';

export const GRACE = 10_000;
const LOOK_MS = 2500;

/** When a call fails: before it has had its effect, or after. */
export type Mishap = 'before' | 'after';

interface Member {
  readonly name: string;
  startedAt: number;
  beatAt: number;
  /** Its beats do not arrive, though it works. */
  isSilent: boolean;
  isAlive: boolean;
  readonly presence: Presence;
  readonly reconciler: PresenceReconciler;
}

/** Nodes as their `Presence` and `PresenceReconciler`, over one store of rows and one writer, in virtual time. */
export class PresenceWorld {
  readonly time = virtualTime();
  readonly events: { online: boolean; user: string; lastSeen?: number; at: number }[] = [];
  /** What becomes of the next calls to a store. */
  readonly mishaps: Mishap[] = [];
  readonly members: Member[] = [];
  /** Active devices, as `node/user/device`. */
  readonly active = new Set<string>();
  readonly rows = new Set<string>();
  readonly forgotten: string[] = [];
  readonly #states = new Map<string, UserState>();
  #writer: Promise<unknown> = Promise.resolve();
  #size = 0;

  constructor(nodes: number) {
    for (let i = 0; i < nodes; i++) this.start();
  }

  start(): Member {
    const name = `n${this.members.length}`;
    const { time } = this;
    const write = (user: string, lastSeen: Date | undefined) =>
      this.#call(async () => this.#execute(user, lastSeen));
    const living = () => this.members.filter((each) => this.#isListed(each) && !this.#isDead(each));
    const dead = () => this.members.filter((each) => this.#isListed(each) && this.#isDead(each));
    const logger = pino({ level: 'silent' });
    const member: Member = {
      name,
      startedAt: time.now(),
      beatAt: time.now(),
      isSilent: false,
      isAlive: true,
      presence: new Presence({
        write,
        devices: {
          setActive: (user) => this.#call(async () => void this.rows.add(`${user}/${name}`)),
          clearActive: (user) => this.#call(async () => void this.rows.delete(`${user}/${name}`)),
        },
        graceMs: GRACE,
        clock: time,
        logger,
      }),
      reconciler: new PresenceReconciler({
        cluster: {
          node: name,
          nodes: {
            listLive: () =>
              this.#call(async () =>
                living().map(({ name: node, startedAt, beatAt }) => ({
                  node,
                  startedAt: new Date(startedAt),
                  silentMs: time.now() - beatAt,
                  capabilities: [],
                })),
              ),
            listDead: () =>
              this.#call(async () =>
                dead().map(({ name: node, beatAt }) => ({ node, lastHeartbeat: new Date(beatAt) })),
              ),
          },
          devices: {
            findActive: (users) => this.#call(async () => this.#elsewhere(users)),
            listActive: (node, limit, after = '') =>
              this.#call(async () => this.#usersOf(node, limit, after)),
          },
          forgetNode: async (node) => {
            await this.#call(async () => {
              for (const row of this.rows) if (row.endsWith(`/${node}`)) this.rows.delete(row);
            });
            await this.#call(async () => void this.forgotten.push(node));
          },
        },
        users: {
          online: (limit, after = '') => this.#call(async () => this.#online(limit, after)),
          isOurs: () => this.members.find(({ isAlive }) => isAlive) === member,
        },
        presence: { write, announceAgain: () => member.presence.announceAgain() },
        times: { graceMs: GRACE, lastHeartbeat: undefined, now: time.now },
        logger,
      }),
    };
    this.members.push(member);
    this.#live(member);
    return member;
  }

  /** The process is gone. */
  crash(member: Member): void {
    member.isAlive = false;
    member.presence.stop();
    for (const device of this.active) if (device.startsWith(`${member.name}/`)) this.active.delete(device);
  }

  isOnline(user: string): boolean {
    return this.#states.get(user)?.online ?? false;
  }

  #live(member: Member): void {
    if (!member.isAlive) return;
    if (!member.isSilent) {
      const wasForgotten = this.forgotten.indexOf(member.name);
      if (wasForgotten >= 0) {
        this.forgotten.splice(wasForgotten, 1);
        member.startedAt = this.time.now();
      }
      member.beatAt = this.time.now();
    }
    void member.reconciler.look().catch(() => undefined); // It looks again.
    this.time.setTimer(() => this.#live(member), LOOK_MS);
  }

  #isListed = ({ name }: Member) => !this.forgotten.includes(name);
  #isDead = ({ beatAt }: Member) => this.time.now() - beatAt >= DEAD_AFTER_MS;

  #elsewhere(users: readonly string[]): Set<string> {
    const living = this.members.filter((each) => this.#isListed(each) && !this.#isDead(each));
    return new Set(users.filter((user) => living.some(({ name }) => this.rows.has(`${user}/${name}`))));
  }

  #usersOf(node: string, limit: number, after: string): string[] {
    const users = [...this.rows]
      .filter((row) => row.endsWith(`/${node}`))
      .map((row) => row.slice(0, row.indexOf('/')));
    return users
      .filter((user) => user > after)
      .sort()
      .slice(0, limit);
  }

  #online(limit: number, after: string): string[] {
    const users = [...this.#states].filter(([user, { online }]) => online && user > after);
    return users
      .map(([user]) => user)
      .sort()
      .slice(0, limit);
  }

  async #call<T>(effect: () => Promise<T>): Promise<T> {
    const mishap = this.mishaps.shift();
    await this.#pause(5);
    if (mishap === 'before') throw new Error('the call was lost');
    const answer = await effect();
    await this.#pause(5);
    if (mishap === 'after') throw new Error('the answer was lost');
    return answer;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.time.setTimer(resolve, ms);
    });
  }

  /** The writer of the one partition: prepares and decides each in turn. */
  #execute(user: string, lastSeen: Date | undefined): Promise<{ partition: number; size: number }> {
    const executed = this.#writer.then(async () => {
      const isActive = lastSeen !== undefined && this.#elsewhere([user]).has(user);
      await this.#pause(5);
      const state = this.#states.get(user) ?? { registered: true, online: false };
      const command = lastSeen
        ? ({ kind: 'go offline', userId: user, lastSeen: lastSeen.toISOString() } as const)
        : ({ kind: 'go online', userId: user } as const);
      const decision = decideCommand(command, state, factsOf({ isActive: () => isActive }));
      const events = 'events' in decision ? decision.events : [];
      for (const event of events) {
        this.#size++;
        // Of an event, evolving needs what it is and no place.
        this.#states.set(
          user,
          foldFor(event.stream).evolve(state, event as unknown as Recorded) as UserState,
        );
        const online = event.type === 'UserWentOnline';
        const at = this.time.now();
        this.events.push({ user, online, at, ...(lastSeen ? { lastSeen: lastSeen.getTime() } : {}) });
        if (!online) this.#fanOut(user);
      }
      return { partition: 0, size: this.#size };
    });
    this.#writer = executed.catch(() => undefined);
    return executed;
  }

  #fanOut(user: string): void {
    for (const [i, { presence }] of this.members.entries())
      this.time.setTimer(() => presence.restoreOnline(user), i * 300);
  }
}
