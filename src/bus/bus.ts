import type { UserId } from '../events/ids.js';
import type { Recorded } from '../events/types.js';
import type { Commit } from '../log/log.js';
import type { Note } from './note.js';

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
