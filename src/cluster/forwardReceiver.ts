import type { OwnWriters } from '../domain/commands.js';
import type { NodeId } from './bus.js';
import { commandOf, encodeRefusal, Forwarded, type ForwardedReply, type Result } from './forwarding.js';

/** Lanes of other nodes that are remembered; of nodes that are gone, the longest unused are forgotten. */
const MAX_SESSIONS = 4096;

/** The session of a lane that was heard of last. */
interface SenderSession {
  readonly session: number;
  /** The sequence that may come next. */
  next: number;
  /** Of the lease that its commands are for; undefined: nothing is taken of it any more. */
  epoch: number | undefined;
}

/**
 * Takes what other nodes' lanes send for partitions of this node. Of a session only what comes next is taken, and
 * nothing after something was not: so nothing overtakes, whatever is lost, late or repeated on the way.
 */
export class ForwardedCommandReceiver {
  readonly #writers: OwnWriters;
  readonly #epochOf: (partition: number) => number | undefined;
  readonly #sessions = new Map<string, SenderSession>();

  /** `epochOf`: of the lease by which this node owns the partition, if it does. */
  constructor(writers: OwnWriters, epochOf: (partition: number) => number | undefined) {
    this.#writers = writers;
    this.#epochOf = epochOf;
  }

  /** Answers one `Forwarded` of the bus. Throws on any other body, and on one that came before. */
  async serve(body: unknown, from: NodeId): Promise<ForwardedReply> {
    const forwarded = Forwarded.parse(body);
    const { partition, session, sequence, commands } = forwarded;
    const known = this.#findSession(`${from}/${partition}`);
    if (known?.session === session && sequence < known.next)
      throw new Error(`node ${from} sent request ${sequence} of session ${session} again`);
    const current = known?.session === session ? known : this.#beginSession(forwarded, from, known);
    const { epoch } = current;
    if (epoch === undefined || sequence !== current.next) {
      current.epoch = undefined;
      // Of a lane that is not remembered it is not known what was taken.
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
      // Moved to the end: the map is in the order of last use.
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
    // An older session that comes late: nothing of it counts.
    if (known && session < known.session) return { session, next: 0, epoch: undefined };
    const begun = { session, next: 0, epoch: this.#epochOf(partition) };
    this.#sessions.set(`${from}/${partition}`, begun);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    return begun;
  }
}
