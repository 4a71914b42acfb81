import type { Clock } from '../base/clock.js';
import { overloaded, ParleyError } from '../base/errors.js';
import { type Command, commandDeclaration } from '../domain/commands.js';
import type { StreamName } from '../domain/ids.js';
import type { LeaseHolder } from './leases.js';

/** How long a command waits if no owner can have taken it, and if one may have. */
export const COMMAND_TIMEOUTS = { unsentMs: 5000, unansweredMs: 10_000 } as const;

/** How long a former owner may still answer once another owner is known. */
const FORMER_OWNER_WAIT_MS = 250;
/** The delay before a command is sent again to the same owner. */
const RETRY_MS = { min: 25, max: 500 };
const RETRY_DETAILS = { retryAfterMs: 1000 };

/** A command in progress. Its caller gets one outcome. */
export interface QueuedCommand {
  readonly command: Command;
  readonly commandId: string;
  readonly stream: StreamName;
  /** Its place in the queue. */
  readonly order: number;
  /** All times are of the queue's clock. */
  readonly enqueuedAt: number;
  /** Tells the caller the first outcome, and ignores later ones. */
  readonly settle: (outcome: { answer: never } | { refused: Error }) => void;
  isSettled: boolean;
  /** When it was last sent. Undefined before, and after an owner reported that nothing was done. */
  sentAt: number | undefined;
  /** When it was first sent without an answer: it may have taken effect. */
  unknownSince: number | undefined;
  /** True once a later command of its stream was decided. Sent again, it could take effect after that one. */
  isOvertaken: boolean;
}

/** The commands sent to one owner, in order. None overtakes another within a window. */
export interface InFlightWindow {
  readonly owner: LeaseHolder;
  /** Increases from one window of the queue to the next. */
  readonly session: number;
  readonly unanswered: Set<QueuedCommand>;
  readonly toResend: QueuedCommand[];
  /** Nothing more is sent in this window. */
  isClosed: boolean;
  /** Another owner is known, which gets the commands that this one does not answer soon. */
  isOwnerReplaced: boolean;
  /** Only answers are accepted from now on: refusals and losses are ignored. */
  isAbandoned: boolean;
}

/** Everything a partition queue needs. */
export interface PartitionQueueDeps {
  readonly now: () => number;
  /** Calls `run` once after `ms`. Returns the function that cancels it. */
  readonly setTimer: Clock['setTimer'];
  /** Returns false while no command can get to this owner. */
  readonly canReach: (owner: LeaseHolder) => boolean;
  /**
   * Sends items in order. Reports each outcome to the queue: `handleAnswer`, `handleRefusal`,
   * `handleNotTaken` or `handleNoReply`.
   */
  readonly send: (window: InFlightWindow, items: readonly QueuedCommand[]) => void;
  /** Called when commands came back: the known owner may be out of date. */
  readonly onStaleOwner: () => void;
}

/** The commands for one partition, sent in order to its owner. */
export class PartitionQueue {
  readonly #deps: PartitionQueueDeps;
  /** Commands outside the window, in order. */
  #waiting: QueuedCommand[] = [];
  #window: InFlightWindow | undefined;
  #owner: LeaseHolder | undefined;
  #lastSession = 0;
  /** Set when commands came back. Nothing is sent until the owner changes or the delay passes. */
  #isBackingOff = false;
  #retryMs: number = RETRY_MS.min;

  constructor(deps: PartitionQueueDeps) {
    this.#deps = deps;
  }

  /** Adds a command, which the next `flush` sends. */
  add(item: QueuedCommand): void {
    this.#waiting.push(item);
  }

  /** The owner, as far as is known. */
  get owner(): LeaseHolder | undefined {
    return this.#owner;
  }

  set owner(owner: LeaseHolder | undefined) {
    if (owner && !(this.#owner && isSame(owner, this.#owner))) this.#isBackingOff = false;
    this.#owner = owner;
    this.flush();
  }

  /** Sends all waiting commands, if the owner can get them now. */
  flush(): void {
    const owner = this.#owner;
    if (!owner || !this.#isReadyFor(owner)) return;
    if (!this.#deps.canReach(owner))
      return this.refuseUnsent(overloaded('this node is disconnected from the other nodes'));
    // An expired command must not be sent again.
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

  /** Accepts an answer, even a late one: the command is durable. */
  handleAnswer(window: InFlightWindow, item: QueuedCommand, answer: never): void {
    // This command is sent again after earlier ones of its stream. Ignore the late first answer.
    if (window.isAbandoned && this.#isBehind(item)) return;
    this.#retryMs = RETRY_MS.min;
    item.settle({ answer });
    markOvertaken(window, item);
    this.#removeAnswered(window, item);
  }

  /** Accepts a refusal: the owner rejected the command, or could not take it. */
  handleRefusal(window: InFlightWindow, item: QueuedCommand, error: Error): void {
    if (window.isAbandoned) return;
    const isTaken = !(error instanceof ParleyError) || error.code !== 'overloaded';
    // Nothing was done this time, but an earlier attempt may have taken effect.
    item.settle({ refused: isTaken || item.unknownSince === undefined ? error : outcomeUnknownError() });
    if (isTaken) markOvertaken(window, item);
    this.#removeAnswered(window, item);
  }

  /** The owner did not execute this command, and will not execute later ones of the window. */
  handleNotTaken(window: InFlightWindow, item: QueuedCommand): void {
    if (window.isAbandoned || !window.unanswered.has(item)) return;
    item.sentAt = undefined;
    this.#takeBack(window, item);
  }

  /** The command may have taken effect, or may still. */
  handleNoReply(window: InFlightWindow, item: QueuedCommand): void {
    if (window.isAbandoned || !window.unanswered.has(item)) return;
    item.unknownSince ??= item.sentAt;
    this.#takeBack(window, item);
  }

  /** Settles commands that have waited too long. */
  expire(): void {
    const away = this.#window ? [...this.#window.unanswered, ...this.#window.toResend] : [];
    for (const item of away) this.#expireIfDue(item);
    this.#waiting = this.#waiting.filter((item) => !this.#expireIfDue(item));
  }

  /**
   * Refuses all waiting commands that no owner can have taken. The others wait for their answer or time-out.
   */
  refuseUnsent(refusal: Error): void {
    for (const item of this.#waiting) if (item.unknownSince === undefined) item.settle({ refused: refusal });
    this.#waiting = this.#waiting.filter(({ isSettled }) => !isSettled);
  }

  /** Settles the command if it has waited too long. Returns true if it is settled. */
  #expireIfDue(item: QueuedCommand): boolean {
    const now = this.#deps.now();
    const sentSince = item.unknownSince ?? item.sentAt;
    if (sentSince !== undefined && now - sentSince >= COMMAND_TIMEOUTS.unansweredMs)
      item.settle({ refused: outcomeUnknownError() });
    else if (sentSince === undefined && now - item.enqueuedAt >= COMMAND_TIMEOUTS.unsentMs)
      item.settle({ refused: overloaded('the owner of this partition cannot be reached; try again') });
    return item.isSettled;
  }

  /** Returns true if an earlier command of its stream is unsettled. */
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

  /** Returns true if this owner may get commands: a new window opens only when the last one is empty. */
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

  /** A former owner may never answer. Whatever it still does, it does before the new owner's fence. */
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

  /**
   * Puts the commands of the window back to the front, in order. A command of unknown outcome is settled as
   * `unknown` if repeating it is unsafe.
   */
  #closeWindow(window: InFlightWindow): void {
    this.#window = undefined;
    for (const item of window.toResend)
      if (item.unknownSince !== undefined && (item.isOvertaken || !isRepeatable(item.command)))
        item.settle({ refused: outcomeUnknownError() });
    const resend = window.toResend.filter(({ isSettled }) => !isSettled).sort((a, b) => a.order - b.order);
    this.#waiting = [...resend, ...this.#waiting];
  }

  #removeAnswered(window: InFlightWindow, item: QueuedCommand): void {
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
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.max);
  }
}

/** Marks earlier commands of the stream: they were decided before this one, but the answer may be lost. */
function markOvertaken(window: InFlightWindow, { order, stream }: QueuedCommand): void {
  // In order of sending, so that the loop usually ends at once.
  for (const earlier of window.unanswered) {
    if (earlier.order >= order) break;
    if (earlier.stream === stream) earlier.isOvertaken = true;
  }
  for (const earlier of window.toResend)
    if (earlier.order < order && earlier.stream === stream) earlier.isOvertaken = true;
}

const isRepeatable = (command: Command): boolean =>
  commandDeclaration(command.kind).isRepeatable?.(command) ?? true;

const isSame = (a: LeaseHolder, b: LeaseHolder): boolean => a.node === b.node && a.epoch === b.epoch;

/** The owner may have executed the command, and may still. */
export const outcomeUnknownError = (): ParleyError =>
  new ParleyError(
    'unknown',
    'the owner of this partition did not answer; the command may have taken effect',
    RETRY_DETAILS,
  );
