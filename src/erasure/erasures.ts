import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { outcomeUnknown, ParleyError } from '../base/errors.js';
import { type CommandRouter, type Moment, routerVia } from '../domain/commands.js';
import {
  type KeyId,
  parseStream,
  type RoomId,
  type StreamName,
  streamOf,
  type UserId,
} from '../domain/ids.js';
import { type EventLog, partitionOf } from '../log/log.js';
import type { Queries } from '../projections/queries.js';
import type { BegunErasure, ErasureStore, KeyStore, SessionStore } from '../vault/vault.js';

/** Rooms of a page, and concurrent commands. */
const ROOMS_PER_PAGE = 100;

export interface RoomParts {
  readonly commands: CommandRouter;
  readonly queries: Pick<Queries, 'changedStreams'>;
  readonly log: Pick<EventLog, 'partitions' | 'tail'>;
}

/**
 * Marks the user as erased in each of their rooms. Call it when every reader of users sees the erasure. From then on
 * only commands decided earlier can create such a room. The drain waits until they are in the log. Returns, by
 * partition, the moment after which nothing new of the user comes.
 */
export async function eraseFromRooms(userId: UserId, parts: RoomParts): Promise<Moment[]> {
  const partitions = Array.from({ length: parts.log.partitions }, (_, partition) => partition);
  return Promise.all(
    partitions.map(async (partition) => {
      await drainWriter(partition, userId, parts);
      const size = (await parts.log.tail(partition))?.size ?? 0;
      return eraseFromRoomsOf({ partition, size }, userId, parts);
    }),
  );
}

/** Resolves when the partition's writer has appended everything that it had decided before the call. */
async function drainWriter(partition: number, userId: UserId, { commands, log }: RoomParts): Promise<void> {
  // The room does not exist, so the command changes nothing.
  let roomId = randomUUID();
  while (partitionOf(streamOf('room', roomId), log.partitions) !== partition) roomId = randomUUID();
  await eraseMember(roomId, userId, commands);
}

/** Erases the user from the rooms of one partition, and returns its last moment. */
async function eraseFromRoomsOf(
  at: Moment,
  userId: UserId,
  { queries, commands }: RoomParts,
): Promise<Moment> {
  let last = at;
  for (let after: string | undefined; ; ) {
    const page = { limit: ROOMS_PER_PAGE, ...(after === undefined ? {} : { after }) };
    const streams = await queries.changedStreams(userId, at.partition, -1, page, [at]);
    const moments = await Promise.all(
      selectRooms(streams).map((room) => eraseMember(room, userId, commands)),
    );
    for (const moment of moments) if (moment && moment.size > last.size) last = moment;
    after = streams.at(-1)?.key;
    if (streams.length < ROOMS_PER_PAGE) return last;
  }
}

/** Undefined if there is no such room. */
async function eraseMember(
  roomId: RoomId,
  userId: UserId,
  commands: CommandRouter,
): Promise<Moment | undefined> {
  try {
    const command = { kind: 'erase member', roomId, userId } as const;
    return (await commands.execute<'erase member'>(command, randomUUID())).moment;
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function selectRooms(streams: readonly { readonly key: string }[]): RoomId[] {
  // The keys of changed streams are stream names.
  const parsed = streams.map(({ key }) => parseStream(key as StreamName));
  return parsed.flatMap(({ kind, id }) => (kind === 'room' ? [id] : []));
}

/** The services that the steps of an erasure need. */
export interface ErasureParts {
  readonly rooms: RoomParts;
  readonly vault: {
    readonly keys: Pick<KeyStore, 'destroy'>;
    readonly sessions: Pick<SessionStore, 'revokeAll'>;
    readonly erasures: ErasureStore;
  };
  readonly queries: Pick<Queries, 'users' | 'openedErased'>;
  /** Resolves when every node rejects these sessions, which the vault has revoked. */
  readonly announceRevocations: (sessions: readonly string[]) => Promise<void>;
  /**
   * Resolves when no node caches the user, and no file or document holds their name. See `ErasureBroadcast`.
   */
  readonly evictEverywhere: (user: UserId, at: readonly Moment[], signal: AbortSignal) => Promise<void>;
}

/**
 * Erases a user. Each step may be repeated, and may be the last one before a crash. As long as the vault
 * lists the erasure, it starts again from the first step. Rejects with the error of a step, and undoes
 * nothing. Calls `onDecided` when the erasure can no longer be undone.
 */
async function eraseUser(
  erasure: BegunErasure,
  parts: ErasureParts,
  onDecided: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { vault, queries } = parts;
  const { userId, via } = erasure;
  const { commands } = parts.rooms;
  const rooms = { ...parts.rooms, commands: via === undefined ? commands : routerVia(commands, via) };
  // The erasure is decided here. No later command by or with the user is accepted.
  const { moment } = await rooms.commands.execute<'erase user'>({ kind: 'erase user', userId }, randomUUID());
  onDecided();
  // The claim before the sessions: a concurrent sign-in checks it last, and then revokes its own session.
  await vault.erasures.eraseClaim(erasure);
  await parts.announceRevocations(await vault.sessions.revokeAll(userId));
  await vault.keys.destroy(userId);
  // After this, every query and every decision about others sees the erasure.
  await queries.users([userId], [moment]);
  const last = await eraseFromRooms(userId, rooms);
  await parts.evictEverywhere(userId, [moment, ...last], signal);
  await vault.erasures.end(userId);
}

/** Interval between checks for interrupted erasures. */
const POLL_MS = 2_000;
/** The longest wait of the caller; the erasure continues without it. */
const ANSWER_MS = 20_000;

export interface ErasuresDeps {
  readonly steps: ErasureParts;
  /** Whether this node must finish the user's erasure if another node was interrupted. */
  readonly isOwned: (user: UserId) => boolean;
  /** Milliseconds after which another node's erasure counts as interrupted. 0: there is no other node. */
  readonly takeOverMs: number;
  readonly logger: Logger;
}

/** An erasure that is running in this process. */
interface Run {
  readonly done: Promise<void>;
  /** The erasure is in the log. */
  isDecided: boolean;
}

/** Erases users, and finishes erasures that a crash or an outage interrupted. */
export class Erasures {
  readonly #deps: ErasuresDeps;
  readonly #running = new Map<UserId, Run>();
  /** When each listed erasure that does not run here was first seen, in monotonic milliseconds. */
  #firstSeen = new Map<UserId, number>();
  readonly #stopping = new AbortController();
  #resuming: Promise<void> = Promise.resolve();

  constructor(deps: ErasuresDeps) {
    this.#deps = deps;
  }

  /**
   * Starts to look for interrupted erasures, and for erased users in a vault that was restored from a backup.
   */
  start(): void {
    this.#resuming = this.#resumeFromRestoredVault();
    this.#resuming.catch((error: unknown) => this.#report(error));
    void this.#poll();
  }

  /**
   * Erases users whose erasure the log may have lost, and finishes those that were interrupted. Resolves with the number
   * of users that were not erased before. No other node may run.
   */
  async eraseAgain(users: readonly UserId[], at: readonly Moment[]): Promise<number> {
    const { vault, queries } = this.#deps.steps;
    await this.#resuming;
    for (const erasure of await vault.erasures.list()) await this.#run(erasure).done;
    let erased = 0;
    for (const userId of users) {
      const user = (await queries.users([userId], at)).get(userId);
      // The vault may be newer than the log, and have the key of somebody whose sign-up the log has lost.
      if (user === undefined) await vault.keys.destroy(userId);
      else if (user.username !== null) {
        await this.erase(userId, user.username);
        erased++;
      }
    }
    return erased;
  }

  /** Starts nothing more. Running erasures stop where they are, and another process finishes them. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Erases the user of this name. `via`: the server key that has asked for it. Resolves when it is complete. Throws `overloaded` if nothing was done, or
   * `unknown` if it may still take effect. An erasure that is in the log is tried until it is complete.
   */
  async erase(userId: UserId, username: string, via?: KeyId): Promise<void> {
    const { erasures } = this.#deps.steps.vault;
    const run = this.#run(await erasures.begin(userId, username, via));
    const late = new AbortController();
    try {
      await Promise.race([run.done, rejectWhenLate(late.signal)]);
    } catch (error) {
      if (run.isDecided || !isRefusal(error))
        throw outcomeUnknown('the erasure has begun and will be completed; check later', error);
      // Otherwise it would be finished later, although the caller was told that it failed.
      await erasures.end(userId);
      throw error;
    } finally {
      late.abort();
    }
  }

  /** Runs one erasure of each user at a time. */
  #run(erasure: BegunErasure): Run {
    const { userId } = erasure;
    const known = this.#running.get(userId);
    if (known) return known;
    const onDecided = () => {
      run.isDecided = true;
    };
    const done = eraseUser(erasure, this.#deps.steps, onDecided, this.#stopping.signal).finally(() =>
      this.#running.delete(userId),
    );
    const run: Run = { done, isDecided: false };
    this.#running.set(userId, run);
    return run;
  }

  /** Erases users again whom the log has erased but the vault still has. */
  async #resumeFromRestoredVault(): Promise<void> {
    const { steps, logger } = this.#deps;
    const { queries, vault } = steps;
    for await (const names of queries.openedErased())
      for (const [userId, name] of names) {
        logger.info({ userId }, 'the vault still has a user whom the log has erased; erasing the user again');
        await vault.erasures.begin(userId, name);
      }
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#deps.steps.vault.erasures
        .list()
        .then((listed) => this.#finishInterrupted(listed))
        .catch((error: unknown) => this.#report(error));
      await pause(POLL_MS, undefined, { signal }).catch(() => undefined); // The process is stopping.
    }
  }

  async #finishInterrupted(listed: readonly BegunErasure[]): Promise<void> {
    const { isOwned, takeOverMs } = this.#deps;
    const now = performance.now();
    const others = listed.filter(({ userId }) => !this.#running.has(userId));
    this.#firstSeen = new Map(others.map(({ userId }) => [userId, this.#firstSeen.get(userId) ?? now]));
    for (const erasure of others) {
      const { userId } = erasure;
      if (this.#stopping.signal.aborted) return;
      if (isOwned(userId) && now - (this.#firstSeen.get(userId) ?? now) >= takeOverMs)
        await this.#run(erasure).done.catch((error: unknown) => this.#report(error));
    }
  }

  #report(err: unknown): void {
    if (!this.#stopping.signal.aborted)
      this.#deps.logger.warn({ err }, 'an interrupted erasure could not be finished; trying again');
  }
}

/** Errors by which the first step was refused, so that nothing was done. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ParleyError && error.code !== 'unknown' && error.code !== 'internal';

async function rejectWhenLate(signal: AbortSignal): Promise<never> {
  await pause(ANSWER_MS, undefined, { signal });
  throw new Error(`the erasure takes longer than ${ANSWER_MS} ms`);
}
