import { overloaded } from '../base/errors.js';
import { type AdmissionQueue, takeInTurn } from '../base/rateLimits.js';
import { downcastEvent, encodeEvent, upcastEvent } from '../domain/codec.js';
import type { Answers, CommandKind, Moment } from '../domain/commands.js';
import type { Decision } from '../domain/defineCommand.js';
import {
  type Audience,
  isGroupAudience,
  type NewEventOf,
  type SealedMessage,
} from '../domain/defineEvent.js';
import { declarationOf, membersIn, type Recorded, shownBy } from '../domain/events.js';
import type { Time } from '../domain/fields.js';
import type { StreamName, UserId } from '../domain/ids.js';
import { isGroup } from '../domain/streams.js';
import { COMMIT_LIMITS, CommitTooLarge } from '../log/commit.js';
import { decide, messageNow, type SealedText, sealField } from './decide.js';
import { MAX_ROUND_COMMANDS, type Prepared, type Task } from './prepare.js';
import type { StreamState } from './streamState.js';
import type { WriterTerm } from './takeOver.js';
import { PreferencesMissing, type ReadModels, type WriterEnvironment } from './writerPorts.js';

/** A decision that its caller is told when the batch is durable. */
interface Waiting {
  readonly prepared: Prepared;
  readonly decision: Decision<Answers[CommandKind]>;
}

/** An event of a decision, as it is to be stored. */
interface NewLeaf {
  readonly event: Recorded;
  readonly leaf: string;
  readonly bytes: number;
  readonly texts: readonly SealedText[];
}

const NO_FIELDS: readonly never[] = [];
/** A leaf of a mark takes less. */
const MARK_BYTES = 512;

/** The member and the group of a mark, or of a leaving. */
function markKey({ stream, data }: NewEventOf<string, object>): string {
  // Both events name their member.
  return `${stream}/${(data as { readonly userId: UserId }).userId}`;
}

/** What a batch needs of its writer. */
interface BatchDeps {
  readonly knownToAll: WriterEnvironment['knownToAll'];
  /** Left by each command when its outcome is told. */
  readonly admission: AdmissionQueue;
}

/**
 * The events of one commit, decided one command after the other. An answer that depends on this batch waits until
 * the batch is durable. Other answers without events are sent at once while the lease is valid. Without a valid
 * lease they wait: another writer may have changed the state.
 */
export class Batch {
  readonly events: Recorded[] = [];
  readonly leaves: string[] = [];
  /** The texts of its events, by their sealed form. */
  readonly texts = new Map<string, string>();
  /** By offset, the messages that pushes of its events show. */
  messages: Map<number, SealedMessage> | undefined;
  /** The members of the rooms of its events. */
  readonly members = new Map<StreamName, Audience>();
  #bytes = 0;
  /** The newest mark of each member of a group: of those in one commit only the last is recorded. */
  readonly #marks = new Map<
    string,
    { readonly event: NewEventOf<string, object>; readonly prepared: Prepared }
  >();
  readonly #waiting: Waiting[] = [];
  readonly #dirty = new Set<StreamState>();
  readonly #isProven: boolean;
  missing: PreferencesMissing | undefined;

  /** `recordedAt`: the commit's time. `decidedAt`: now, on the clock of the lease. */
  constructor(
    readonly term: WriterTerm,
    readonly recordedAt: Time,
    readonly decidedAt: number,
    private readonly deps: BatchDeps,
  ) {
    this.#isProven = decidedAt < term.lease.validUntil;
  }

  /** The commands whose outcomes wait, in order. */
  get tasks(): Task[] {
    return this.#waiting.map(({ prepared }) => prepared.task);
  }

  /** Decides one more command. Returns false if its events do not fit, or a fact is `missing`: decide it again later. */
  take(prepared: Prepared): boolean {
    const { task, stream } = prepared;
    try {
      const decision = decide(prepared, this.term, this.recordedAt);
      if ('events' in decision && decision.events.length > 0 && !this.#take(decision.events, prepared))
        return false;
      const { partition, size } = this.term.head;
      if (stream.isDirty || !this.#isProven) this.#waiting.push({ prepared, decision });
      else this.#tell(prepared, decision, { partition, size });
    } catch (error) {
      if (error instanceof PreferencesMissing) {
        this.missing = error;
        return false;
      }
      // Thrown before anything was added: it concerns this command alone.
      stream.release();
      this.deps.admission.leave(task.bytes);
      task.reject(error);
    }
    return true;
  }

  /** Sends all waiting outcomes, in order. Call it when the commit is durable, or is empty and the lease was valid. */
  settle(moment: Moment): void {
    for (const stream of this.#dirty) stream.isDirty = false;
    for (const { prepared, decision } of this.#waiting) this.#tell(prepared, decision, moment);
  }

  /** Adds the marks that were held back, when no more commands come. Returns whether there are events. */
  finish(): boolean {
    for (const key of this.#marks.keys()) this.#addMark(key);
    return this.events.length > 0;
  }

  /** Takes the events of a decision, or none of them if they do not fit. Holds back a mark in a group. */
  #take(decided: readonly NewEventOf<string, object>[], prepared: Prepared): boolean {
    const { stream } = prepared;
    const [event] = decided;
    if (!isGroup(stream.state) || !event) return this.#add(decided, prepared);
    for (const one of decided) if (one.type === 'MemberLeft') this.#addMark(markKey(one));
    if (event.type !== 'MessagesRead') return this.#add(decided, prepared);
    const key = markKey(event);
    if (!this.#marks.has(key) && !this.#hasRoom(1, MARK_BYTES)) return false;
    this.#marks.set(key, { event, prepared });
    stream.preview(event);
    stream.isDirty = true;
    this.#dirty.add(stream);
    return true;
  }

  /** Adds a member's newest mark, if one is held back. */
  #addMark(key: string): void {
    const mark = this.#marks.get(key);
    if (!mark) return;
    this.#marks.delete(key);
    // There is room: it was counted.
    if (!this.#add([mark.event], mark.prepared)) throw new Error('a mark does not fit into its commit');
  }

  /** Whether `events` more events of `bytes` together fit into the commit beside the marks that are held back. */
  #hasRoom(events: number, bytes: number): boolean {
    const { size } = this.#marks;
    return (
      this.events.length + size + events <= COMMIT_LIMITS.events &&
      this.#bytes + size * MARK_BYTES + bytes <= COMMIT_LIMITS.bytes
    );
  }

  /** Adds the events of a decision, or none of them if they do not fit. */
  #add(decided: readonly NewEventOf<string, object>[], prepared: Prepared): boolean {
    const { head, tail, ids } = this.term;
    const { stream, named } = prepared;
    const made: NewLeaf[] = [];
    let bytes = 0;
    for (const event of decided) {
      const one = this.#encode(event, prepared, head.size + this.events.length, made.length);
      bytes += one.bytes;
      made.push(one);
    }
    if (!this.#hasRoom(made.length, bytes)) return false;
    this.#bytes += bytes;
    for (const { event, leaf, texts } of made) {
      stream.evolve(event);
      tail.add(event, leaf);
      ids.add(event, named);
      this.events.push(event);
      this.leaves.push(leaf);
      this.#keepShown(event, prepared);
      for (const { sealed, text } of texts) this.texts.set(sealed, text);
    }
    const members = membersIn(stream.state);
    if (isGroupAudience(members) || members.length > 0) this.members.set(stream.name, members);
    stream.isDirty = true;
    this.#dirty.add(stream);
    return true;
  }

  /** Keeps the message that the event's push shows, as it is after the event. */
  #keepShown(event: Recorded, prepared: Prepared): void {
    const shown = shownBy(event);
    const message = shown && messageNow(shown, prepared, this.term);
    if (!message) return;
    // Pushes show neither the earlier texts nor the ids of edits.
    const { first: _, edits: __, ...rest } = message;
    this.messages ??= new Map();
    this.messages.set(event.offset, rest);
  }

  /** The decision's event number `i` as it is stored; `first` is the offset of the decision's first event. */
  #encode(
    { type, stream: name, data }: NewEventOf<string, object>,
    prepared: Prepared,
    first: number,
    i: number,
  ): NewLeaf {
    const { task, stream } = prepared;
    const decided = {
      partition: this.term.head.partition,
      offset: first + i,
      stream: name,
      version: stream.version + i + 1,
      type,
      data,
      actor: task.actor,
      recordedAt: this.recordedAt,
      commandId: task.commandId,
    } as Recorded; // Deciders make events by their declarations, so that type and data belong together.
    if (task.via !== undefined) Object.assign(decided, { via: task.via });
    const texts: SealedText[] = [];
    let sealedData: Record<string, unknown> | undefined;
    for (const field of declarationOf(decided.type).sealed ?? NO_FIELDS) {
      const text = sealField(decided, field, prepared);
      if (!text) continue;
      texts.push(text);
      sealedData ??= { ...data };
      sealedData[field.field] = text.sealed;
    }
    // The sealed form of a text is a text.
    let event = sealedData ? ({ ...decided, data: sealedData } as unknown as Recorded) : decided;
    const { knownToAll } = this.deps;
    const stored = knownToAll.has(type)
      ? event
      : downcastEvent(event.type, event.data, (each) => knownToAll.has(each));
    if (!stored) throw overloaded('a node does not know this kind of event yet: upgrade all nodes');
    // If an older form is stored, use only its data, which every node folds. It is of the type.
    if (stored.type !== type) event = { ...event, ...upcastEvent(stored.type, stored.data) } as Recorded;
    const leaf = encodeEvent(event, stored);
    const bytes = Buffer.byteLength(leaf);
    if (bytes > COMMIT_LIMITS.leafBytes) throw new CommitTooLarge('leafBytes', bytes);
    return { event, leaf, bytes, texts };
  }

  #tell({ task, stream }: Prepared, decision: Waiting['decision'], moment: Moment): void {
    stream.release();
    this.deps.admission.leave(task.bytes);
    if ('refused' in decision) task.reject(decision.refused);
    // A caller takes what its command's kind is answered with, and a writer gives no other.
    else task.resolve({ ...decision.answer, moment } as never);
  }
}

/** The prepared command with the preferences of one more user. Rejects if they cannot be read. */
async function withPreferences(
  prepared: Prepared,
  { user }: PreferencesMissing,
  reads: Pick<ReadModels, 'preferences'>,
): Promise<Prepared> {
  const { found } = prepared;
  const preferences = new Map([...found.preferences, ...(await reads.preferences([user]))]);
  return { ...prepared, found: { ...found, preferences } };
}

/** Of more commands than a round: those of the next one, each actor's in turn, and those that wait. */
export function splitRound(tasks: readonly Task[]): { round: Task[]; rest: Task[] } {
  const round = new Set(takeInTurn(tasks, ({ actor }) => actor, MAX_ROUND_COMMANDS));
  return { round: [...round], rest: tasks.filter((task) => !round.has(task)) };
}

interface ReadyOwner {
  /** Called when the first command, which lacked a fact, can be decided. */
  readonly onComplete: () => void;
  /** The fact cannot be read: nothing was done. */
  readonly refuse: (task: Task, error: unknown) => void;
}

/** Commands that are ready to be decided, in order. While the first lacks a fact, none is decided. */
export class ReadyCommands {
  #commands: Prepared[] = [];
  #isCompleting = false;

  constructor(
    private readonly reads: Pick<ReadModels, 'preferences'>,
    private readonly owner: ReadyOwner,
  ) {}

  get length(): number {
    return this.#commands.length;
  }

  get tasks(): Task[] {
    return this.#commands.map(({ task }) => task);
  }

  /** The tail must keep everything above; undefined without commands. The first has the lowest floor. */
  get floor(): number | undefined {
    return this.#commands[0]?.floor;
  }

  /** Whether there is a command that can be decided now. */
  get isDecidable(): boolean {
    return this.#commands.length > 0 && !this.#isCompleting;
  }

  add(prepared: readonly Prepared[]): void {
    this.#commands.push(...prepared);
  }

  clear(): void {
    this.#commands = [];
  }

  /** Decides into the batch what fits. */
  decideInto(batch: Batch): void {
    let taken = 0;
    for (const prepared of this.#commands) {
      if (!batch.take(prepared)) break;
      taken++;
    }
    this.#commands.splice(0, taken);
    const [first] = this.#commands;
    if (batch.missing && first) void this.#complete(first, batch.missing);
  }

  async #complete(first: Prepared, missing: PreferencesMissing): Promise<void> {
    const { onComplete, refuse } = this.owner;
    this.#isCompleting = true;
    try {
      const complete = await withPreferences(first, missing, this.reads);
      // Another one is the first if the term was lost meanwhile.
      if (this.#commands[0] === first) this.#commands[0] = complete;
    } catch (error) {
      if (this.#commands[0] === first) {
        this.#commands.shift();
        first.stream.release();
        refuse(first.task, error);
      }
    }
    this.#isCompleting = false;
    onComplete();
  }
}
