import { NotOwner, overloaded, ParleyError } from '../base/errors.js';
import { AdmissionQueue } from '../base/rateLimits.js';
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
import { buildCommit, type Head, nextRecordedAt } from '../log/commit.js';
import { type Commit, type Outcome, partitionOf } from '../log/log.js';
import { type Prepared, prepare, Task } from './decide.js';
import { Batch } from './decisionBatch.js';
import { takeOver, type WriterTerm } from './takeOver.js';
import type { Lease, WriterDeps } from './writerPorts.js';

/** The limit of commands looked up together, chosen so that two message ids each fit one query. */
const MAX_ROUND_COMMANDS = 128;
const RETRY_DETAILS = { retryAfterMs: 1000 };

/**
 * The writer of one partition, while a lease lasts. One append is in flight at a time. Commands that arrive
 * meanwhile are prepared in rounds and form the next commit. Commands take effect in the order of the calls.
 */
export class Writer {
  readonly #admission = new AdmissionQueue();
  #incoming: Task[] = [];
  /** Commands being prepared now. */
  #round: Task[] = [];
  #ready: Prepared[] = [];
  /**
   * Batches without events, decided while the lease was not provably valid. Their outcome waits for proof
   * that no other node had the partition.
   */
  #unproven: Batch[] = [];
  /** Set from `takeOver` until the lease is given up. */
  #lease: Lease | undefined;
  /** Undefined during a take-over, and without a lease. */
  #term: WriterTerm | undefined;
  /** Must settle before another lease is taken. */
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

  /** The number of commands in progress. */
  get depth(): number {
    return this.#admission.length;
  }

  /**
   * Takes the partition over. Commands for this lease may be submitted at once, and wait. Call it with a new
   * lease only, while none is held or being given up. Throws as the function `takeOver`; nothing is owned
   * then.
   */
  takeOver(lease: Lease): Promise<void> {
    this.#lease = lease;
    this.#taking = this.#take(lease).finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  /**
   * Rejects all commands with `NotOwner`, except those in the append in flight. Resolves when that append and
   * its commands are settled.
   */
  async giveUp(): Promise<void> {
    this.#dropLease();
    await Promise.allSettled([this.#taking, this.#committing]);
  }

  /** Called after a renewal, which proves that no other node had the partition until now. */
  handleRenewal(): void {
    const [term, lease] = [this.#term, this.#lease];
    if (term && lease) this.#settleUnproven(term, lease.validUntil);
  }

  /** See `OwnWriters.submit`. `stream` must be the command's, and of this partition. */
  submit<K extends CommandKind>(
    command: CommandOf<K>,
    commandId: string,
    stream: StreamName,
    epoch: number,
  ): Promise<Answer<K>> {
    if (this.#failed) return Promise.reject(this.#failed);
    if (this.#lease?.epoch !== epoch) return Promise.reject(new NotOwner(this.partition));
    const bytes = bytesOf(command);
    const refusal = this.#admission.checkCapacity(bytes, this.deps.storage.folding.lagMs());
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

  /** Prepares all commands of this turn together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.deps.environment.clock.setImmediate(() => {
      this.#isScheduled = false;
      void this.#prepareRounds();
    });
  }

  /**
   * Prepares one round at a time, so that no command overtakes another. During an append, the next round
   * starts only if it doubles the ready commands: each round costs a query, so that a commit needs few.
   */
  async #prepareRounds(): Promise<void> {
    const term = this.#term;
    while (term && this.#round.length === 0 && this.#incoming.length > 0) {
      if (this.#incoming.length < this.#ready.length) return;
      const round = this.#incoming.splice(0, MAX_ROUND_COMMANDS);
      this.#round = round;
      const prepared = await this.#prepare(round, term);
      // The term was lost meanwhile: these commands are incoming again, or were rejected.
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
      this.deps.events.report(`cannot prepare commands of partition ${this.partition}; refusing them`, cause);
      const why = 'the data needed to decide the command cannot be read; try again';
      for (const task of round) task.refuse(new ParleyError('overloaded', why, RETRY_DETAILS, { cause }));
      return [];
    }
  }

  /** Commits until no command is ready. */
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
      this.deps.storage.bus.publish(commitFrame(commit, { events: batch.events, members: batch.members }));
    } catch (error) {
      // The commit stands: consumers read it from the log.
      this.deps.events.report(
        `cannot publish commit ${position} of partition ${partition}; consumers read it from the log`,
        error,
      );
    }
    // A successful append proves that no other writer came before it.
    this.#settleUnproven(batch.term, Number.POSITIVE_INFINITY);
    batch.settle({ partition, size });
    this.#trim();
  }

  /** Settles the batches decided before `before`, by the clock of the lease. */
  #settleUnproven({ head: { partition, size } }: WriterTerm, before: number): void {
    for (let [first] = this.#unproven; first && first.decidedAt < before; [first] = this.#unproven) {
      this.#unproven.shift();
      first.settle({ partition, size });
    }
  }

  /**
   * Another writer has the position, so that this batch was not stored. While the lease is valid, all
   * commands are decided again in order. Otherwise the other writer owns the partition.
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

  /** Moves all unsettled commands back to the incoming ones, in order. */
  #takeBack(lost?: Batch): void {
    // Batches before the append in flight must wait for its outcome, or that append would overtake them.
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
    const why = 'the log failed; the command may have taken effect';
    for (const task of inFlight)
      task.refuse(new ParleyError('unknown', why, RETRY_DETAILS, { cause: error }));
    this.#failed = overloaded('the log cannot be written');
    this.#lease = undefined;
    this.#refuseAll(this.#failed);
    this.deps.events.onFatal(error);
  }

  /** Refuses commands that were not appended. Nothing was done with them. */
  #refuseAll(refusal: Error): void {
    this.#takeBack();
    const undone = this.#incoming;
    this.#incoming = [];
    for (const task of undone) task.refuse(refusal);
  }

  /** Drops events that the read models have stored. */
  #trim(): void {
    this.#term?.tail.trim(this.deps.storage.folding.folded(this.partition));
  }
}

/** Routes each command to the writer of its partition. `writers` has one per partition, in order. */
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
