import type { Bus } from '../bus/bus.js';
import { bytesOf } from '../commands/commands.js';
import { type Forwarded, type ForwardedReply, type Result, refusalOf } from './forwarding.js';
import { bounds, type Item, type Lane, type Voyage } from './lane.js';

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
