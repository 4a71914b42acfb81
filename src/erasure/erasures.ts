import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { outcomeUnknown, ParleyError } from '../base/errors.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import {
  parseStream,
  partitionOf,
  type RoomId,
  type StreamName,
  streamOf,
  type UserId,
} from '../domain/ids.js';
import type { EventLog } from '../log/log.js';
import type { Queries } from '../projections/queries.js';
import type { BegunErasure, ErasureStore, KeyStore, SessionStore } from '../vault/vault.js';

/** Rooms of a page, and commands under way at once. */
const PAGE = 100;

export interface RoomParts {
  readonly commands: CommandRouter;
  readonly queries: Pick<Queries, 'changedStreams'>;
  readonly log: Pick<EventLog, 'partitions' | 'tail'>;
}

/**
 * Marks the user erased in each of their rooms. To be called when every reader of users sees that they are: then no
 * room with them is made any more, but by what was decided before; and a writer answers only when all that it decided
 * before is in the log. Gives the moments behind which no room holds anything new of the user.
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

/** Resolves when the partition's writer has appended what it had decided by now. */
async function drainWriter(partition: number, userId: UserId, { commands, log }: RoomParts): Promise<void> {
  // A room that nobody has: nothing is changed by asking.
  let roomId = randomUUID();
  while (partitionOf(streamOf('room', roomId), log.partitions) !== partition) roomId = randomUUID();
  await eraseMember(roomId, userId, commands);
}

/** Of one partition; the last moment of it. */
async function eraseFromRoomsOf(
  at: Moment,
  userId: UserId,
  { queries, commands }: RoomParts,
): Promise<Moment> {
  let last = at;
  for (let after: string | undefined; ; ) {
    const page = { limit: PAGE, ...(after === undefined ? {} : { after }) };
    const streams = await queries.changedStreams(userId, at.partition, -1, page, [at]);
    const moments = await Promise.all(
      selectRooms(streams).map((room) => eraseMember(room, userId, commands)),
    );
    for (const moment of moments) if (moment && moment.size > last.size) last = moment;
    after = streams.at(-1)?.key;
    if (streams.length < PAGE) return last;
  }
}

/** Undefined: there is no such room. */
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
  // A replay's keys are stream names.
  const parsed = streams.map(({ key }) => parseStream(key as StreamName));
  return parsed.flatMap(({ kind, id }) => (kind === 'room' ? [id] : []));
}

/** What erasing somebody needs. */
export interface ErasureParts {
  readonly rooms: RoomParts;
  readonly vault: {
    readonly keys: Pick<KeyStore, 'destroy'>;
    readonly sessions: Pick<SessionStore, 'revokeAll'>;
    readonly erasures: ErasureStore;
  };
  readonly queries: Pick<Queries, 'users' | 'openedErased'>;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceRevocations: (sessions: readonly string[]) => Promise<void>;
  /** Resolves when no node remembers the user, and their name is in no file or document: see `ErasureBroadcast`. */
  readonly evictEverywhere: (user: UserId, at: readonly Moment[], signal: AbortSignal) => Promise<void>;
}

/**
 * Erases a user. Each step may be repeated, and be the last before a crash: as long as the erasure is listed in the
 * vault it is begun again from the top. Rejects with what a step throws, and nothing that is done is undone; `onDecided`
 * is called when it can be undone no more.
 */
async function eraseUser(
  erasure: BegunErasure,
  parts: ErasureParts,
  onDecided: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { vault, rooms, queries } = parts;
  const { userId } = erasure;
  // From here on it is decided: no command of theirs or with them is accepted that comes later.
  const { moment } = await rooms.commands.execute<'erase user'>({ kind: 'erase user', userId }, randomUUID());
  onDecided();
  // The claim before the sessions: a sign-in under way looks at it last, and ends the session that it has made.
  await vault.erasures.eraseClaim(erasure);
  await parts.announceRevocations(await vault.sessions.revokeAll(userId));
  await vault.keys.destroy(userId);
  // Now every query and every decision about others sees it.
  await queries.users([userId], [moment]);
  const last = await eraseFromRooms(userId, rooms);
  await parts.evictEverywhere(userId, [moment, ...last], signal);
  await vault.erasures.end(userId);
}

/** Between two looks for erasures that were cut off. */
const POLL_MS = 2_000;
/** What the caller waits for; it goes on without them. */
const ANSWER_MS = 20_000;

export interface ErasuresDeps {
  readonly steps: ErasureParts;
  /** Whether this node is to finish what another has begun of this user. */
  readonly isOwned: (user: UserId) => boolean;
  /** An erasure of another node's that is listed for so long has been cut off. 0: there is no other node. */
  readonly takeOverMs: number;
  readonly logger: Logger;
}

/** One that is under way here. */
interface Run {
  readonly done: Promise<void>;
  /** It is in the log. */
  isDecided: boolean;
}

/** Erases users, and finishes what a crash or an outage has cut off. */
export class Erasures {
  readonly #deps: ErasuresDeps;
  readonly #running = new Map<UserId, Run>();
  /** Those listed that are not under way here, and since when they have been seen; of `performance.now()`. */
  #firstSeen = new Map<UserId, number>();
  readonly #stopping = new AbortController();

  constructor(deps: ErasuresDeps) {
    this.#deps = deps;
  }

  /** Looks for what was cut off, from now on, and for what a vault from a back-up has of those who were erased. */
  start(): void {
    this.#resumeFromRestoredVault().catch((error: unknown) => this.#report(error));
    void this.#poll();
  }

  /** Begins nothing more; what is under way ends where it is, and is finished by who comes next. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Erases the user, whose name this is. Resolves when all of it is done. Throws `overloaded` when nothing was done,
   * `unknown` when it may take effect yet: what is in the log is tried until it is done.
   */
  async erase(userId: UserId, username: string): Promise<void> {
    const { erasures } = this.#deps.steps.vault;
    const run = this.#run(await erasures.begin(userId, username));
    const late = new AbortController();
    try {
      await Promise.race([run.done, rejectWhenLate(late.signal)]);
    } catch (error) {
      if (run.isDecided || !isRefusal(error)) throw outcomeUnknown('the user will be erased', error);
      // Else it would be done by and by, and they were told that it was not.
      await erasures.end(userId);
      throw error;
    } finally {
      late.abort();
    }
  }

  /** One at a time of each user. */
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

  /** Whom the log has erased and the vault knows is erased again. */
  async #resumeFromRestoredVault(): Promise<void> {
    const { steps, logger } = this.#deps;
    const { queries, vault } = steps;
    for await (const names of queries.openedErased())
      for (const [userId, name] of names) {
        logger.info({ userId }, 'the vault knows somebody who has been erased: they are erased again');
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
      await pause(POLL_MS, undefined, { signal }).catch(() => undefined); // It is ending.
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
      this.#deps.logger.warn({ err }, 'an erasure that was cut off cannot be finished yet; trying again');
  }
}

/** With these the first step was refused, so that nothing was done. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ParleyError && error.code !== 'unknown' && error.code !== 'internal';

async function rejectWhenLate(signal: AbortSignal): Promise<never> {
  await pause(ANSWER_MS, undefined, { signal });
  throw new Error('the erasure takes its time');
}
