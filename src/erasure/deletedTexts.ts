import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { outcomeUnknown } from '../base/errors.js';
import { type CommitFrame, commitFrame } from '../cluster/bus.js';
import { leafTest } from '../domain/codec.js';
import type { Moment } from '../domain/commands.js';
import type { Recorded } from '../domain/events.js';
import type { WriterInRoom } from '../domain/ids.js';
import { findLastCommit } from '../log/checkLog.js';
import type { EventLog } from '../log/log.js';
import { follow, type TailReader } from '../log/logReader.js';
import { roomKeysId } from '../vault/textKeys.js';
import type { KeyStore } from '../vault/vault.js';
import type { HeldTexts } from './heldTexts.js';

/** How often it looks which partitions this node owns. */
const LOOK_EVERY_MS = 1000;
/** It saves its progress after this many events without a deletion, so that a start reads few again. */
const SAVE_EVERY_EVENTS = 10_000;
const RETRY_MS = { min: 50, max: 2000 };
const WAIT_EVERY_MS = 50;
const READ_COMMITS = 100;
/** The longest wait of a caller; the destruction goes on without it. */
const ANSWER_MS = 20_000;
const STALLED_MS = 60_000;

const isDeletion = leafTest({ type: 'MessageDeleted' });
const isLeaving = leafTest({ type: 'MemberLeft' });
/** Whether the last member of a group leaves. */
const isEnd = (leaf: string): boolean => isLeaving(leaf) && leaf.includes('"last":true');
const isReport = leafTest({ type: 'MessageReported' });
const isDecision = leafTest({ type: 'ReportDecided' });
const isSuspension = leafTest({ type: 'UserSuspended' });
const isAdministration = leafTest({ type: 'UserAdministered' });
/** Whether a leaf destroys keys, says which are kept, or decides about a user. */
const isFollowed = (leaf: string): boolean =>
  leaf.startsWith('["user:')
    ? isReport(leaf) || isDecision(leaf) || isSuspension(leaf) || isAdministration(leaf)
    : isDeletion(leaf) || isEnd(leaf);

/**
 * What follows from a decision about a user. Whoever decides carries it out at once; it is finished here if that was cut
 * off. Each may be repeated, and rejects only if it can be tried again.
 */
export interface Consequences {
  /** Ends the sessions that the user had when this was recorded. */
  readonly endSessions: (event: Recorded<'UserSuspended'> | Recorded<'UserAdministered'>) => Promise<void>;
  /** Deletes and suspends what a report's decision says. It must not wait for what this class does. */
  readonly finishDecision: (event: Recorded<'ReportDecided'>) => Promise<void>;
}

export interface DeletedTextsDeps {
  readonly log: Pick<EventLog, 'partitions' | 'read' | 'places' | 'tail'>;
  readonly keys: Pick<KeyStore, 'destructionProgress' | 'saveDestructionProgress'>;
  readonly texts: Pick<HeldTexts, 'keep' | 'release'> &
    Pick<HeldTexts, 'destroy' | 'sweep'> &
    Pick<HeldTexts, 'destroyGroup'>;
  /** The partitions that this node owns, now. */
  readonly owned: () => readonly number[];
  readonly logger: Logger;
}

/** Where a node begins in a partition: behind this position and size; the log ended at `end` then. */
interface Place {
  readonly position: number;
  readonly size: number;
  readonly end: number;
}

/**
 * Follows one partition: keeps what its log reports, and destroys the keys of what it deletes and of groups that have
 * ended, in order.
 */
class PartitionDestroyer {
  readonly reader: TailReader<CommitFrame>;
  readonly #ending = new AbortController();
  #saved: number;
  #size: number;
  /** Whether everything is kept that reports of before this node's ownership name. */
  #hasKept = false;

  constructor(
    private readonly partition: number,
    private readonly place: Place,
    private readonly deps: DeletedTextsDeps,
    private readonly effects: {
      readonly consequences: Consequences;
      readonly keepReported: () => Promise<void>;
    },
  ) {
    this.#saved = this.#size = place.size;
    const { log, logger } = deps;
    const read = async (after: number, limit: number) =>
      (await log.read(partition, after, limit)).map((commit) => commitFrame(commit));
    this.reader = follow<CommitFrame>(
      { partition, after: place.position, read },
      {
        handle: this.#handle,
        onStop: (err) => logger.error({ err, partition }, 'deleted texts are no longer destroyed'),
        onReadError: (err) => logger.warn({ err, partition }, 'the log cannot be read; deleted texts wait'),
      },
    );
  }

  /** The tree size up to which all deleted texts are destroyed. */
  get size(): number {
    return this.#size;
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.reader.stop();
    await this.save().catch((err: unknown) => this.#report(err));
  }

  async save(): Promise<void> {
    if (this.#size === this.#saved) return;
    const size = this.#size;
    await this.deps.keys.saveDestructionProgress(this.partition, size);
    this.#saved = size;
  }

  readonly #handle = (frame: CommitFrame): void | Promise<void> => {
    for (const leaf of frame.leaves) if (isFollowed(leaf)) return this.#carryOut(frame);
    this.#size = frame.size;
    if (this.#size - this.#saved >= SAVE_EVERY_EVENTS) return this.#retry(() => this.save());
  };

  async #carryOut(frame: CommitFrame): Promise<void> {
    const { texts } = this.deps;
    const rooms = new Map<string, { room: WriterInRoom; seqs: number[] }>();
    for (const event of frame.events) {
      if (event.type === 'MessageReported') await this.#retry(() => texts.keep(event));
      if (event.type === 'ReportDecided') await this.#retry(() => texts.release(event));
      await this.#retry(() => this.#finish(event));
      if (event.type !== 'MessageDeleted') continue;
      const room = { owner: event.data.senderId, roomId: event.data.roomId };
      const found = rooms.get(roomKeysId(room)) ?? { room, seqs: [] };
      found.seqs.push(event.data.seq);
      rooms.set(roomKeysId(room), found);
    }
    // Their reports were answered before, but are in other partitions, and the vault may be a backup of before them.
    if (rooms.size > 0 && !this.#hasKept && frame.size <= this.place.end) {
      await this.#retry(this.effects.keepReported);
      this.#hasKept = true;
    }
    for (const { room, seqs } of rooms.values()) await this.#retry(() => texts.destroy(room, seqs));
    for (const { type, data } of frame.events)
      if (type === 'MemberLeft' && data.last) await this.#retry(() => texts.destroyGroup(data.roomId));
    if (this.#ending.signal.aborted) return;
    this.#size = frame.size;
    await this.#retry(() => this.save());
  }

  async #finish(event: Recorded): Promise<void> {
    const { endSessions, finishDecision } = this.effects.consequences;
    if (event.type === 'UserSuspended') await endSessions(event);
    if (event.type === 'UserAdministered' && event.data.action === 'sessions ended') await endSessions(event);
    if (event.type === 'ReportDecided') await finishDecision(event);
  }

  /** Repeats the work until it succeeds or this node stops; the next owner then begins before it. */
  async #retry(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#ending;
    for (let wait = RETRY_MS.min; !signal.aborted; wait = Math.min(wait * 2, RETRY_MS.max)) {
      try {
        return await work();
      } catch (err) {
        this.#report(err);
        await pause(wait, undefined, { signal }).catch(() => undefined); // This node is stopping.
      }
    }
  }

  #report(err: unknown): void {
    const { partition } = this;
    this.deps.logger.warn(
      { err, partition },
      'a deletion, a report or a decision could not be carried out; trying again',
    );
  }
}

/**
 * Destroys the keys of deleted texts in the partitions that this node owns, and finishes what was decided about users. The
 * vault holds how far each partition is. So a deletion or a decision that a crash cut off is finished by the next owner,
 * and the log alone decides what is destroyed.
 */
export class DeletedTexts {
  readonly #deps: DeletedTextsDeps;
  readonly #running = new Map<number, PartitionDestroyer>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #consequences: Consequences | undefined;

  constructor(deps: DeletedTextsDeps) {
    this.#deps = deps;
  }

  start(consequences: Consequences): void {
    this.#consequences = consequences;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#look();
  }

  /** Resolves when the progress is saved. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#looking;
    await Promise.all([...this.#running.values()].map((one) => one.stop()));
  }

  /** Takes a commit from the bus. */
  readonly receive = (frame: CommitFrame): void => {
    this.#running.get(frame.partition)?.reader.notify(frame);
  };

  /**
   * Resolves when every text that the log deletes before this moment is destroyed, or kept for a report, and what it
   * reports is kept. Throws `unknown` after 20 s.
   */
  async waitFor(moment: Moment): Promise<void> {
    const giveUpAt = performance.now() + ANSWER_MS;
    const { partition } = moment;
    // Of another node only the saved progress is known, which later events without a deletion hardly move.
    const size = this.#running.has(partition) ? moment.size : await this.#lastChangeBefore(moment);
    for (;;) {
      const done = this.#running.get(partition)?.size ?? (await this.#savedProgress(partition));
      if (done >= size) return;
      if (performance.now() > giveUpAt)
        throw outcomeUnknown('the change is stored, but its keys are not processed yet; repeat it later');
      await pause(WAIT_EVERY_MS);
    }
  }

  /**
   * Resolves when every text that the log deletes up to its present end is destroyed. This node must own all partitions.
   * Throws `unknown` after 60 s without progress.
   */
  async finish(): Promise<void> {
    const { log } = this.#deps;
    for (let partition = 0; partition < log.partitions; partition++) {
      const end = (await log.tail(partition))?.size ?? 0;
      let [last, since] = [-1, performance.now()];
      for (;;) {
        const done = this.#running.get(partition)?.size ?? -1;
        if (done >= end) break;
        if (done > last) [last, since] = [done, performance.now()];
        if (performance.now() - since > STALLED_MS)
          throw outcomeUnknown('the keys of deleted texts could not be destroyed');
        await pause(WAIT_EVERY_MS);
      }
    }
  }

  /** The tree size of the last commit before the moment that concerns keys; 0 if none lies behind the saved progress. */
  async #lastChangeBefore({ partition, size }: Moment): Promise<number> {
    let last = 0;
    for (let { position } = await this.#placeOf(partition); ; ) {
      const commits = await this.#deps.log.read(partition, position, READ_COMMITS);
      for (const commit of commits) {
        if (commit.firstOffset >= size) return last;
        if (commit.leaves.some(isFollowed)) last = commit.size;
        position = commit.position;
      }
      if (commits.length === 0) return last;
    }
  }

  /** One look after the other. */
  #look(): void {
    this.#looking = this.#looking
      .then(() => this.#followOwned())
      .catch((err: unknown) =>
        this.#deps.logger.warn(
          { err },
          'cannot find out which deleted texts are destroyed already; trying again',
        ),
      );
  }

  async #followOwned(): Promise<void> {
    const owned = new Set(this.#deps.owned());
    for (const [partition, running] of this.#running)
      if (!owned.has(partition)) {
        this.#running.delete(partition);
        await running.stop();
      }
    const consequences = this.#consequences;
    const effects = consequences && { consequences, keepReported: this.#keepReported };
    for (const partition of owned) {
      if (!effects || this.#running.has(partition) || this.#isStopped) continue;
      const place = await this.#placeOf(partition);
      this.#running.set(partition, new PartitionDestroyer(partition, place, this.#deps, effects));
    }
    await this.#deps.texts.sweep([...this.#running.keys()]);
  }

  /** The place behind which the partition's deletions may not have been carried out. */
  async #placeOf(partition: number): Promise<Place> {
    const { log } = this.#deps;
    const size = await this.#savedProgress(partition);
    const { position: upTo = 0, size: end = 0 } = (await log.tail(partition)) ?? {};
    const position =
      size === 0
        ? 0
        : await findLastCommit(log, { partition, after: 0, upTo }, (place) => place.size <= size);
    return { position, size, end };
  }

  /** Keeps what reports of any partition name behind its saved progress, unless they are decided. */
  readonly #keepReported = async (): Promise<void> => {
    const { log, texts } = this.#deps;
    for (let partition = 0; partition < log.partitions; partition++)
      for (let { position } = await this.#placeOf(partition); ; ) {
        const commits = await log.read(partition, position, READ_COMMITS);
        if (commits.length === 0) break;
        for (const commit of commits) {
          position = commit.position;
          if (!commit.leaves.some((leaf) => isReport(leaf) || isDecision(leaf))) continue;
          // A decision may have been carried out before its report was kept here.
          for (const event of commitFrame(commit).events)
            if (event.type === 'MessageReported') await texts.keep(event);
            else if (event.type === 'ReportDecided') await texts.release(event);
        }
      }
  };

  /**
   * The progress in the vault; 0 if it is above the log, because an older log was put back and accepted. Then all
   * deletions are carried out again, which changes nothing where they were.
   */
  async #savedProgress(partition: number): Promise<number> {
    const { log, keys } = this.#deps;
    const progress = await keys.destructionProgress(partition);
    const size = (await log.tail(partition))?.size ?? 0;
    return progress > size ? 0 : progress;
  }
}
