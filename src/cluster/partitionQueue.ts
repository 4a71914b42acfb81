import type { Clock } from '../base/clock.js';
import { overloaded, ParleyError } from '../base/errors.js';
import { type Command, commandDeclaration } from '../domain/commands.js';
import type { StreamName } from '../domain/ids.js';
import type { Holder } from './leases.js';

/** How long a command waits that nobody can have taken, and one that somebody may have taken; milliseconds. */
export const bounds = { unsentMs: 5000, unansweredMs: 10_000 } as const;

/** With another owner known, what the one before has still to say is waited for this long. */
const LAST_WORD_MS = 250;
/** Before something is sent again that was returned, unless its partition has another owner meanwhile. */
const RETRY_MS = { first: 25, most: 500 };
const RETRY = { retryAfterMs: 1000 };

/** A command on its way, and its caller, who is told the outcome once. */
export interface Item {
  readonly command: Command;
  readonly commandId: string;
  readonly stream: StreamName;
  /** Its place in the lane. */
  readonly order: number;
  /** When it was asked; all times are of the lane's clock. */
  readonly since: number;
  /** Tells the caller; what comes later is not told. */
  readonly settle: (outcome: { answer: never } | { refused: Error }) => void;
  isSettled: boolean;
  /** When it left for the owner, unless it has come back with nothing done. */
  leftAt: number | undefined;
  /** When it first left for somebody who has not answered: it may have been done. */
  doubtfulSince: number | undefined;
  /** A later one of its stream has been decided: sent again, it might take effect after that one. */
  isOvertaken: boolean;
}

/** What is sent to one owner, in order, without anything overtaking. */
export interface Voyage {
  readonly owner: Holder;
  /** Grows from one of a lane to the next. */
  readonly session: number;
  readonly inFlight: Set<Item>;
  readonly returned: Item[];
  /** Nothing more is sent on it. */
  isOver: boolean;
  /** Another owner is known, who will get what this one does not answer soon. */
  isReplaced: boolean;
  /** What it still brings is only believed when it is an answer. */
  isCut: boolean;
}

/** What a lane needs. */
export interface LaneDeps {
  readonly now: () => number;
  /** Runs it once in so many milliseconds. */
  readonly setTimer: Clock['setTimer'];
  /** False: commands cannot get there now. */
  readonly canReach: (owner: Holder) => boolean;
  /** Hands items over, in order; the lane's `answered`, `refused`, `returned` and `unanswered` say what came of each. */
  readonly send: (voyage: Voyage, items: readonly Item[]) => void;
  /** Something came back: the owner that is believed in may not be the owner. */
  readonly onReturned: () => void;
}

/** The commands for one partition, in their order, on their way to whoever owns it. */
export class Lane {
  readonly #deps: LaneDeps;
  /** Not sent on the voyage, in order. */
  #waiting: Item[] = [];
  #voyage: Voyage | undefined;
  #owner: Holder | undefined;
  #sessions = 0;
  /** Something came back, and nothing is sent until there is a reason, or some time has passed. */
  #isResting = false;
  #retryMs: number = RETRY_MS.first;

  constructor(deps: LaneDeps) {
    this.#deps = deps;
  }

  /** To be sent with the next `pump`. */
  add(item: Item): void {
    this.#waiting.push(item);
  }

  /** Who owns the partition, as far as is known. */
  get owner(): Holder | undefined {
    return this.#owner;
  }

  set owner(owner: Holder | undefined) {
    if (owner && !(this.#owner && isSame(owner, this.#owner))) this.#isResting = false;
    this.#owner = owner;
    this.pump();
  }

  /** Sends what can be sent. */
  pump(): void {
    const owner = this.#owner;
    if (!owner || !this.#isReadyFor(owner)) return;
    if (!this.#deps.canReach(owner)) return this.refuseUnsent(overloaded('this node is cut off from others'));
    // What is past its bound must not leave once more.
    this.#waiting = this.#waiting.filter((item) => !this.#isExpired(item));
    if (this.#waiting.length === 0 || this.#isResting) return;
    this.#voyage ??= this.#begin(owner);
    const items = this.#waiting;
    this.#waiting = [];
    const now = this.#deps.now();
    for (const item of items) {
      item.leftAt = now;
      this.#voyage.inFlight.add(item);
    }
    this.#deps.send(this.#voyage, items);
  }

  /** True whatever came later: it is durable. */
  answered(voyage: Voyage, item: Item, answer: never): void {
    // Sent again meanwhile, it is answered there once more, after what was asked before it.
    if (voyage.isCut && this.#isBehind(item)) return;
    this.#retryMs = RETRY_MS.first;
    item.settle({ answer });
    overtake(voyage, item);
    this.#landed(voyage, item);
  }

  /** The owner has decided, or does not take it. */
  refused(voyage: Voyage, item: Item, error: Error): void {
    if (voyage.isCut) return;
    const isTaken = !(error instanceof ParleyError) || error.code !== 'overloaded';
    // Nothing was done this time; of the time before it is not known.
    item.settle({ refused: isTaken || item.doubtfulSince === undefined ? error : mayHaveHappened() });
    if (isTaken) overtake(voyage, item);
    this.#landed(voyage, item);
  }

  /** Nothing was done with it, nor will be with what comes later on this voyage. */
  returned(voyage: Voyage, item: Item): void {
    if (voyage.isCut || !voyage.inFlight.has(item)) return;
    item.leftAt = undefined;
    this.#back(voyage, item);
  }

  /** It may have been done, or may still be. */
  unanswered(voyage: Voyage, item: Item): void {
    if (voyage.isCut || !voyage.inFlight.has(item)) return;
    item.doubtfulSince ??= item.leftAt;
    this.#back(voyage, item);
  }

  /** Tells those who have waited for too long. */
  expire(): void {
    const away = this.#voyage ? [...this.#voyage.inFlight, ...this.#voyage.returned] : [];
    for (const item of away) this.#isExpired(item);
    this.#waiting = this.#waiting.filter((item) => !this.#isExpired(item));
  }

  /** Refuses all that waits and that nobody can have taken; the rest waits for its answer, or its bound. */
  refuseUnsent(refusal: Error): void {
    for (const item of this.#waiting) if (item.doubtfulSince === undefined) item.settle({ refused: refusal });
    this.#waiting = this.#waiting.filter(({ isSettled }) => !isSettled);
  }

  /** Whether its caller has been told something: now, if it has waited for too long. */
  #isExpired(item: Item): boolean {
    const now = this.#deps.now();
    const left = item.doubtfulSince ?? item.leftAt;
    if (left !== undefined && now - left >= bounds.unansweredMs) item.settle({ refused: mayHaveHappened() });
    else if (left === undefined && now - item.since >= bounds.unsentMs)
      item.settle({ refused: overloaded('the owner of this partition cannot be reached') });
    return item.isSettled;
  }

  /** Whether an earlier one of its stream waits to be told its outcome. */
  #isBehind({ order, stream }: Item): boolean {
    const away = this.#voyage ? [...this.#voyage.inFlight, ...this.#voyage.returned] : [];
    return [...away, ...this.#waiting].some(
      (other) => other.order < order && other.stream === stream && !other.isSettled,
    );
  }

  #begin(owner: Holder): Voyage {
    const session = ++this.#sessions;
    const all = { inFlight: new Set<Item>(), returned: [] };
    return { owner, session, ...all, isOver: false, isReplaced: false, isCut: false };
  }

  /** Whether something may be sent to this owner: another voyage begins only when all of the last is back. */
  #isReadyFor(owner: Holder): boolean {
    const voyage = this.#voyage;
    if (!voyage) return true;
    const isReplaced = !isSame(voyage.owner, owner);
    if (!voyage.isOver && !isReplaced) return true;
    voyage.isOver = true;
    if (voyage.inFlight.size === 0) this.#end(voyage);
    else if (isReplaced && !voyage.isReplaced) this.#awaitLastWord(voyage);
    return this.#voyage === undefined;
  }

  /** An owner that is gone may never answer. Whatever it may yet do, it does before the next one has fenced. */
  #awaitLastWord(voyage: Voyage): void {
    voyage.isReplaced = true;
    this.#deps.setTimer(() => {
      if (this.#voyage !== voyage) return;
      this.#cut(voyage);
      this.pump();
    }, LAST_WORD_MS);
  }

  #cut(voyage: Voyage): void {
    voyage.isCut = true;
    for (const item of voyage.inFlight) {
      item.doubtfulSince ??= item.leftAt;
      voyage.returned.push(item);
    }
    this.#end(voyage);
  }

  /** What it brought back goes first, in its order, unless it must not happen twice, or not after what has overtaken it. */
  #end(voyage: Voyage): void {
    this.#voyage = undefined;
    for (const item of voyage.returned)
      if (item.doubtfulSince !== undefined && (item.isOvertaken || !isRepeatable(item.command)))
        item.settle({ refused: mayHaveHappened() });
    const again = voyage.returned.filter(({ isSettled }) => !isSettled).sort((a, b) => a.order - b.order);
    this.#waiting = [...again, ...this.#waiting];
  }

  #landed(voyage: Voyage, item: Item): void {
    voyage.inFlight.delete(item);
    if (voyage.isOver) this.pump();
  }

  #back(voyage: Voyage, item: Item): void {
    voyage.inFlight.delete(item);
    voyage.returned.push(item);
    if (!voyage.isOver) {
      voyage.isOver = true;
      this.#retryLater();
      this.#deps.onReturned();
    }
    if (voyage.inFlight.size === 0) this.pump();
  }

  #retryLater(): void {
    this.#isResting = true;
    this.#deps.setTimer(() => {
      this.#isResting = false;
      this.pump();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
  }
}

/** Decided; of those before it in its stream what they became was perhaps said, and lost on the way. */
function overtake(voyage: Voyage, { order, stream }: Item): void {
  // In their order: as a rule it is the first itself.
  for (const earlier of voyage.inFlight) {
    if (earlier.order >= order) break;
    if (earlier.stream === stream) earlier.isOvertaken = true;
  }
  for (const earlier of voyage.returned)
    if (earlier.order < order && earlier.stream === stream) earlier.isOvertaken = true;
}

const isRepeatable = (command: Command): boolean =>
  commandDeclaration(command.kind).isRepeatable?.(command) ?? true;

const isSame = (a: Holder, b: Holder): boolean => a.node === b.node && a.epoch === b.epoch;

const mayHaveHappened = (): ParleyError =>
  new ParleyError('unknown', 'the owner of this partition did not answer: it may have happened', RETRY);
