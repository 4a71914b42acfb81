import { NotOwner, overloaded, ParleyError } from '../base/errors.js';
import { Queue } from '../base/limits.js';
import { commitFrame } from '../cluster/bus.js';
import {
  type Answer,
  bytesOf,
  type CommandKind,
  type CommandOf,
  type OwnWriters,
  streamOfCommand,
} from '../domain/commands.js';
import type { StreamName } from '../domain/ids.js';
import { buildCommit, type Head, timeAfter } from '../log/commit.js';
import type { Commit, Outcome } from '../log/log.js';
import { partitionOf } from '../log/log.js';
import { Batch } from './batch.js';
import { type Prepared, prepare, Task } from './decide.js';
import { type Term, takeOver } from './takeOver.js';
import type { Lease, WriterDeps } from './writerPorts.js';

/** The most commands that are looked up at once: two message ids each fit one query. */
const ROUND = 128;
const RETRY = { retryAfterMs: 1000 };

/**
 * The writer of one partition, for as long as a lease gives it: one append in flight, no timer. Commands that arrive
 * meanwhile are prepared, in rounds, and form the next commit once the outcome is known. Commands take effect in the
 * order of the calls.
 */
export class Writer {
  readonly #queue = new Queue();
  #incoming: Task[] = [];
  /** Being prepared now. */
  #round: Task[] = [];
  #ready: Prepared[] = [];
  /** Decided without an event while the lease was not valid: told when it shows that nobody else had the partition. */
  #unproven: Batch[] = [];
  /** From when it was given until it is given up. */
  #lease: Lease | undefined;
  /** Undefined while the partition is being taken over, and when it is not owned. */
  #term: Term | undefined;
  /** What must have ended before another lease is given. */
  #taking: Promise<void> | undefined;
  #committing: Promise<void> | undefined;
  #isAppending = false;
  #isWoken = false;
  #failed: ParleyError | undefined;

  constructor(
    readonly partition: number,
    private readonly deps: WriterDeps,
  ) {
    deps.folding.onAdvance(() => this.#trim());
  }

  /** How many commands are on their way. */
  get depth(): number {
    return this.#queue.length;
  }

  /**
   * Takes the partition over; commands of this lease may be given from now on and wait for it. To be called with a
   * new lease, and while none is held or being given up. Throws as `takeOver` does; nothing is owned then.
   */
  take(lease: Lease): Promise<void> {
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
    this.#letGo();
    await Promise.allSettled([this.#taking, this.#committing]);
  }

  /** The lease was renewed: nobody else has had the partition. */
  renewed(): void {
    const [term, lease] = [this.#term, this.#lease];
    if (term && lease) this.#tellUnproven(term, lease.validUntil);
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
    const refusal = this.#queue.refusal(bytes, this.deps.folding.lagMs());
    if (refusal) return Promise.reject(refusal);
    this.#queue.enter(bytes);
    return new Promise((resolve, reject) => {
      this.#incoming.push(new Task(command, commandId, stream, bytes, this.#queue, resolve, reject));
      this.#wake();
    });
  }

  async #take(lease: Lease): Promise<void> {
    try {
      await this.#takeOver(lease);
    } catch (error) {
      if (this.#lease === lease) this.#letGo();
      throw error;
    }
  }

  async #takeOver(lease: Lease): Promise<void> {
    const { partition } = this;
    const isWanted = () => this.#lease === lease;
    const term = await takeOver({ partition, lease, isWanted }, this.deps);
    if (!isWanted()) throw new NotOwner(partition);
    this.#term = term;
    this.#wake();
  }

  /** What one turn of the event loop brings is prepared together. */
  #wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    this.deps.clock.soon(() => {
      this.#isWoken = false;
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
      const round = this.#incoming.splice(0, ROUND);
      this.#round = round;
      const prepared = await this.#prepare(round, term);
      // Lost meanwhile: these commands are among the incoming again, or have been rejected.
      if (this.#term !== term) return;
      this.#round = [];
      this.#ready.push(...prepared);
      if (prepared.length > 0) this.#committing ??= this.#commitAll();
    }
  }

  async #prepare(round: readonly Task[], term: Term): Promise<Prepared[]> {
    try {
      return await prepare(round, term, this.deps);
    } catch (cause) {
      if (this.#term !== term) return [];
      this.deps.report(`commands of partition ${this.partition} could not be prepared`, cause);
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

  async #commitOne(term: Term): Promise<void> {
    const { clock, now, isKnownToAll } = this.deps;
    const batch = new Batch(term, timeAfter(term.head, now()), clock.now(), isKnownToAll);
    let taken = 0;
    for (const prepared of this.#ready) {
      if (!batch.take(prepared)) break;
      taken++;
    }
    this.#ready.splice(0, taken);
    this.#wake();
    if (batch.events.length === 0) {
      if (batch.tasks.length > 0) this.#unproven.push(batch);
      return;
    }
    const appended = await this.#append(batch).catch((error: unknown) => this.#fail(error, batch.tasks));
    if (appended?.outcome.kind === 'committed') this.#committed(batch, appended.commit, appended.head);
    else if (appended) await this.#lost(batch);
  }

  async #append(batch: Batch): Promise<{ outcome: Outcome; commit: Commit; head: Head }> {
    const { term, recordedAt, leaves } = batch;
    const proposal = { epoch: term.epoch, recordedAt, leaves, id: this.deps.newId() };
    const { commit, head } = buildCommit({ head: term.head, ...proposal });
    const before = this.deps.clock.now();
    this.#isAppending = true;
    const outcome = await this.deps.log.append(commit).finally(() => {
      this.#isAppending = false;
    });
    const ms = this.deps.clock.now() - before;
    this.deps.onAppend?.({ partition: this.partition, events: leaves.length, ms });
    return { outcome, commit, head };
  }

  #committed(batch: Batch, commit: Commit, head: Head): void {
    const { partition, position, size } = commit;
    batch.term.head = head;
    try {
      this.deps.bus.publish(commitFrame(commit, batch.events));
    } catch (error) {
      // A doorbell: consumers read from the log what they missed. The commit stands.
      this.deps.report(`the commit ${position} of partition ${partition} was not published`, error);
    }
    // Whoever appends has seen all that was there: what was decided before was true.
    this.#tellUnproven(batch.term, Number.POSITIVE_INFINITY);
    batch.settle({ partition, size });
    this.#trim();
  }

  /** Tells what was decided before then, of the clock of the lease. */
  #tellUnproven({ head: { partition, size } }: Term, before: number): void {
    for (let [first] = this.#unproven; first && first.decidedAt < before; [first] = this.#unproven) {
      this.#unproven.shift();
      first.settle({ partition, size });
    }
  }

  /**
   * Another writer has the position, so nothing of ours is stored. While the lease is valid all is decided again, in
   * the same order; else it is the other's.
   */
  async #lost(batch: Batch): Promise<void> {
    const lease = this.#lease;
    this.#takeBack(batch);
    if (!lease) return this.#letGo();
    try {
      await this.#takeOver(lease);
    } catch (error) {
      if (!(error instanceof NotOwner)) return this.#fail(error, []);
      this.#letGo();
      this.deps.onDeposed(this.partition);
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

  #letGo(): void {
    this.#lease = undefined;
    this.#refuseAll(new NotOwner(this.partition));
  }

  #fail(error: unknown, inFlight: readonly Task[]): undefined {
    const why = 'the log failed: it may have happened';
    for (const task of inFlight) task.refuse(new ParleyError('unknown', why, RETRY, { cause: error }));
    this.#failed = overloaded('the log cannot be written');
    this.#lease = undefined;
    this.#refuseAll(this.#failed);
    this.deps.onFatal(error);
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
    const { folding } = this.deps;
    const { partition } = this;
    this.#term?.tail.trim(
      Math.min(folding.folded('states', partition), folding.folded('messages', partition)),
    );
  }
}

/** Routes each command to the writer of its stream's partition; `writers` has one a partition, in order. */
export function ownWriters(writers: readonly Pick<Writer, 'submit'>[]): OwnWriters {
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
