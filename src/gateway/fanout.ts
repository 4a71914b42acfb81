import type { Logger } from 'pino';
import type { CommitFrame } from '../bus/bus.js';
import { changeOf, type SealedMessage } from '../events/changes.js';
import type { UserId } from '../events/ids.js';
import type { User } from '../events/schemas.js';
import type { Commit, EventLog } from '../log/log.js';
import type { Vector } from './cursor.js';
import type { Delivery, Joined } from './delivery.js';
import { Deque } from './deque.js';
import type { Profiles } from './profiles.js';

/** Opens message texts; `recall` answers at once for what this node has sealed or opened lately. */
export interface Texts {
  recall(sealed: string): string | undefined;
  messages(sealed: readonly SealedMessage[]): Promise<(string | null)[]>;
}

export interface FanoutDeps {
  readonly delivery: Delivery;
  readonly profiles: Profiles;
  readonly texts: Texts;
  readonly log: Pick<EventLog, 'read'>;
  readonly decode: (commit: Commit) => CommitFrame;
  readonly logger: Logger;
  /** Told of each commit when its pushes are queued: for the push latency. */
  readonly onPushed: (recordedAt: string, pushes: number) => void;
}

/** What is at hand of what a commit is joined with, and what is not. */
interface AtHand extends Joined {
  readonly users: Map<UserId, User>;
  readonly texts: Map<string, string | null>;
  readonly missingUsers: UserId[];
  readonly missingTexts: SealedMessage[];
}

/** Frames waiting behind one whose names or texts are being fetched; beyond it they are read from the log again. */
const MAX_WAITING = 1024;

/**
 * Turns commits into pushes, in order: each is derived, opened and serialised once, however many receive it, and
 * moves the node's vector. A commit that needs something that is not at hand (a name, a text sealed elsewhere)
 * holds up those behind it until it is there; answers do not wait for that.
 */
export class Fanout {
  readonly #deps: FanoutDeps;
  readonly #vector: number[];
  readonly #positions: number[];
  readonly #waiting = new Deque<CommitFrame>();
  /** By partition, the last position that was not kept: read from the log when the rest is done. */
  readonly #dropped = new Map<number, number>();
  #working = false;
  #stopped = false;
  readonly #reached = new Set<{ partition: number; size: number; resolve: () => void }>();

  /** `start`: by partition, the position and the tree size from which on it is given everything. */
  constructor(start: readonly { position: number; size: number }[], deps: FanoutDeps) {
    this.#deps = deps;
    this.#vector = start.map(({ size }) => size);
    this.#positions = start.map(({ position }) => position);
  }

  /** What this node has fanned out, by partition. */
  get vector(): Vector {
    return this.#vector;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when the vector has reached the size; the caller bounds the wait. */
  reached(partition: number, size: number): { promise: Promise<void>; cancel: () => void } {
    let cancel = () => {};
    const promise = new Promise<void>((resolve) => {
      if ((this.#vector[partition] ?? 0) >= size) return resolve();
      const waiter = { partition, size, resolve };
      this.#reached.add(waiter);
      cancel = () => this.#reached.delete(waiter);
    });
    return { promise, cancel };
  }

  /** Takes a commit from the bus; repeats are ignored, gaps are read from the log. */
  receive(frame: CommitFrame): void {
    const next = (this.#positions[frame.partition] ?? 0) + 1;
    if (frame.position < next || this.#stopped) return;
    if (!this.#working && frame.position === next) {
      const joined = this.#atHand(frame);
      if (joined.missingUsers.length + joined.missingTexts.length === 0) return this.#apply(frame, joined);
    }
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(frame);
    else this.#dropped.set(frame.partition, frame.position);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (!this.#stopped) {
      const frame = this.#waiting.shift();
      if (frame) {
        await this.#persist(frame.partition, async () => {
          await this.#catchUp(frame.partition, frame.position - 1);
          await this.#joinAndApply(frame);
        });
        continue;
      }
      const [dropped] = this.#dropped;
      if (!dropped) break;
      this.#dropped.delete(dropped[0]);
      await this.#persist(dropped[0], () => this.#catchUp(...dropped));
    }
    this.#working = false;
  }

  /** Tries until it is done: a push is late rather than lost. */
  async #persist(partition: number, step: () => Promise<void>): Promise<void> {
    for (let delay = 50; !this.#stopped; delay = Math.min(delay * 2, 1000)) {
      try {
        return await step();
      } catch (error) {
        this.#deps.logger.warn({ err: error, partition }, 'pushes are held up; trying again');
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
  }

  async #catchUp(partition: number, upTo: number): Promise<void> {
    for (
      let at = this.#positions[partition] ?? 0;
      at < upTo && !this.#stopped;
      at = this.#positions[partition] ?? 0
    ) {
      const commits = await this.#deps.log.read(partition, at, Math.min(64, upTo - at));
      if (commits.length === 0) return;
      for (const commit of commits) {
        await this.#joinAndApply(this.#deps.decode(commit));
      }
    }
  }

  async #joinAndApply(frame: CommitFrame): Promise<void> {
    if (frame.position !== (this.#positions[frame.partition] ?? 0) + 1) return;
    const joined = this.#atHand(frame);
    const [texts, users] = await Promise.all([
      this.#deps.texts.messages(joined.missingTexts),
      this.#deps.profiles.load(joined.missingUsers),
    ]);
    joined.missingTexts.forEach(({ text }, i) => {
      joined.texts.set(text, texts[i] ?? null);
    });
    for (const user of joined.missingUsers) {
      const found = users.get(user);
      if (!found) throw new Error(`the read models do not have user ${user} yet`);
      joined.users.set(user, found);
    }
    this.#apply(frame, joined);
  }

  #atHand(frame: CommitFrame): AtHand {
    const joined: AtHand = { users: new Map(), texts: new Map(), missingUsers: [], missingTexts: [] };
    for (const event of frame.events) {
      const change = changeOf(event);
      if (change?.push === 'send message') {
        const { text } = change.message;
        const opened = this.#deps.texts.recall(text);
        if (opened === undefined) joined.missingTexts.push(change.message);
        else joined.texts.set(text, opened);
      } else if (change?.push === 'add friend' || change?.push === 'init chat')
        for (const user of change.members) {
          const known = this.#deps.profiles.known(user);
          if (known) joined.users.set(user, known);
          else joined.missingUsers.push(user);
        }
    }
    return joined;
  }

  #apply(frame: CommitFrame, joined: Joined): void {
    const { partition } = frame;
    this.#positions[partition] = frame.position;
    for (const event of frame.events) {
      this.#vector[partition] = event.offset + 1;
      this.#deps.delivery.deliver(event, this.#vector, joined);
    }
    this.#vector[partition] = frame.size;
    this.#deps.onPushed(frame.recordedAt, frame.events.length);
    if (this.#reached.size > 0)
      for (const waiter of this.#reached)
        if ((this.#vector[waiter.partition] ?? 0) >= waiter.size) {
          this.#reached.delete(waiter);
          waiter.resolve();
        }
  }
}
