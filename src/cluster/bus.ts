import { z } from 'zod';
import { decodeLeaf } from '../domain/codec.js';
import { type Recorded, subjectOf } from '../domain/events.js';
import type { UserId } from '../domain/ids.js';
import type { Commit } from '../log/log.js';

/** A process, from its start to its end: a new UUID each time. */
export type NodeId = string;

/** A durable commit on its way to gateways and projections. Its arrival decides nothing: the log does. */
export interface CommitFrame extends Commit {
  /** The audiences of its events, each user once. */
  readonly concerns: readonly UserId[];
  /**
   * The users whose presence its events change. Such events have no audience: they concern the users who
   * watch these.
   */
  readonly subjects: readonly UserId[];
  /** The decoded leaves. Decoded on first access, which may throw `UnknownEventType`. */
  readonly events: readonly Recorded[];
}

/** The outcome of a request: see `RequestChannel.request`. */
export type Reply = { readonly reply: unknown } | 'undelivered' | 'unanswered';

/** Requests from this node to others. */
export interface RequestChannel {
  /** This node. */
  readonly node: NodeId;
  /** Always true in a single process. */
  readonly isConnected: boolean;
  /** Calls the handler at each change. Returns the function that unsubscribes it. */
  onConnectionChange(handler: (isConnected: boolean) => void): () => void;
  /**
   * Sends a request to one node. Requests from one node to another are delivered in the order of the calls.
   * - `undelivered`: certainly not handed over. The node is not connected, does not exist or is at its request limit.
   * - `unanswered`: no reply within `timeoutMs`, or the handler threw. The request may have been handled, or may yet be.
   */
  request(to: NodeId, body: unknown, timeoutMs: number): Promise<Reply>;
}

/**
 * Messages between the nodes of one log: notifications and a fast path. Nothing may depend on delivery. Between nodes a
 * message can be lost; a frame can also arrive twice or late. So a consumer checks positions and reads missing commits
 * from the log. Bodies and replies are JSON values. Nothing is stored for a node that is not connected.
 */
export interface Bus extends RequestChannel {
  /** Sends a durable commit to all nodes. The handlers of this node run before it returns. */
  publish(frame: CommitFrame): void;
  /** Returns the function that unsubscribes the handler. */
  subscribe(handler: (frame: CommitFrame) => void): () => void;
  /** Sends a note to every other node. */
  broadcast(note: Note): void;
  /** Returns the function that unsubscribes the handler. */
  onNote(handler: (note: Note, from: NodeId) => void): () => void;
  /** Handles the requests to this node, started in order of arrival. Throws if a handler is set already. */
  serve(handler: (body: unknown, from: NodeId) => Promise<unknown>): () => void;
  /** Sends what was published before, then calls no handler and sends nothing more. */
  close(): Promise<void>;
}

/** Creates the frame of a commit. `decoded` are its events, if the caller has them. */
export function commitFrame(commit: Commit, decoded?: readonly Recorded[]): CommitFrame {
  let events = decoded;
  let concerns: readonly UserId[] | undefined;
  let subjects: readonly UserId[] | undefined;
  return {
    ...commit,
    get events() {
      events ??= decodeEvents(commit);
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

/** Decodes the leaves of a commit. Throws `UnknownEventType`. */
export function decodeEvents({ partition, firstOffset, leaves }: Commit): Recorded[] {
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

/** A message to all other nodes. Nothing may depend on its arrival. */
export const Note = z.discriminatedUnion('kind', [
  /** The last position and tree size of each partition the sender owns; sent once a second. */
  z.object({
    kind: z.literal('logTails'),
    tails: z.array(z.tuple([partition, z.int().min(0), size]).readonly()).readonly(),
  }),
  /** Leases have changed hands: the receiver should rebalance. */
  z.object({ kind: z.literal('rebalance') }),
  /** By partition, the tree size up to which the sender has stored all these tables. */
  z.object({
    kind: z.literal('progress'),
    tables: z.array(z.string()).readonly(),
    advances: z.array(z.tuple([partition, size]).readonly()).readonly(),
  }),
  /** To the partition's owner: a user waits for the read models to reach this size. */
  z.object({ kind: z.literal('requestProgress'), partition, size }),
  /** The ids of revoked sessions. */
  z.object({ kind: z.literal('revokedSessions'), sessions: z.array(z.string()).readonly() }),
  /** A user starts or stops typing in a room; for the users in `to`. */
  z.object({
    kind: z.literal('typing'),
    to: z.array(z.string()).readonly(),
    roomId: z.string(),
    userId: z.string(),
    isTyping: z.boolean(),
  }),
]);
export type Note = z.infer<typeof Note>;
