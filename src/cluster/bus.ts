import { z } from 'zod';
import { decodeLeaf } from '../domain/codec.js';
import { type Audience, isGroupAudience, type SealedMessage } from '../domain/defineEvent.js';
import { pushesOf, type Recorded, tieOf } from '../domain/events.js';
import type { RoomId, StreamName, UserId } from '../domain/ids.js';
import type { Commit } from '../log/log.js';
import { REVOCATION_CAUSES } from '../vault/vault.js';

/** A process, from its start to its end: a new UUID each time. */
export type NodeId = string;

/** A durable commit on its way to gateways and projections. Its arrival decides nothing: the log does. */
export interface CommitFrame extends Commit {
  /** By stream, the members of the rooms of its events. Undefined of a commit that was read from the log. */
  readonly members: RoomsOfCommit | undefined;
  /** By offset, the messages that pushes of its events show: see `EventSpec.showsMessage`. Comes with `members`. */
  readonly messages?: ReadonlyMap<number, SealedMessage> | undefined;
  /** The texts of its events, by their sealed form, as far as the writer of this process has just sealed them. */
  readonly texts?: ReadonlyMap<string, string> | undefined;
  /** Comes with a commit from another node, so that most nodes need not decode it. Otherwise see `receiversOf`. */
  readonly receivers?: Receivers | undefined;
  /** The decoded leaves. If they are not at hand, they are decoded on access, which may throw `UnknownEventType`. */
  readonly events: readonly Recorded[];
}

/** The users whom a commit's pushes are for. */
export interface Receivers {
  /**
   * The users whom its events are pushed to, or make something to each other, and the groups whose members they are
   * pushed to. Each is named once.
   */
  readonly concerns: readonly (UserId | RoomId)[];
  /** The users whose presence its events change, for those who watch them. */
  readonly subjects: readonly UserId[];
  /** The users whose profiles its events change: every node may have them in memory. */
  readonly profiles: readonly UserId[];
}

/** Of a group only that it is one. */
export type RoomsOfCommit = ReadonlyMap<StreamName, Audience>;

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

/** The frame of a commit that was read or is empty: its events are decoded when they are asked for. */
export function commitFrame(commit: Commit, members?: RoomsOfCommit): CommitFrame {
  let decoded: readonly Recorded[] | undefined;
  return {
    ...commit,
    members,
    get events() {
      decoded ??= decodeEvents(commit);
      return decoded;
    },
  };
}

/** Decodes the leaves of a commit. Throws `UnknownEventType`. */
export function decodeEvents({ partition, firstOffset, leaves }: Commit): Recorded[] {
  return leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i));
}

const nobody: readonly UserId[] = [];

/** The users whom the commit's pushes are for. Throws while its `members` are undefined. */
export function receiversOf(frame: CommitFrame): Receivers {
  if (frame.receivers) return frame.receivers;
  const { events, members } = frame;
  if (!members) throw new Error('the members of the rooms of this commit are not known');
  const concerns = new Set<UserId | RoomId>();
  const subjects = new Set<UserId>();
  const profiles = new Set<UserId>();
  for (const event of events) {
    const scene = { members: members.get(event.stream) ?? nobody };
    const tie = tieOf(event, scene);
    if (tie) concerns.add(tie.by).add(tie.other);
    for (const push of pushesOf(event, scene))
      if ('about' in push) subjects.add(push.about);
      else if ('profileOf' in push) profiles.add(push.profileOf);
      else if (isGroupAudience(push.to)) {
        concerns.add(push.to.group);
        for (const user of push.to.and ?? nobody) concerns.add(user);
      } else for (const user of push.to) concerns.add(user);
  }
  return { concerns: [...concerns], subjects: [...subjects], profiles: [...profiles] };
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
  z.object({
    kind: z.literal('revokedSessions'),
    sessions: z.array(z.string()).readonly(),
    why: z.enum(REVOCATION_CAUSES).exactOptional(),
  }),
  /** A user starts or stops typing in a room; for the users in `to`, or for all other members of a group. */
  z.object({
    kind: z.literal('typing'),
    to: z.union([z.array(z.string()).readonly(), z.object({ group: z.string() })]),
    roomId: z.string(),
    userId: z.string(),
    isTyping: z.boolean(),
  }),
]);
export type Note = z.infer<typeof Note>;

/**
 * Creates the bus of a single process. Handlers run in the publisher's turn, in the order of subscription.
 */
export function createMemoryBus(node: NodeId, report: (message: string, error: unknown) => void): Bus {
  const handlers = new Set<(frame: CommitFrame) => void>();
  const server = new RequestServer(report);
  return {
    node,
    publish(frame) {
      for (const handler of handlers) handler(frame);
    },
    subscribe(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    // There is no other node.
    broadcast() {},
    onNote: () => () => {},
    async request(to, body, timeoutMs) {
      if (to !== node) return 'undelivered';
      return withReplyTimeout(timeoutMs, server.handle(body, node, 0));
    },
    serve: (handler) => server.serve(handler),
    isConnected: true,
    onConnectionChange: () => () => {},
    async close() {
      server.close();
      handlers.clear();
    },
  };
}

/** The limits of requests that a node handles at once. Beyond them, requests are refused. */
const MAX_OPEN_REQUESTS = 1024;
const MAX_OPEN_BYTES = 32 * 1024 * 1024;

type Handler = Parameters<Bus['serve']>[0];

/** Handles the requests to this node. */
export class RequestServer {
  readonly #report: (message: string, error: unknown) => void;
  #handler: Handler | undefined;
  #openRequests = 0;
  #openBytes = 0;
  #isClosed = false;

  constructor(report: (message: string, error: unknown) => void) {
    this.#report = report;
  }

  /** See `Bus.serve`. */
  serve(handler: Handler): () => void {
    if (this.#handler) throw new Error('this node already has a request handler');
    this.#handler = handler;
    return () => {
      if (this.#handler === handler) this.#handler = undefined;
    };
  }

  /** Refuses further requests. */
  close(): void {
    this.#isClosed = true;
  }

  /** Passes a request of `bytes` to the handler in the caller's turn. Returns the reply, however late. */
  async handle(body: unknown, from: NodeId, bytes: number): Promise<Reply> {
    const isFull = this.#openRequests >= MAX_OPEN_REQUESTS || this.#openBytes + bytes > MAX_OPEN_BYTES;
    if (!this.#handler || this.#isClosed || isFull) return 'undelivered';
    this.#openRequests++;
    this.#openBytes += bytes;
    try {
      return { reply: await this.#handler(body, from) };
    } catch (error) {
      this.#report(`handling a request of node ${from} failed`, error);
      return 'unanswered';
    } finally {
      this.#openRequests--;
      this.#openBytes -= bytes;
    }
  }
}

/** Returns the answer, or `unanswered` after `timeoutMs`. */
export async function withReplyTimeout(timeoutMs: number, answer: Promise<Reply>): Promise<Reply> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'unanswered'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'unanswered');
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
