import { AdmissionQueue } from '../base/admissionQueue.js';
import { NotOwner, overloaded, ParleyError } from '../base/errors.js';
import { commitFrame } from '../cluster/bus.js';
import {
  type Answer,
  bytesOf,
  type CommandKind,
  type CommandOf,
  type OwnWriters,
} from '../domain/commands.js';
import { partitionOf, type StreamName } from '../domain/ids.js';
import { streamOfCommand } from '../domain/streams.js';
import { buildCommit, type Head, nextRecordedAt } from '../log/commit.js';
import type { Commit, Outcome } from '../log/log.js';
import { Batch } from './batch.js';
import { type Prepared, prepare, Task } from './decide.js';
import { takeOver, type WriterTerm } from './takeOver.js';
import type { Lease, WriterDeps } from './writerPorts.js';

/** The most commands that are looked up at once: two message ids each fit one query. */
const MAX_ROUND_COMMANDS = 128;
const RETRY = { retryAfterMs: 1000 };

/**
 * The writer of one partition, for as long as a lease gives it: one append in flight, no timer. Commands that arrive
 * meanwhile are prepared, in rounds, and form the next commit once the outcome is known. Commands take effect in the
 * order of the calls.
 */
export class Writer {
  readonly #admission = new AdmissionQueue();
  #incoming: Task[] = [];
  /** Being prepared now. */
  #round: Task[] = [];
  #ready: Prepared[] = [];
  /** Decided without an event while the lease was not valid: told when it shows that nobody else had the partition. */
  #unproven: Batch[] = [];
  /** From when it was given until it is given up. */
  #lease: Lease | undefined;
  /** Undefined while the partition is being taken over, and when it is not owned. */
  #term: WriterTerm | undefined;
  /** What must have ended before another lease is given. */
  #taking: Promise<void> | undefined;
  #committing: Promise<void> | undefined;
  #isAppending = false;
  #isScheduled = false;
  #failed: ParleyError | undefined;

  constructor(
    readonly partition: number,
    private readonly deps: WriterDeps,
  ) {
    deps.storage.folding.onAdvance(() => this.#trim());
  }

  /** How many commands are on their way. */
  get depth(): number {
    return this.#admission.length;
  }

  /**
   * Takes the partition over; commands of this lease may be given from now on and wait for it. To be called with a
   * new lease, and while none is held or being given up. Throws as `takeOver` does; nothing is owned then.
   */
  takeOver(lease: Lease): Promise<void> {
    this.#lease = lease;
    this.#taking = this.#take(lease).finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  /**
   * Takes nothing more of its lease, and rejects with `NotOwner` what is not in the append in flight; resolves when
   * that has its outcome, and its commands their answers.
   */
  async giveUp(): Promise<void> {
    this.#dropLease();
    await Promise.allSettled([this.#taking, this.#committing]);
  }

  /** The lease was renewed: nobody else has had the partition. */
  handleRenewal(): void {
    const [term, lease] = [this.#term, this.#lease];
    if (term && lease) this.#settleUnproven(term, lease.validUntil);
  }

  /** See `OwnWriters.submit`; `stream` is the command's, and of this partition. */
  submit<K extends CommandKind>(
    command: CommandOf<K>,
    commandId: string,
    stream: StreamName,
    epoch: number,
  ): Promise<Answer<K>> {
    if (this.#failed) return Promise.reject(this.#failed);
    if (this.#lease?.epoch !== epoch) return Promise.reject(new NotOwner(this.partition));
    const bytes = bytesOf(command);
    const refusal = this.#admission.refusal(bytes, this.deps.storage.folding.lagMs());
    if (refusal) return Promise.reject(refusal);
    this.#admission.enter(bytes);
    return new Promise((resolve, reject) => {
      this.#incoming.push(new Task(command, commandId, stream, bytes, this.#admission, resolve, reject));
      this.#schedule();
    });
  }

  async #take(lease: Lease): Promise<void> {
    try {
      await this.#acquireTerm(lease);
    } catch (error) {
      if (this.#lease === lease) this.#dropLease();
      throw error;
    }
  }

  async #acquireTerm(lease: Lease): Promise<void> {
    const { partition } = this;
    const isWanted = () => this.#lease === lease;
    const term = await takeOver({ partition, lease, isWanted }, this.deps);
    if (!isWanted()) throw new NotOwner(partition);
    this.#term = term;
    this.#schedule();
  }

  /** What one turn of the event loop brings is prepared together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.deps.environment.clock.setImmediate(() => {
      this.#isScheduled = false;
      void this.#prepareRounds();
    });
  }

  /**
   * One round at a time, so that nothing overtakes. While commands wait for the append in flight the next round
   * starts only when it would double them: each costs a query, and there are few of them a commit.
   */
  async #prepareRounds(): Promise<void> {
    const term = this.#term;
    while (term && this.#round.length === 0 && this.#incoming.length > 0) {
      if (this.#incoming.length < this.#ready.length) return;
      const round = this.#incoming.splice(0, MAX_ROUND_COMMANDS);
      this.#round = round;
      const prepared = await this.#prepare(round, term);
      // Lost meanwhile: these commands are among the incoming again, or have been rejected.
      if (this.#term !== term) return;
      this.#round = [];
      this.#ready.push(...prepared);
      if (prepared.length > 0) this.#committing ??= this.#commitAll();
    }
  }

  async #prepare(round: readonly Task[], term: WriterTerm): Promise<Prepared[]> {
    try {
      return await prepare(round, term, this.deps.lookups);
    } catch (cause) {
      if (this.#term !== term) return [];
      this.deps.events.report(`commands of partition ${this.partition} could not be prepared`, cause);
      const why = 'what deciding needs cannot be read';
      for (const task of round) task.refuse(new ParleyError('overloaded', why, RETRY, { cause }));
      return [];
    }
  }

  /** There is something to commit. */
  async #commitAll(): Promise<void> {
    try {
      while (this.#term && this.#ready.length > 0) await this.#commitOne(this.#term);
    } finally {
      this.#committing = undefined;
    }
  }

  async #commitOne(term: WriterTerm): Promise<void> {
    const { clock, now, isKnownToAll } = this.deps.environment;
    const batch = new Batch(term, nextRecordedAt(term.head, now()), clock.now(), isKnownToAll);
    let taken = 0;
    for (const prepared of this.#ready) {
      if (!batch.take(prepared)) break;
      taken++;
    }
    this.#ready.splice(0, taken);
    this.#schedule();
    if (batch.events.length === 0) {
      if (batch.tasks.length > 0) this.#unproven.push(batch);
      return;
    }
    const appended = await this.#append(batch).catch((error: unknown) => this.#fail(error, batch.tasks));
    if (appended?.outcome.kind === 'committed') this.#handleCommitted(batch, appended.commit, appended.head);
    else if (appended) await this.#handleLost(batch);
  }

  async #append(batch: Batch): Promise<{ outcome: Outcome; commit: Commit; head: Head }> {
    const { term, recordedAt, leaves } = batch;
    const proposal = { epoch: term.epoch, recordedAt, leaves, id: this.deps.environment.newId() };
    const { commit, head } = buildCommit({ head: term.head, ...proposal });
    const before = this.deps.environment.clock.now();
    this.#isAppending = true;
    const outcome = await this.deps.storage.log.append(commit).finally(() => {
      this.#isAppending = false;
    });
    const ms = this.deps.environment.clock.now() - before;
    this.deps.events.onAppend?.({ partition: this.partition, events: leaves.length, ms });
    return { outcome, commit, head };
  }

  #handleCommitted(batch: Batch, commit: Commit, head: Head): void {
    const { partition, position, size } = commit;
    batch.term.head = head;
    try {
      this.deps.storage.bus.publish(commitFrame(commit, batch.events));
    } catch (error) {
      // A doorbell: consumers read from the log what they missed. The commit stands.
      this.deps.events.report(`the commit ${position} of partition ${partition} was not published`, error);
    }
    // Whoever appends has seen all that was there: what was decided before was true.
    this.#settleUnproven(batch.term, Number.POSITIVE_INFINITY);
    batch.settle({ partition, size });
    this.#trim();
  }

  /** Tells what was decided before then, of the clock of the lease. */
  #settleUnproven({ head: { partition, size } }: WriterTerm, before: number): void {
    for (let [first] = this.#unproven; first && first.decidedAt < before; [first] = this.#unproven) {
      this.#unproven.shift();
      first.settle({ partition, size });
    }
  }

  /**
   * Another writer has the position, so nothing of ours is stored. While the lease is valid all is decided again, in
   * the same order; else it is the other's.
   */
  async #handleLost(batch: Batch): Promise<void> {
    const lease = this.#lease;
    this.#takeBack(batch);
    if (!lease) return this.#dropLease();
    try {
      await this.#acquireTerm(lease);
    } catch (error) {
      if (!(error instanceof NotOwner)) return this.#fail(error, []);
      this.#dropLease();
      this.deps.events.onDeposed(this.partition);
    }
  }

  /** Makes all that is not told commands again that have just come, in their order. */
  #takeBack(lost?: Batch): void {
    // What was decided before the append in flight shares its outcome: else what is in that would overtake it.
    const unproven = this.#isAppending ? [] : this.#unproven.flatMap(({ tasks }) => tasks);
    const ready = this.#ready.map(({ task }) => task);
    this.#incoming = [...unproven, ...(lost?.tasks ?? []), ...ready, ...this.#round, ...this.#incoming];
    this.#term = undefined;
    if (!this.#isAppending) this.#unproven = [];
    this.#ready = [];
    this.#round = [];
  }

  #dropLease(): void {
    this.#lease = undefined;
    this.#refuseAll(new NotOwner(this.partition));
  }

  #fail(error: unknown, inFlight: readonly Task[]): undefined {
    const why = 'the log failed: it may have happened';
    for (const task of inFlight) task.refuse(new ParleyError('unknown', why, RETRY, { cause: error }));
    this.#failed = overloaded('the log cannot be written');
    this.#lease = undefined;
    this.#refuseAll(this.#failed);
    this.deps.events.onFatal(error);
  }

  /** With what has not been tried nothing was done. */
  #refuseAll(refusal: Error): void {
    this.#takeBack();
    const undone = this.#incoming;
    this.#incoming = [];
    for (const task of undone) task.refuse(refusal);
  }

  /** Forgets what both models that the tail stands in for have stored. */
  #trim(): void {
    const { folding } = this.deps.storage;
    const { partition } = this;
    this.#term?.tail.trim(
      Math.min(folding.folded('states', partition), folding.folded('messages', partition)),
    );
  }
}

/** Routes each command to the writer of its stream's partition; `writers` has one a partition, in order. */
export function routeToWriters(writers: readonly Pick<Writer, 'submit'>[]): OwnWriters {
  return {
    submit(command, commandId, epoch) {
      const stream = streamOfCommand(command);
      const partition = partitionOf(stream, writers.length);
      const writer = writers[partition];
      if (!writer) throw new RangeError(`partition ${partition} has no writer`);
      return writer.submit(command, commandId, stream, epoch);
    },
  };
}
