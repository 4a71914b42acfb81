import { z } from 'zod';
import { type ErrorCode, type ErrorDetails, NotOwner, overloaded, ParleyError } from '../base/errors.js';
import {
  type Answer,
  bytesOf,
  type Command,
  type CommandKind,
  ForwardedCommand,
} from '../domain/commands.js';
import type { Bus } from './bus.js';
import { bounds, type Item, type Lane, type Voyage } from './partitionQueue.js';

/** What crosses the bus between a lane and the node that owns its partition: JSON values. */

const id = z.string();

/** Commands of one lane, in the order in which they are to take effect. */
export const Forwarded = z.object({
  kind: z.literal('commands'),
  partition: z.int().min(0),
  /** Of the lane: its later ones have a greater number. */
  session: z.int().min(1),
  /** 0, 1, 2 … within the session. */
  sequence: z.int().min(0),
  /** Each is looked at by itself: one that a newer version sends must not cost the others their way. */
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

/** What became of one command; `returned`: nothing was done, the partition is not owned there. */
export type Result =
  | { readonly answer: Answer<CommandKind> }
  | { readonly refused: Refused }
  | { readonly returned: true };

interface Refused {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/**
 * The answer to one request: a result for each command; or nothing of it was taken, nor will anything be that comes
 * later in its session. `next` is then, if known, the first sequence of the session that was not taken.
 */
export type ForwardedReply =
  | { readonly results: readonly Result[] }
  | { readonly isRefused: true; readonly next?: number };

export function refusedResult(error: unknown): Result {
  if (error instanceof NotOwner) return { returned: true };
  if (!(error instanceof ParleyError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { refused: { code: 'internal', message, details: {} } };
  }
  const { code, message, details } = error;
  return { refused: { code, message, details } };
}

const refusalOf = ({ code, message, details }: Refused): ParleyError =>
  new ParleyError(code, message, details);

/** The most that goes in one request: in JSON it is three times as large at most, and so is its answer. */
const MAX_COMMANDS = 128;
const MAX_BYTES = 128 * 1024;

/** Requests of one voyage that are not answered yet, by sequence. */
interface Requests {
  readonly session: number;
  next: number;
  readonly open: Map<number, readonly Item[]>;
}

/** Sends one lane's commands to other nodes over the bus, and tells the lane what came of each. */
export class Forwarder {
  readonly #partition: number;
  readonly #bus: Pick<Bus, 'request'>;
  #requests: Requests = { session: 0, next: 0, open: new Map() };

  constructor(partition: number, bus: Pick<Bus, 'request'>) {
    this.#partition = partition;
    this.#bus = bus;
  }

  /** In requests as large as they may be, in order. */
  send(lane: Lane, voyage: Voyage, items: readonly Item[]): void {
    const { session } = voyage;
    if (this.#requests.session !== session) this.#requests = { session, next: 0, open: new Map() };
    for (const some of chunks(items)) void this.#request(lane, voyage, this.#requests, some);
  }

  async #request(lane: Lane, voyage: Voyage, requests: Requests, items: readonly Item[]): Promise<void> {
    const sequence = requests.next++;
    requests.open.set(sequence, items);
    const commands = items.map(({ command, commandId }) => [command, commandId] as const);
    const { partition, session } = { partition: this.#partition, session: requests.session };
    const body: Forwarded = { kind: 'commands', partition, session, sequence, commands };
    const outcome = await this.#bus.request(voyage.owner.node, body, bounds.unansweredMs);
    requests.open.delete(sequence);
    if (outcome === 'nobody') for (const item of items) lane.returned(voyage, item);
    else if (outcome === 'silent') for (const item of items) lane.unanswered(voyage, item);
    else {
      const reply = outcome.reply as ForwardedReply; // A doorman's: it says nothing else.
      if ('results' in reply) tell(lane, voyage, items, reply.results);
      else {
        for (const item of items) lane.returned(voyage, item);
        // What went before and never arrived is not taken any more either.
        for (const [earlier, lost] of requests.open)
          if (earlier >= (reply.next ?? sequence)) for (const item of lost) lane.returned(voyage, item);
      }
    }
  }
}

function tell(lane: Lane, voyage: Voyage, items: readonly Item[], results: readonly Result[]): void {
  for (const [i, item] of items.entries()) {
    const result = results[i];
    if (!result) lane.unanswered(voyage, item);
    else if ('answer' in result)
      lane.answered(voyage, item, result.answer as never); // Of its kind: a writer gives no other.
    else if ('refused' in result) lane.refused(voyage, item, refusalOf(result.refused));
    else lane.returned(voyage, item);
  }
}

function* chunks(items: readonly Item[]): Iterable<readonly Item[]> {
  let some: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const more = bytesOf(item.command);
    if (some.length === MAX_COMMANDS || (some.length > 0 && bytes + more > MAX_BYTES)) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(item);
    bytes += more;
  }
  if (some.length > 0) yield some;
}
