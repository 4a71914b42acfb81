import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type CommitFrame, commitFrame } from '../cluster/bus.js';
import type { User } from '../domain/contract.js';
import type { Recorded } from '../domain/events.js';
import type { UserId } from '../domain/ids.js';
import { changeOf, type SealedMessage } from '../domain/pushes.js';
import type { EventLog } from '../log/log.js';
import { follow, type TailReader } from '../log/logReader.js';
import type { Vector } from './cursor.js';
import type { Delivery, Joined } from './delivery.js';
import type { Profiles } from './directory.js';

/** Who waits for a vector to reach a size. */
class Marks {
  readonly #waiting = new Set<{ partition: number; size: number; resolve: () => void }>();

  /** Resolves when `vector`, or what `moved` is told later, has reached the size; the caller bounds the wait. */
  reached(vector: Vector, partition: number, size: number): { promise: Promise<void>; cancel: () => void } {
    let cancel = () => {};
    const promise = new Promise<void>((resolve) => {
      if ((vector[partition] ?? 0) >= size) return resolve();
      const waiter = { partition, size, resolve };
      this.#waiting.add(waiter);
      cancel = () => this.#waiting.delete(waiter);
    });
    return { promise, cancel };
  }

  moved(vector: Vector): void {
    for (const waiter of this.#waiting)
      if ((vector[waiter.partition] ?? 0) >= waiter.size) {
        this.#waiting.delete(waiter);
        waiter.resolve();
      }
  }
}

/** Opens message texts; `take` answers at once for what this node has sealed or opened lately, once. */
export interface Texts {
  take(sealed: string): string | undefined;
  messages(sealed: readonly SealedMessage[]): Promise<(string | null)[]>;
}

/** Whose pushes this node sends or keeps, and whose presence concerns anybody here. */
export interface Interest {
  hosts(user: UserId): boolean;
  isWatched(subject: UserId): boolean;
}

export interface FanoutDeps {
  readonly delivery: Pick<Delivery, 'deliver'>;
  readonly interest: Interest;
  readonly profiles: Pick<Profiles, 'known' | 'load'>;
  readonly texts: Texts;
  readonly log: Pick<EventLog, 'read'>;
  readonly logger: Logger;
  /** Told of each event of a commit that concerns somebody here, before it is delivered. */
  readonly onEvent: (event: Recorded) => void;
  /** Told of each such commit when its pushes are queued: for the push latency. */
  readonly onPushed: (recordedAt: string) => void;
  /** A partition can be followed no further: a hole, a broken store, an event of a type that is not known here. */
  readonly onStop: (error: unknown) => void;
}

/** What is at hand of what a commit is joined with, and what is not. */
interface AtHand extends Joined {
  readonly users: Map<UserId, User>;
  readonly texts: Map<string, string | null>;
  readonly missingUsers: UserId[];
  readonly missingTexts: SealedMessage[];
}

/** A place in a partition: its last position, and the size of the tree there. */
interface Place {
  readonly position: number;
  readonly size: number;
}

/**
 * Turns commits into pushes, each partition's in order: each is derived, opened and serialised once, however many
 * receive it, and moves the node's vector. A commit that concerns nobody here is not even decoded. One that needs
 * something that is not at hand (a name, a text sealed elsewhere) holds up those behind it in its partition until it
 * is there; answers do not wait for that. What the bus does not bring is read from the log.
 */
export class Fanout {
  readonly #deps: FanoutDeps;
  readonly #vector: number[];
  /** By partition, how far the log is known to reach. */
  readonly #heads: Place[];
  readonly #readers: readonly TailReader<CommitFrame>[];
  readonly #marks = new Marks();
  readonly #ending = new AbortController();

  /** `start`: by partition, the place from which on everything is followed. */
  constructor(start: readonly Place[], deps: FanoutDeps) {
    this.#deps = deps;
    this.#vector = start.map(({ size }) => size);
    this.#heads = [...start];
    this.#readers = start.map(({ position }, partition) =>
      follow<CommitFrame>(
        {
          partition,
          after: position,
          read: async (after, limit) =>
            (await deps.log.read(partition, after, limit)).map((commit) => commitFrame(commit)),
        },
        {
          handle: (frame) => this.#handle(frame),
          onStop: deps.onStop,
          onReadError: (error) =>
            deps.logger.warn({ err: error, partition }, 'the log cannot be read; pushes are late'),
        },
      ),
    );
  }

  /** What this node has fanned out, by partition. */
  get vector(): Vector {
    return this.#vector;
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#readers.map((reader) => reader.stop()));
  }

  /** Resolves when the vector has reached the size; the caller bounds the wait. */
  reached(partition: number, size: number): { promise: Promise<void>; cancel: () => void } {
    return this.#marks.reached(this.#vector, partition, size);
  }

  /** Takes a commit from the bus, in the caller's turn where it is the next; repeats are ignored. */
  receive(frame: CommitFrame): void {
    this.#headed(frame);
    this.#readers[frame.partition]?.notify(frame);
  }

  /** The partition reaches this position: what is missing up to there is read. */
  hear(partition: number, position: number): void {
    this.#readers[partition]?.notifyTail(position);
  }

  /** How far the partition is known to reach. */
  head(partition: number): Place {
    return this.#heads[partition] ?? { position: 0, size: 0 };
  }

  #headed({ partition, position, size }: CommitFrame): void {
    if (position > this.head(partition).position) this.#heads[partition] = { position, size };
  }

  // Synchronous where all is at hand: the doorbell's frames are then pushed in its own turn.
  #handle(frame: CommitFrame): void | Promise<void> {
    this.#headed(frame);
    if (!this.#isOurs(frame)) return this.#move(frame);
    const joined = this.#join(frame);
    return isWhole(joined) ? this.#apply(frame, joined) : this.#fetch(frame, joined);
  }

  #isOurs({ concerns, subjects }: CommitFrame): boolean {
    const { interest } = this.#deps;
    return (
      concerns.some((user) => interest.hosts(user)) ||
      subjects.some((user) => interest.isWatched(user) || interest.hosts(user))
    );
  }

  /** Tries until it is done: a push is late rather than lost. */
  async #fetch(frame: CommitFrame, joined: AtHand): Promise<void> {
    const { signal } = this.#ending;
    for (let delay = 50, at = joined; !signal.aborted; ) {
      if (isWhole(at)) return this.#apply(frame, at);
      try {
        await this.#load(at);
        // Meanwhile somebody may have connected whom more of it concerns.
        at = this.#join(frame, at);
      } catch (error) {
        const { partition } = frame;
        this.#deps.logger.warn({ err: error, partition }, 'pushes are held up; trying again');
        await pause(delay, undefined, { signal }).catch(() => undefined); // It is ending.
        delay = Math.min(delay * 2, 1000);
      }
    }
  }

  async #load({ users, texts, missingUsers, missingTexts }: AtHand): Promise<void> {
    const [opened, profiles] = await Promise.all([
      this.#deps.texts.messages(missingTexts),
      this.#deps.profiles.load(missingUsers),
    ]);
    missingTexts.forEach(({ text }, i) => {
      texts.set(text, opened[i] ?? null);
    });
    for (const user of missingUsers) {
      const found = profiles.get(user);
      if (!found) throw new Error(`the read models do not have user ${user} yet`);
      users.set(user, found);
    }
  }

  /** `before`: what has been fetched for it. */
  #join(frame: CommitFrame, before?: AtHand): AtHand {
    const { texts, profiles, interest } = this.#deps;
    const joined: AtHand = {
      users: before?.users ?? new Map(),
      texts: before?.texts ?? new Map(),
      missingUsers: [],
      missingTexts: [],
    };
    for (const event of frame.events) {
      const change = changeOf(event);
      if (change?.push === 'send message') {
        const { text } = change.message;
        if (joined.texts.has(text) || !change.to.some((user) => interest.hosts(user))) continue;
        const opened = texts.take(text);
        if (opened === undefined) joined.missingTexts.push(change.message);
        else joined.texts.set(text, opened);
      } else if (change?.push === 'add friend' || change?.push === 'init chat')
        for (const user of change.members) {
          if (joined.users.has(user) || !change.to.some((member) => interest.hosts(member))) continue;
          const known = profiles.known(user);
          if (known) joined.users.set(user, known);
          else joined.missingUsers.push(user);
        }
    }
    return joined;
  }

  #apply(frame: CommitFrame, joined: Joined): void {
    if (this.#ending.signal.aborted) return;
    for (const event of frame.events) {
      this.#vector[frame.partition] = event.offset + 1;
      this.#deps.onEvent(event);
      this.#deps.delivery.deliver(event, this.#vector, joined);
    }
    this.#move(frame);
    this.#deps.onPushed(frame.recordedAt);
  }

  #move({ partition, size }: CommitFrame): void {
    this.#vector[partition] = size;
    this.#marks.moved(this.#vector);
  }
}

const isWhole = ({ missingUsers, missingTexts }: AtHand): boolean =>
  missingUsers.length + missingTexts.length === 0;
