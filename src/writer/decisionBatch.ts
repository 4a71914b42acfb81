import { overloaded } from '../base/errors.js';
import { downcastEvent, encodeEvent, upcastEvent } from '../domain/codec.js';
import type { Answers, CommandKind, Moment } from '../domain/commands.js';
import type { NewEventOf } from '../domain/defineEvent.js';
import { membersIn, type Recorded } from '../domain/events.js';
import type { Time } from '../domain/fields.js';
import type { StreamName, UserId } from '../domain/ids.js';
import { COMMIT_LIMITS, CommitTooLarge } from '../log/commit.js';
import { decide, type Prepared, type SealedText, sealEvent, type Task } from './decide.js';
import type { StreamState } from './streamState.js';
import type { WriterTerm } from './takeOver.js';
import type { WriterEnvironment } from './writerPorts.js';

/** An outcome that is sent when the batch is durable. */
type Waiting = {
  readonly prepared: Prepared;
  readonly outcome: { readonly answer: Answers[CommandKind] } | { readonly refused: Error };
};

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
  /** The members of the rooms of its events. */
  readonly members = new Map<StreamName, readonly UserId[]>();
  #bytes = 0;
  readonly #waiting: Waiting[] = [];
  readonly #dirty = new Set<StreamState>();
  readonly #isProven: boolean;

  /** `recordedAt`: the commit's time. `decidedAt`: now, on the clock of the lease. */
  constructor(
    readonly term: WriterTerm,
    readonly recordedAt: Time,
    readonly decidedAt: number,
    private readonly isKnownToAll: WriterEnvironment['isKnownToAll'],
  ) {
    this.#isProven = decidedAt < term.lease.validUntil;
  }

  /** The commands whose outcomes wait, in order. */
  get tasks(): Task[] {
    return this.#waiting.map(({ prepared }) => prepared.task);
  }

  /** Decides one more command. Returns false if its events do not fit: decide it again for the next commit. */
  take(prepared: Prepared): boolean {
    const { task } = prepared;
    try {
      const decision = decide(prepared, this.term.tail, this.recordedAt);
      if ('refused' in decision) {
        this.#settle({ prepared, outcome: decision });
        return true;
      }
      if (!this.#add(decision.events, prepared)) return false;
      this.#settle({ prepared, outcome: { answer: decision.answer } });
    } catch (error) {
      // Thrown before anything was added: it concerns this command alone.
      this.#done(prepared);
      task.refuse(error);
    }
    return true;
  }

  /** Sends all waiting outcomes, in order. Call it when the commit is durable, or is empty and the lease was valid. */
  settle(moment: Moment): void {
    for (const stream of this.#dirty) stream.isDirty = false;
    for (const waiting of this.#waiting) this.#tell(waiting, moment);
  }

  #add(decided: readonly NewEventOf<string, object>[], { task, stream, found }: Prepared): boolean {
    const { partition, size } = this.term.head;
    const first = size + this.events.length;
    const events: { readonly event: Recorded; readonly leaf: string; readonly bytes: number }[] = [];
    const sealedTexts: SealedText[] = [];
    let bytes = this.#bytes;
    for (const { type: decidedType, stream: name, data } of decided) {
      const { commandId, actor } = task;
      const plain = {
        partition,
        offset: first + events.length,
        stream: name,
        version: stream.version + events.length + 1,
        type: decidedType,
        data,
        actor,
        recordedAt: this.recordedAt,
        commandId,
      } as Recorded; // Deciders make events by their declarations, so that type and data belong together.
      const { event: sealed, text } = sealEvent(plain, found);
      if (text) sealedTexts.push(text);
      const stored = downcastEvent(sealed.type, sealed.data, this.isKnownToAll);
      if (!stored) throw overloaded('a node does not know this kind of event yet');
      // If an older form is stored, use only its data, because every node folds that data.
      const event =
        stored.type === sealed.type
          ? sealed
          : ({ ...sealed, ...upcastEvent(stored.type, stored.data) } as Recorded); // The data is of the type.
      const leaf = encodeEvent(event, stored);
      const length = Buffer.byteLength(leaf);
      if (length > COMMIT_LIMITS.leafBytes) throw new CommitTooLarge('leafBytes', length);
      bytes += length;
      events.push({ event, leaf, bytes: length });
    }
    if (this.events.length + events.length > COMMIT_LIMITS.events || bytes > COMMIT_LIMITS.bytes)
      return false;
    this.#bytes = bytes;
    for (const { event, leaf, bytes: size } of events) {
      stream.evolve(event);
      this.term.tail.add(event, size);
      this.term.ids.add(event);
      this.events.push(event);
      this.leaves.push(leaf);
    }
    for (const { sealed, text } of sealedTexts) this.texts.set(sealed, text);
    if (events.length > 0) {
      const members = membersIn(stream.state);
      if (members.length > 0) this.members.set(stream.name, members);
      stream.isDirty = true;
      this.#dirty.add(stream);
    }
    return true;
  }

  #settle(waiting: Waiting): void {
    const { partition, size } = this.term.head;
    if (waiting.prepared.stream.isDirty || !this.#isProven) this.#waiting.push(waiting);
    else this.#tell(waiting, { partition, size });
  }

  #tell({ prepared, outcome }: Waiting, moment: Moment): void {
    this.#done(prepared);
    if ('refused' in outcome) prepared.task.refuse(outcome.refused);
    else prepared.task.answer({ ...outcome.answer, moment });
  }

  #done({ stream, pin }: Prepared): void {
    this.term.streams.release(stream);
    this.term.tail.unpin(pin);
  }
}
