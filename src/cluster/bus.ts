import { z } from 'zod';
import { decodeLeaf } from '../domain/codec.js';
import { type Recorded, subjectOf } from '../domain/events.js';
import type { UserId } from '../domain/ids.js';
import type { Commit } from '../log/log.js';

/** A process, from its start to its end: a new UUID each time. */
export type NodeId = string;

/** A durable commit on its way to the gateways and projectors: never what decides whether it exists. */
export interface CommitFrame extends Commit {
  /** The audiences of its events: each user once. */
  readonly concerns: readonly UserId[];
  /** Whom its presence events are about: they have no audience, and concern those who watch these. */
  readonly subjects: readonly UserId[];
  /** Its leaves, decoded when first asked for: then it may throw `UnknownEventType`. */
  readonly events: readonly Recorded[];
}

/** What came of a request: see `Bus.request`. */
export type Reply = { readonly reply: unknown } | 'nobody' | 'silent';

/**
 * What connects the nodes of one log: a doorbell and a fast path, never what anything depends on. Between nodes all
 * may be lost, frames may also come repeated or late; so every consumer checks contiguity and reads from the log what
 * it missed. Bodies and replies are JSON values. Nothing is kept for a node that is not connected.
 */
export interface Bus {
  readonly node: NodeId;
  /** Tells all nodes of a durable commit; the handlers of this one run at once, in the caller's turn. */
  publish(frame: CommitFrame): void;
  /** Returns the function that ends the subscription. */
  subscribe(handler: (frame: CommitFrame) => void): () => void;
  /** Tells every other node. */
  tell(note: Note): void;
  /** Returns the function that ends the subscription. */
  hear(handler: (note: Note, from: NodeId) => void): () => void;
  /**
   * Asks one node. `nobody`: surely not handed over (not connected, no such node, or it has too much under way).
   * `silent`: no reply in time, or a handler that failed; it may have been taken, or may still be. Requests of one
   * node to another are handed over in the order of the calls.
   */
  request(to: NodeId, body: unknown, timeoutMs: number): Promise<Reply>;
  /** Answers what this node is asked; calls start in order. Throws when there is a handler already. */
  serve(handler: (body: unknown, from: NodeId) => Promise<unknown>): () => void;
  /** In one process: always. */
  readonly isConnected: boolean;
  /** Called at each change. Returns the function that ends it. */
  onConnection(handler: (isConnected: boolean) => void): () => void;
  /** Sends what was given to it, then nothing more; handlers are called no more. */
  close(): Promise<void>;
}

/** The commit as it goes out; `decoded` are its events, where they are at hand. */
export function commitFrame(commit: Commit, decoded?: readonly Recorded[]): CommitFrame {
  let events = decoded;
  let concerns: readonly UserId[] | undefined;
  let subjects: readonly UserId[] | undefined;
  return {
    ...commit,
    get events() {
      events ??= eventsOf(commit);
      return events;
    },
    get concerns() {
      concerns ??= [...new Set(this.events.flatMap(({ audience }) => audience))];
      return concerns;
    },
    get subjects() {
      subjects ??= subjectsOf(this.events);
      return subjects;
    },
  };
}

/** The commit's leaves, decoded. Throws `UnknownEventType`. */
export function eventsOf({ partition, firstOffset, leaves }: Commit): Recorded[] {
  return leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i));
}

function subjectsOf(events: readonly Recorded[]): UserId[] {
  const users = new Set<UserId>();
  for (const event of events) {
    const subject = subjectOf(event);
    if (subject !== undefined) users.add(subject);
  }
  return [...users];
}

const partition = z.int().min(0);
const size = z.int().min(0);

/** What nodes tell each other in passing: nothing depends on its arrival. */
export const Note = z.discriminatedUnion('kind', [
  /** Of the partitions that the sender owns, their last position and tree size; once a second. */
  z.object({
    kind: z.literal('tails'),
    tails: z.array(z.tuple([partition, z.int().min(0), size]).readonly()).readonly(),
  }),
  /** Leases have changed hands: look. */
  z.object({ kind: z.literal('owners') }),
  /** By table and partition, the tree size up to which whoever folds it has stored a read model. */
  z.object({
    kind: z.literal('progress'),
    advances: z.array(z.tuple([z.string(), partition, size]).readonly()).readonly(),
  }),
  /** To the partition's owner: somebody waits for the read models to reach this size. */
  z.object({ kind: z.literal('want'), partition, size }),
  /** The ids of sessions that have ended. */
  z.object({ kind: z.literal('ended'), sessions: z.array(z.string()).readonly() }),
  /** A user begins or stops typing in a room; for the users in `to`. */
  z.object({
    kind: z.literal('typing'),
    to: z.array(z.string()).readonly(),
    roomId: z.string(),
    userId: z.string(),
    isTyping: z.boolean(),
  }),
]);
export type Note = z.infer<typeof Note>;

/** Requests under way at once on one node, and their size in bytes; what goes beyond is not taken. */
const MAX_UNDER_WAY = 1024;
const MAX_BYTES_UNDER_WAY = 32 * 1024 * 1024;

type Handler = Parameters<Bus['serve']>[0];

/** What a node does with the requests made to it. */
export class Serving {
  readonly #report: (message: string, error: unknown) => void;
  #handler: Handler | undefined;
  #underWay = 0;
  #bytes = 0;
  #isClosed = false;

  constructor(report: (message: string, error: unknown) => void) {
    this.#report = report;
  }

  /** As `Bus.serve`. */
  serve(handler: Handler): () => void {
    if (this.#handler) throw new Error('requests to this node have a handler already');
    this.#handler = handler;
    return () => {
      if (this.#handler === handler) this.#handler = undefined;
    };
  }

  /** Takes nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Hands a request of so many bytes to the handler, in the caller's turn, and says what came of it, however late. */
  async answer(body: unknown, from: NodeId, bytes: number): Promise<Reply> {
    const isFull = this.#underWay >= MAX_UNDER_WAY || this.#bytes + bytes > MAX_BYTES_UNDER_WAY;
    if (!this.#handler || this.#isClosed || isFull) return 'nobody';
    this.#underWay++;
    this.#bytes += bytes;
    try {
      return { reply: await this.#handler(body, from) };
    } catch (error) {
      this.#report(`a request of node ${from} failed`, error);
      return 'silent';
    } finally {
      this.#underWay--;
      this.#bytes -= bytes;
    }
  }
}

/** The answer, or `silent` when it takes longer. */
export async function within(timeoutMs: number, answer: Promise<Reply>): Promise<Reply> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'silent'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'silent');
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
