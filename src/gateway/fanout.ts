import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Metrics } from '../base/metrics.js';
import { type CommitFrame, commitFrame, type Receivers, type RoomsOfCommit } from '../cluster/bus.js';
import type { Moment } from '../domain/commands.js';
import {
  type Audience,
  isGroupAudience,
  isStoredPush,
  type SealedMessage,
  type StoredPush,
} from '../domain/defineEvent.js';
import { pushesOf, type Recorded, shownBy, tieOf } from '../domain/events.js';
import { isGroupId, parseStream, type RoomId, type StreamName, type UserId } from '../domain/ids.js';
import type { EventLog } from '../log/log.js';
import { follow, type TailReader } from '../log/logReader.js';
import type { Queries } from '../projections/queries.js';
import type { Vector } from './cursor.js';
import { type ContentSources, type Delivery, PushContent, type PushedEvent } from './delivery.js';
import type { GroupIndex } from './groupIndex.js';
import type { RoomMembers } from './membersAndProfiles.js';
import type { Relations } from './relations.js';
import type { Ring } from './ring.js';

/** Callers that wait until a vector reaches a size. */
class SizeWaiters {
  readonly waiting = new Set<{ partition: number; size: number; resolve: () => void }>();

  /** Resolves when `vector`, or a later one given to `notify`, has reached the size; the caller bounds the wait. */
  reached(vector: Vector, partition: number, size: number): { promise: Promise<void>; cancel: () => void } {
    let cancel = () => {};
    const promise = new Promise<void>((resolve) => {
      if ((vector[partition] ?? 0) >= size) return resolve();
      const waiter = { partition, size, resolve };
      this.waiting.add(waiter);
      cancel = () => this.waiting.delete(waiter);
    });
    return { promise, cancel };
  }

  notify(vector: Vector): void {
    for (const waiter of this.waiting)
      if ((vector[waiter.partition] ?? 0) >= waiter.size) {
        this.waiting.delete(waiter);
        waiter.resolve();
      }
  }
}

/** Tells which users this node sends or keeps pushes for, and whose presence its users are shown. */
export interface Interest {
  readonly groups: Pick<GroupIndex, 'hasMembers' | 'fold'>;
  readonly ring: Pick<Ring, 'hosts'>;
  readonly relations: Pick<Relations, 'isWatched'>;
}

/** Receives reports of the fan-out. */
export interface FanoutObserver {
  readonly logger: Logger;
  /** Told of each commit that concerns a user of this node when its pushes are queued. */
  readonly metrics: Pick<Metrics, 'observePush'>;
  /** Called when the log says that a user of interest went offline, before the pushes of it. */
  readonly onOffline: (user: UserId) => void;
  /** Called when an event has changed a profile, of whomever. */
  readonly onProfileChange: (user: UserId, event: Recorded) => void;
  /** Called when a partition cannot be followed further: a hole, a broken store, or an unknown type of event. */
  readonly onStop: (error: unknown) => void;
}

export interface FanoutDeps {
  readonly delivery: Pick<Delivery, 'deliver'>;
  readonly interest: Interest;
  readonly content: ContentSources;
  readonly source: FanoutSource;
  readonly observer: FanoutObserver;
}

/** Where the fan-out reads commits that the bus did not bring, with the members of their rooms and shown messages. */
export interface FanoutSource {
  readonly log: Pick<EventLog, 'read'>;
  readonly rooms: Pick<RoomMembers, 'members'>;
  readonly queries: Pick<Queries, 'messagesAt'>;
}

/** A place in a partition: its last position, and the size of the tree there. */
export interface Place {
  readonly position: number;
  readonly size: number;
}

/** The places of the log's partitions now. */
export function placesOf(log: Pick<EventLog, 'partitions' | 'tail'>): Promise<Place[]> {
  const places = Array.from({ length: log.partitions }, async (_, partition) => {
    const tail = await log.tail(partition);
    return { position: tail?.position ?? 0, size: tail?.size ?? 0 };
  });
  return Promise.all(places);
}

const nobody: readonly UserId[] = [];

/** A commit with its pushes, and the content of those to users of this node. */
interface DerivedCommit {
  readonly frame: CommitFrame;
  readonly events: readonly PushedEvent[];
  readonly content: PushContent;
  /** The groups that users of this node join by this commit: they get its later pushes. */
  readonly joined: ReadonlySet<RoomId>;
}

const nowhere: ReadonlySet<RoomId> = new Set();

/**
 * Turns commits into pushes, in the order of each partition, and advances the node's vector. A push is derived,
 * opened and serialised once for all its receivers. A commit that concerns no user of this node is not decoded. A
 * commit may need content that is not in memory: a name, or a text sealed on another node. It then delays the later
 * commits of its partition, but no answers. Commits that the bus does not bring are read from the log.
 */
export class Fanout {
  readonly #deps: FanoutDeps;
  /** By partition, the size up to which this node has fanned out. */
  readonly vector: Vector;
  /** The same array as `vector`. */
  readonly #vector: number[];
  /** By partition, how far the log is known to reach. */
  readonly #heads: Place[];
  readonly #readers: readonly TailReader<CommitFrame>[];
  readonly #waiters = new SizeWaiters();
  readonly #ending = new AbortController();

  /** `start`: by partition, the place after which commits are followed. */
  constructor(start: readonly Place[], deps: FanoutDeps) {
    this.#deps = deps;
    this.#vector = start.map(({ size }) => size);
    this.vector = this.#vector;
    this.#heads = [...start];
    this.#readers = start.map(({ position }, partition) =>
      follow<CommitFrame>(
        {
          partition,
          after: position,
          read: async (after, limit) =>
            (await deps.source.log.read(partition, after, limit)).map((commit) => commitFrame(commit)),
        },
        {
          handle: this.#handle,
          onStop: deps.observer.onStop,
          onReadError: (error) =>
            deps.observer.logger.warn({ err: error, partition }, 'the log cannot be read; pushes are late'),
        },
      ),
    );
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#readers.map((reader) => reader.stop()));
  }

  /** Resolves when the vector has reached the size; the caller bounds the wait. */
  reached(partition: number, size: number): { promise: Promise<void>; cancel: () => void } {
    return this.#waiters.reached(this.#vector, partition, size);
  }

  /** Takes a commit from the bus, in the caller's turn if it is the next one. Ignores repeats. */
  readonly receive = (frame: CommitFrame): void => {
    this.#noteHead(frame);
    this.#readers[frame.partition]?.notify(frame);
  };

  /** Reads the missing commits up to this position, which the partition is known to reach. */
  noteTail(partition: number, position: number): void {
    this.#readers[partition]?.notifyTail(position);
  }

  /** How far the partition is known to reach. */
  head(partition: number): Place {
    return this.#heads[partition] ?? { position: 0, size: 0 };
  }

  #noteHead({ partition, position, size }: CommitFrame): void {
    if (position > (this.#heads[partition]?.position ?? 0)) this.#heads[partition] = { position, size };
  }

  // Runs synchronously if all content is in memory. Then a commit is pushed in the turn in which it arrives.
  readonly #handle = (frame: CommitFrame): void | Promise<void> => {
    if (!frame.members) return this.#fetchMembers(frame);
    if (frame.receivers && !this.#isAnyHere(frame.receivers)) return this.#move(frame);
    const commit = this.#derive(frame, frame.members);
    if (!commit) return this.#move(frame);
    return commit.content.missing === 0 ? this.#apply(commit) : this.#fetch(commit);
  };

  /** Only of commits that were read from the log: writers send the members along. One a turn, to pace the pushes. */
  async #fetchMembers(frame: CommitFrame): Promise<void> {
    let found: Pick<CommitFrame, 'members' | 'messages'> | undefined;
    this.#noteHead(frame);
    await this.#retry(frame, async () => {
      found = { members: await this.#membersIn(frame), messages: await this.#messagesIn(frame) };
      return true;
    });
    if (found) await this.#handle({ ...frame, ...found });
    await nextTurn();
  }

  /** The messages that pushes of the commit show, as they are now. */
  async #messagesIn({ events, partition, size }: CommitFrame): Promise<Map<number, SealedMessage>> {
    const messages = new Map<number, SealedMessage>();
    for (const event of events) {
      const shown = shownBy(event);
      if (!shown) continue;
      const at = [{ partition, size }];
      const [message] = await this.#deps.source.queries.messagesAt(shown.roomId, [shown.seq], at);
      if (message) messages.set(event.offset, message);
    }
    return messages;
  }

  async #membersIn({ events, partition, size }: CommitFrame): Promise<RoomsOfCommit> {
    const streams = new Set<StreamName>(events.map(({ stream }) => stream));
    const found = new Map<StreamName, Audience>();
    for (const stream of streams) {
      const { kind, id } = parseStream(stream);
      if (kind !== 'room') continue;
      if (isGroupId(id)) {
        found.set(stream, { group: id });
        continue;
      }
      const members = await this.#deps.source.rooms.members(id, [{ partition, size }]);
      if (members) found.set(stream, members);
    }
    return found;
  }

  #isAnyHere({ concerns, subjects, profiles }: Receivers): boolean {
    const { ring, relations, groups } = this.#deps.interest;
    return (
      profiles.length > 0 ||
      concerns.some((id) => ring.hosts(id) || groups.hasMembers(id)) ||
      subjects.some((user) => relations.isWatched(user) || ring.hosts(user))
    );
  }

  /** The pushes of a commit, and their content as far as it is in memory. Undefined: none is for a user of this node. */
  #derive(frame: CommitFrame, members: RoomsOfCommit): DerivedCommit | undefined {
    const { ring, relations } = this.#deps.interest;
    const events: PushedEvent[] = [];
    let isOurs = false;
    const { partition, size } = frame;
    const content = new PushContent(this.#deps.content, frame.texts, () => this.#moments(partition, size));
    let joined = nowhere;
    for (const event of frame.events) {
      // A push shows a message as its event says: whatever changes it later is pushed later.
      const message = frame.messages?.get(event.offset);
      const room = members.get(event.stream) ?? nobody;
      const scene = message ? { members: room, message } : { members: room };
      const [pushes, tie] = [pushesOf(event, scene), tieOf(event, scene)];
      events.push({ event, pushes, tie });
      if (event.type === 'MemberJoined' && ring.hosts(event.data.userId))
        joined = new Set([...joined, event.data.roomId]);
      if (tie) isOurs ||= ring.hosts(tie.by) || ring.hosts(tie.other);
      for (const push of pushes)
        if ('about' in push) isOurs ||= relations.isWatched(push.about) || ring.hosts(push.about);
        else if ('profileOf' in push) isOurs = true;
        else if (this.#isForAnyHere(push, joined)) {
          content.want(push);
          isOurs = true;
        }
    }
    return isOurs ? { frame, events, content, joined } : undefined;
  }

  /** What chats are shown as of: what was pushed, and the commit itself. */
  #moments(of: number, size: number): Moment[] {
    return this.#vector.map((pushed, partition) => ({
      partition,
      size: partition === of ? Math.max(pushed, size) : pushed,
    }));
  }

  #isForAnyHere({ to }: StoredPush, joined: ReadonlySet<RoomId>): boolean {
    const { ring, groups } = this.#deps.interest;
    if (isGroupAudience(to))
      return (
        groups.hasMembers(to.group) ||
        joined.has(to.group) ||
        (to.and?.some((user) => ring.hosts(user)) ?? false)
      );
    for (const user of to) if (ring.hosts(user)) return true;
    return false;
  }

  async #fetch(commit: DerivedCommit): Promise<void> {
    do
      await this.#retry(commit.frame, async () => {
        await commit.content.load();
        return true;
      });
    while (!this.#hasAll(commit) && !this.#ending.signal.aborted);
    this.#apply(commit);
  }

  /** Whether all content is in memory. A user may have connected meanwhile whom other events of the commit concern. */
  #hasAll({ events, content, joined }: DerivedCommit): boolean {
    for (const { pushes } of events)
      for (const push of pushes)
        if (isStoredPush(push) && this.#isForAnyHere(push, joined)) content.want(push);
    return content.missing === 0;
  }

  /** Tries until `attempt` returns true, or the fan-out ends: a push is late rather than lost. */
  async #retry({ partition }: CommitFrame, attempt: () => Promise<boolean>): Promise<void> {
    const { signal } = this.#ending;
    for (let delay = 50; !signal.aborted; ) {
      try {
        if (await attempt()) return;
      } catch (error) {
        this.#deps.observer.logger.warn({ err: error, partition }, 'pushes are held up; trying again');
        await pause(delay, undefined, { signal }).catch(() => undefined); // The fan-out is ending.
        delay = Math.min(delay * 2, 1000);
      }
    }
  }

  #apply({ frame, events, content }: DerivedCommit): void {
    if (this.#ending.signal.aborted) return;
    const { delivery, observer, interest } = this.#deps;
    const { groups } = interest;
    for (const { event, pushes, tie } of events) {
      // Who has just joined gets this event, and who has left gets no later one.
      groups.fold(event);
      this.#vector[frame.partition] = event.offset + 1;
      if (event.type === 'UserWentOffline') observer.onOffline(event.data.userId);
      delivery.deliver({ event, pushes, tie, content }, this.#vector);
      for (const push of pushes) if ('profileOf' in push) observer.onProfileChange(push.profileOf, event);
    }
    this.#move(frame);
    observer.metrics.observePush(frame);
  }

  #move({ partition, size }: CommitFrame): void {
    this.#vector[partition] = size;
    if (this.#waiters.waiting.size > 0) this.#waiters.notify(this.#vector);
  }
}
