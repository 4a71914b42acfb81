import { z } from 'zod';
import {
  type ErrorCode,
  type ErrorDetails,
  messageOf,
  NotOwner,
  overloaded,
  ParleyError,
} from '../base/errors.js';
import {
  type Answer,
  type Command,
  type CommandKind,
  describeCommand,
  ForwardedCommand,
  type OwnWriters,
} from '../domain/commands.js';
import type { Bus, NodeId } from './bus.js';
import {
  COMMAND_TIMEOUTS,
  type InFlightWindow,
  type PartitionQueue,
  type QueuedCommand,
} from './partitionQueue.js';

/** What crosses the bus between a partition queue and the node that owns its partition: JSON values. */

const id = z.string();

/** Commands of one partition queue, in the order in which they must take effect. */
export const Forwarded = z.object({
  kind: z.literal('commands'),
  partition: z.int().min(0),
  /** Increases from one session of the queue to the next. */
  session: z.int().min(1),
  /** 0, 1, 2 … within the session. */
  sequence: z.int().min(0),
  /** Each command is parsed alone: an unknown one of a newer version must not fail the others. */
  commands: z.array(z.tuple([z.unknown(), id]).readonly()).readonly(),
});
export type Forwarded = Omit<z.infer<typeof Forwarded>, 'commands'> & {
  readonly commands: readonly (readonly [command: Command, commandId: string])[];
};

/** A forwarded command as this version knows it. Throws `overloaded`: a newer node may own the partition soon. */
export function commandOf(sent: unknown): Command {
  const { success, data } = ForwardedCommand.safeParse(sent);
  if (!success) throw overloaded("the partition's owner does not know this kind of command yet");
  return data as Command; // Optional fields that are absent are so here too.
}

/** The outcome of one command. `notOwner`: nothing was done, as this node does not own the partition. */
export type Result =
  | { readonly answer: Answer<CommandKind> }
  | { readonly refused: Refused }
  | { readonly notOwner: true };

interface Refused {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/**
 * The reply to one request: a result for each command, or a refusal. A refusal means that neither this
 * request nor a later one of its session is taken. `next` is then the first sequence that was not taken, if
 * known.
 */
export type ForwardedReply =
  | { readonly results: readonly Result[] }
  | { readonly isRefused: true; readonly next?: number };

function encodeRefusal(error: unknown): Result {
  if (error instanceof NotOwner) return { notOwner: true };
  if (!(error instanceof ParleyError)) {
    const message = messageOf(error);
    return { refused: { code: 'internal', message, details: {} } };
  }
  const { code, message, details } = error;
  return { refused: { code, message, details } };
}

const decodeRefusal = ({ code, message, details }: Refused): ParleyError =>
  new ParleyError(code, message, details);

/** The limits of one request. JSON triples its size at most, and so for the answer. */
const MAX_REQUEST_COMMANDS = 128;
const MAX_REQUEST_BYTES = 128 * 1024;

/** Requests of one in-flight window without a reply, by sequence. */
interface OpenRequests {
  readonly session: number;
  next: number;
  readonly open: Map<number, readonly QueuedCommand[]>;
}

/** Sends the commands of one partition queue to other nodes, and tells the queue each outcome. */
export class CommandForwarder {
  readonly #partition: number;
  readonly #bus: Pick<Bus, 'request'>;
  #requests: OpenRequests = { session: 0, next: 0, open: new Map() };

  constructor(partition: number, bus: Pick<Bus, 'request'>) {
    this.#partition = partition;
    this.#bus = bus;
  }

  /** Sends the items in as few requests as the limits allow, in order. */
  send(queue: PartitionQueue, window: InFlightWindow, items: readonly QueuedCommand[]): void {
    const { session } = window;
    if (this.#requests.session !== session) this.#requests = { session, next: 0, open: new Map() };
    for (const some of splitIntoRequests(items)) void this.#request(queue, window, this.#requests, some);
  }

  async #request(
    queue: PartitionQueue,
    window: InFlightWindow,
    requests: OpenRequests,
    items: readonly QueuedCommand[],
  ): Promise<void> {
    const sequence = requests.next++;
    requests.open.set(sequence, items);
    const commands = items.map(({ command, commandId }) => [command, commandId] as const);
    const { partition, session } = { partition: this.#partition, session: requests.session };
    const body: Forwarded = { kind: 'commands', partition, session, sequence, commands };
    const outcome = await this.#bus.request(window.owner.node, body, COMMAND_TIMEOUTS.unansweredMs);
    requests.open.delete(sequence);
    if (outcome === 'undelivered') for (const item of items) queue.handleNotTaken(window, item);
    else if (outcome === 'unanswered') for (const item of items) queue.handleNoReply(window, item);
    else {
      const reply = outcome.reply as ForwardedReply; // `ForwardedCommandReceiver` sends only this type.
      if ('results' in reply) handleResults(queue, window, items, reply.results);
      else {
        for (const item of items) queue.handleNotTaken(window, item);
        // Earlier requests that were lost on the way will not be taken either.
        for (const [earlier, lost] of requests.open)
          if (earlier >= (reply.next ?? sequence))
            for (const item of lost) queue.handleNotTaken(window, item);
      }
    }
  }
}

function handleResults(
  queue: PartitionQueue,
  window: InFlightWindow,
  items: readonly QueuedCommand[],
  results: readonly Result[],
): void {
  for (const [i, item] of items.entries()) {
    const result = results[i];
    if (!result) queue.handleNoReply(window, item);
    else if ('answer' in result)
      queue.handleAnswer(window, item, result.answer as never); // A writer answers each command with the answer of its kind.
    else if ('refused' in result) queue.handleRefusal(window, item, decodeRefusal(result.refused));
    else queue.handleNotTaken(window, item);
  }
}

function* splitIntoRequests(items: readonly QueuedCommand[]): Iterable<readonly QueuedCommand[]> {
  let some: QueuedCommand[] = [];
  let bytes = 0;
  for (const item of items) {
    const more = describeCommand(item.command).bytes;
    if (some.length === MAX_REQUEST_COMMANDS || (some.length > 0 && bytes + more > MAX_REQUEST_BYTES)) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(item);
    bytes += more;
  }
  if (some.length > 0) yield some;
}

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
