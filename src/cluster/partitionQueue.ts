import type { Clock } from '../base/clock.js';
import { overloaded, ParleyError } from '../base/errors.js';
import type { Command } from '../domain/commands.js';
import type { StreamName } from '../domain/ids.js';
import type { LeaseHolder } from './leases.js';

/** How long a command waits that nobody can have taken, and one that somebody may have taken; milliseconds. */
export const COMMAND_TIMEOUTS = { unsentMs: 5000, unansweredMs: 10_000 } as const;

/** With another owner known, what the one before has still to say is waited for this long. */
const FORMER_OWNER_WAIT_MS = 250;
/** Before something is sent again that was returned, unless its partition has another owner meanwhile. */
const RETRY_MS = { first: 25, most: 500 };
const RETRY = { retryAfterMs: 1000 };

/** A command on its way, and its caller, who is told the outcome once. */
export interface QueuedCommand {
  readonly command: Command;
  readonly commandId: string;
  readonly stream: StreamName;
  /** Its place in the lane. */
  readonly order: number;
  /** When it was asked; all times are of the lane's clock. */
  readonly enqueuedAt: number;
  /** Tells the caller; what comes later is not told. */
  readonly settle: (outcome: { answer: never } | { refused: Error }) => void;
  isSettled: boolean;
  /** When it left for the owner, unless it has come back with nothing done. */
  sentAt: number | undefined;
  /** When it first left for somebody who has not answered: it may have been done. */
  unknownSince: number | undefined;
  /** A later one of its stream has been decided: sent again, it might take effect after that one. */
  isOvertaken: boolean;
}

/** What is sent to one owner, in order, without anything overtaking. */
export interface InFlightWindow {
  readonly owner: LeaseHolder;
  /** Grows from one of a lane to the next. */
  readonly session: number;
  readonly unanswered: Set<QueuedCommand>;
  readonly toResend: QueuedCommand[];
  /** Nothing more is sent on it. */
  isClosed: boolean;
  /** Another owner is known, who will get what this one does not answer soon. */
  isOwnerReplaced: boolean;
  /** What it still brings is only believed when it is an answer. */
  isAbandoned: boolean;
}

/** What a lane needs. */
export interface PartitionQueueDeps {
  readonly now: () => number;
  /** Runs it once in so many milliseconds. */
  readonly setTimer: Clock['setTimer'];
  /** False: commands cannot get there now. */
  readonly canReach: (owner: LeaseHolder) => boolean;
  /** Hands items over, in order; the lane's `answered`, `refused`, `returned` and `unanswered` say what came of each. */
  readonly send: (window: InFlightWindow, items: readonly QueuedCommand[]) => void;
  /** Something came back: the owner that is believed in may not be the owner. */
  readonly onStaleOwner: () => void;
}

/** The commands for one partition, in their order, on their way to whoever owns it. */
export class PartitionQueue {
  readonly #deps: PartitionQueueDeps;
  /** Not sent on the voyage, in order. */
  #waiting: QueuedCommand[] = [];
  #window: InFlightWindow | undefined;
  #owner: LeaseHolder | undefined;
  #lastSession = 0;
  /** Something came back, and nothing is sent until there is a reason, or some time has passed. */
  #isBackingOff = false;
  #retryMs: number = RETRY_MS.first;

  constructor(deps: PartitionQueueDeps) {
    this.#deps = deps;
  }

  /** To be sent with the next `pump`. */
  add(item: QueuedCommand): void {
    this.#waiting.push(item);
  }

  /** Who owns the partition, as far as is known. */
  get owner(): LeaseHolder | undefined {
    return this.#owner;
  }

  set owner(owner: LeaseHolder | undefined) {
    if (owner && !(this.#owner && isSame(owner, this.#owner))) this.#isBackingOff = false;
    this.#owner = owner;
    this.flush();
  }

  /** Sends what can be sent. */
  flush(): void {
    const owner = this.#owner;
    if (!owner || !this.#isReadyFor(owner)) return;
    if (!this.#deps.canReach(owner)) return this.refuseUnsent(overloaded('this node is cut off from others'));
    // What is past its bound must not leave once more.
    this.#waiting = this.#waiting.filter((item) => !this.#expireIfDue(item));
    if (this.#waiting.length === 0 || this.#isBackingOff) return;
    this.#window ??= this.#openWindow(owner);
    const items = this.#waiting;
    this.#waiting = [];
    const now = this.#deps.now();
    for (const item of items) {
      item.sentAt = now;
      this.#window.unanswered.add(item);
    }
    this.#deps.send(this.#window, items);
  }

  /** True whatever came later: it is durable. */
  handleAnswer(window: InFlightWindow, item: QueuedCommand, answer: never): void {
    // Sent again meanwhile, it is answered there once more, after what was asked before it.
    if (window.isAbandoned && this.#isBehind(item)) return;
    this.#retryMs = RETRY_MS.first;
    item.settle({ answer });
    markOvertaken(window, item);
    this.#settleAnswered(window, item);
  }

  /** The owner has decided, or does not take it. */
  handleRefusal(window: InFlightWindow, item: QueuedCommand, error: Error): void {
    if (window.isAbandoned) return;
    const isTaken = !(error instanceof ParleyError) || error.code !== 'overloaded';
    // Nothing was done this time; of the time before it is not known.
    item.settle({ refused: isTaken || item.unknownSince === undefined ? error : outcomeUnknownError() });
    if (isTaken) markOvertaken(window, item);
    this.#settleAnswered(window, item);
  }

  /** Nothing was done with it, nor will be with what comes later on this voyage. */
  handleNotTaken(window: InFlightWindow, item: QueuedCommand): void {
    if (window.isAbandoned || !window.unanswered.has(item)) return;
    item.sentAt = undefined;
    this.#takeBack(window, item);
  }

  /** It may have been done, or may still be. */
  handleNoReply(window: InFlightWindow, item: QueuedCommand): void {
    if (window.isAbandoned || !window.unanswered.has(item)) return;
    item.unknownSince ??= item.sentAt;
    this.#takeBack(window, item);
  }

  /** Tells those who have waited for too long. */
  expire(): void {
    const away = this.#window ? [...this.#window.unanswered, ...this.#window.toResend] : [];
    for (const item of away) this.#expireIfDue(item);
    this.#waiting = this.#waiting.filter((item) => !this.#expireIfDue(item));
  }

  /** Refuses all that waits and that nobody can have taken; the rest waits for its answer, or its bound. */
  refuseUnsent(refusal: Error): void {
    for (const item of this.#waiting) if (item.unknownSince === undefined) item.settle({ refused: refusal });
    this.#waiting = this.#waiting.filter(({ isSettled }) => !isSettled);
  }

  /** Whether its caller has been told something: now, if it has waited for too long. */
  #expireIfDue(item: QueuedCommand): boolean {
    const now = this.#deps.now();
    const left = item.unknownSince ?? item.sentAt;
    if (left !== undefined && now - left >= COMMAND_TIMEOUTS.unansweredMs)
      item.settle({ refused: outcomeUnknownError() });
    else if (left === undefined && now - item.enqueuedAt >= COMMAND_TIMEOUTS.unsentMs)
      item.settle({ refused: overloaded('the owner of this partition cannot be reached') });
    return item.isSettled;
  }

  /** Whether an earlier one of its stream waits to be told its outcome. */
  #isBehind({ order, stream }: QueuedCommand): boolean {
    const away = this.#window ? [...this.#window.unanswered, ...this.#window.toResend] : [];
    return [...away, ...this.#waiting].some(
      (other) => other.order < order && other.stream === stream && !other.isSettled,
    );
  }

  #openWindow(owner: LeaseHolder): InFlightWindow {
    const session = ++this.#lastSession;
    const all = { unanswered: new Set<QueuedCommand>(), toResend: [] };
    return { owner, session, ...all, isClosed: false, isOwnerReplaced: false, isAbandoned: false };
  }

  /** Whether something may be sent to this owner: another voyage begins only when all of the last is back. */
  #isReadyFor(owner: LeaseHolder): boolean {
    const window = this.#window;
    if (!window) return true;
    const isReplaced = !isSame(window.owner, owner);
    if (!window.isClosed && !isReplaced) return true;
    window.isClosed = true;
    if (window.unanswered.size === 0) this.#closeWindow(window);
    else if (isReplaced && !window.isOwnerReplaced) this.#awaitFormerOwner(window);
    return this.#window === undefined;
  }

  /** An owner that is gone may never answer. Whatever it may yet do, it does before the next one has fenced. */
  #awaitFormerOwner(window: InFlightWindow): void {
    window.isOwnerReplaced = true;
    this.#deps.setTimer(() => {
      if (this.#window !== window) return;
      this.#abandon(window);
      this.flush();
    }, FORMER_OWNER_WAIT_MS);
  }

  #abandon(window: InFlightWindow): void {
    window.isAbandoned = true;
    for (const item of window.unanswered) {
      item.unknownSince ??= item.sentAt;
      window.toResend.push(item);
    }
    this.#closeWindow(window);
  }

  /** What it brought back goes first, in its order, unless it must not happen twice, or not after what has overtaken it. */
  #closeWindow(window: InFlightWindow): void {
    this.#window = undefined;
    for (const item of window.toResend)
      if (item.unknownSince !== undefined && (item.isOvertaken || !isRepeatable(item.command)))
        item.settle({ refused: outcomeUnknownError() });
    const resend = window.toResend.filter(({ isSettled }) => !isSettled).sort((a, b) => a.order - b.order);
    this.#waiting = [...resend, ...this.#waiting];
  }

  #settleAnswered(window: InFlightWindow, item: QueuedCommand): void {
    window.unanswered.delete(item);
    if (window.isClosed) this.flush();
  }

  #takeBack(window: InFlightWindow, item: QueuedCommand): void {
    window.unanswered.delete(item);
    window.toResend.push(item);
    if (!window.isClosed) {
      window.isClosed = true;
      this.#retryLater();
      this.#deps.onStaleOwner();
    }
    if (window.unanswered.size === 0) this.flush();
  }

  #retryLater(): void {
    this.#isBackingOff = true;
    this.#deps.setTimer(() => {
      this.#isBackingOff = false;
      this.flush();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
  }
}

/** Decided; of those before it in its stream what they became was perhaps said, and lost on the way. */
function markOvertaken(window: InFlightWindow, { order, stream }: QueuedCommand): void {
  // In their order: as a rule it is the first itself.
  for (const earlier of window.unanswered) {
    if (earlier.order >= order) break;
    if (earlier.stream === stream) earlier.isOvertaken = true;
  }
  for (const earlier of window.toResend)
    if (earlier.order < order && earlier.stream === stream) earlier.isOvertaken = true;
}

/** The end of a room may be further on the second time: that would mark as read what nobody has seen. */
const isRepeatable = (command: Command): boolean =>
  command.kind !== 'read messages' || command.upTo !== undefined;

const isSame = (a: LeaseHolder, b: LeaseHolder): boolean => a.node === b.node && a.epoch === b.epoch;

const outcomeUnknownError = (): ParleyError =>
  new ParleyError('unknown', 'the owner of this partition did not answer: it may have happened', RETRY);
