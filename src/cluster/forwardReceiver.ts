import type { OwnWriters } from '../domain/commands.js';
import type { NodeId } from './bus.js';
import { commandOf, encodeRefusal, Forwarded, type ForwardedReply, type Result } from './forwarding.js';

/**
 * The limit of remembered sessions. Beyond it, the least recently used is forgotten, as of a node that is
 * gone.
 */
const MAX_SESSIONS = 4096;

/** The newest session of one node's queue for one partition. */
interface SenderSession {
  readonly session: number;
  /** The sequence number expected next. */
  next: number;
  /** The epoch that its commands are for. Undefined: the session takes no further requests. */
  epoch: number | undefined;
}

/**
 * Takes commands that other nodes forward to partitions of this node. A session accepts only the next
 * sequence number, and nothing after a gap. So no command overtakes another, whatever the network loses,
 * delays or repeats.
 */
export class ForwardedCommandReceiver {
  readonly #writers: OwnWriters;
  readonly #epochOf: (partition: number) => number | undefined;
  readonly #sessions = new Map<string, SenderSession>();

  /** `epochOf` returns the epoch of this node's lease on a partition, if it has one. */
  constructor(writers: OwnWriters, epochOf: (partition: number) => number | undefined) {
    this.#writers = writers;
    this.#epochOf = epochOf;
  }

  /** Handles one `Forwarded` request. Throws on any other body, and on a repeated request. */
  async serve(body: unknown, from: NodeId): Promise<ForwardedReply> {
    const forwarded = Forwarded.parse(body);
    const { partition, session, sequence, commands } = forwarded;
    const known = this.#findSession(`${from}/${partition}`);
    if (known?.session === session && sequence < known.next)
      throw new Error(`node ${from} repeated request ${sequence} of session ${session}`);
    const current = known?.session === session ? known : this.#beginSession(forwarded, from, known);
    const { epoch } = current;
    if (epoch === undefined || sequence !== current.next) {
      current.epoch = undefined;
      // For a forgotten session it is unknown which requests were taken.
      return { isRefused: true, ...(known ? { next: current.next } : {}) };
    }
    current.next++;
    const submit = async ([sent, commandId]: (typeof commands)[number]): Promise<Result> => {
      try {
        return { answer: await this.#writers.submit(commandOf(sent), commandId, epoch) };
      } catch (error) {
        return encodeRefusal(error);
      }
    };
    return { results: await Promise.all(commands.map(submit)) };
  }

  #findSession(sender: string): SenderSession | undefined {
    const known = this.#sessions.get(sender);
    if (known) {
      // Keeps the map in order of last use.
      this.#sessions.delete(sender);
      this.#sessions.set(sender, known);
    }
    return known;
  }

  #beginSession(
    { partition, session }: Pick<Forwarded, 'partition' | 'session'>,
    from: NodeId,
    known: SenderSession | undefined,
  ): SenderSession {
    // Refuses a late request of an older session.
    if (known && session < known.session) return { session, next: 0, epoch: undefined };
    const begun = { session, next: 0, epoch: this.#epochOf(partition) };
    this.#sessions.set(`${from}/${partition}`, begun);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    return begun;
  }
}
