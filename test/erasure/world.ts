import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { notFound } from '../../src/base/errors.js';
import type { Command, CommandRouter } from '../../src/domain/commands.js';
import { streamOf } from '../../src/domain/ids.js';
import { Erasures } from '../../src/erasure/erasures.js';
import type { BegunErasure, Session } from '../../src/vault/vault.js';
import { FakeVault } from '../support/fakeVault.js';

/** A failing step: before its effect, or after it but before the answer. */
export interface Fault {
  /** The number of the call, from 0. */
  readonly call: number;
  readonly isDone: boolean;
  readonly error: Error;
}

const NAME = 'ada';

/**
 * A user with two rooms and a session, whom one process after the other tries to erase. The state here is
 * durable.
 */
export class ErasureWorld {
  readonly vault = new FakeVault();
  readonly userId = randomUUID();
  readonly rooms: readonly string[] = [randomUUID(), randomUUID()].sort();
  readonly leftRooms = new Set<string>();
  readonly announced: string[] = [];
  /** The keys that the commands have named. */
  readonly vias = new Set<string | undefined>();
  isErased = false;
  isEvicted = false;
  session: { token: string; session: Session } | undefined;
  #calls = 0;

  static async fresh(): Promise<ErasureWorld> {
    const world = new ErasureWorld();
    const { vault, userId } = world;
    await vault.keys.create(userId);
    await vault.credentials.claim(NAME, {
      ...{ userId, username: NAME, backgroundColor: '#000000', passwordHash: 'x', registered: true },
    });
    world.session = await vault.sessions.create(userId, new Date(), 60_000);
    return world;
  }

  /** The number of port calls so far. */
  get calls(): number {
    return this.#calls;
  }

  /** A process whose call of this number fails. */
  process(fault?: Fault): Erasures {
    this.#calls = 0;
    const port = <A extends unknown[], T>(work: (...args: A) => Promise<T>) => {
      return async (...args: A): Promise<T> => {
        const isFaulty = this.#calls++ === fault?.call;
        if (isFaulty && !fault.isDone) throw fault.error;
        if (!isFaulty) return work(...args);
        await Promise.allSettled([work(...args)]);
        throw fault.error;
      };
    };
    const { keys, sessions, erasures } = this.vault;
    return new Erasures({
      steps: {
        rooms: {
          // `#execute` defines the answer to each kind.
          commands: {
            execute: port((command: Command) => this.#execute(command)),
          } as unknown as CommandRouter,
          queries: {
            changedStreams: port(async () => this.rooms.map((room) => ({ key: streamOf('room', room) }))),
          },
          log: { partitions: 1, tail: port(async () => undefined) },
        },
        vault: {
          keys: { destroy: port((owner: string) => keys.destroy(owner)) },
          sessions: { revokeAll: port((user: string) => sessions.revokeAll(user)) },
          erasures: {
            begin: (user, name, via) => erasures.begin(user, name, via),
            list: () => erasures.list(),
            eraseClaim: port((erasure: BegunErasure) => erasures.eraseClaim(erasure)),
            end: port((user: string) => erasures.end(user)),
          },
        },
        queries: {
          users: port(async () => new Map()),
          async *openedErased() {},
        },
        announceRevocations: port(async (ids: readonly string[]) => void this.announced.push(...ids)),
        evictEverywhere: port(async () => {
          this.isEvicted = true;
        }),
      },
      isOwned: () => true,
      takeOverMs: 0,
      logger: pino({ level: 'silent' }),
    });
  }

  erase(erasures: Erasures, via?: string): Promise<void> {
    return erasures.erase(this.userId, NAME, via);
  }

  /** The steps that are done, and those that are left. */
  async state() {
    const { vault, userId, session } = this;
    return {
      isErased: this.isErased,
      claim: await vault.credentials.find(NAME).then((found) => (found === 'erased' ? found : 'kept')),
      session: (await vault.sessions.find(session?.token ?? '', new Date())) ? 'open' : 'ended',
      key: await vault.keys.getKey(userId).then((key) => (key === 'destroyed' ? key : 'kept')),
      rooms: this.leftRooms.size,
      isEvicted: this.isEvicted,
      listed: (await vault.erasures.list()).length,
    };
  }

  async #execute(command: Command): Promise<unknown> {
    const moment = { partition: 0, size: 1 };
    this.vias.add(command.via);
    if (command.kind === 'erase user') {
      const changed = !this.isErased;
      this.isErased = true;
      return { changed, moment };
    }
    if (command.kind !== 'erase member') throw new Error(`${command.kind} is no step of an erasure`);
    if (!this.rooms.includes(command.roomId)) throw notFound('there is no such room');
    const changed = !this.leftRooms.has(command.roomId);
    this.leftRooms.add(command.roomId);
    return { changed, moment };
  }
}
