import { z } from 'zod';
import { decodeLeaf } from '../domain/codec.js';
import type { Recorded } from '../domain/events.js';
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

/** The commit as it goes out; `decoded` are its events, where they are at hand. */
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

/** The commit's leaves, decoded. Throws `UnknownEventType`. */
export function decodeEvents({ partition, firstOffset, leaves }: Commit): Recorded[] {
  return leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i));
}

function subjectsOf(events: readonly Recorded[]): UserId[] {
  const users = new Set<UserId>();
  for (const event of events)
    if (event.type === 'UserWentOnline' || event.type === 'UserWentOffline') users.add(event.data.userId);
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
