import { NotOwner, overloaded, ParleyError } from '../base/errors.js';
import { AdmissionQueue } from '../base/rateLimits.js';
import { outcomeUnknownError } from '../cluster/partitionQueue.js';
import { buildCommit, type Head, nextRecordedAt } from '../log/commit.js';
import type { Commit } from '../log/log.js';
import { Batch, ReadyCommands, splitRound } from './decisionBatch.js';
import { MAX_ROUND_COMMANDS, type Prepared, prepare, type Task } from './prepare.js';
import { takeOver, type WriterTerm } from './takeOver.js';
import type { Lease, WriterDeps } from './writerPorts.js';

/** Leaves of all partitions that the read models may not have stored yet. They are kept in memory. */
const MAX_UNFOLDED_BYTES = 64 * 1024 * 1024;
const RETRY_DETAILS = { retryAfterMs: 1000 };
/**
 * The writer of one partition, while a lease lasts. One append is in flight at a time. Commands that arrive
 * meanwhile form the next commit. An idle writer commits at the end of the turn. Under load, the commits of all
 * writers begin together, at the pace of `PacedCalls`, so that one sync carries many commands. Commands take effect
 * in the order of the calls. When more wait than are decided at once, each actor's turn comes in a circle.
 */
export class Writer {
  readonly #admission = new AdmissionQueue();
  readonly #maxUnfoldedBytes: number;
  #incoming: Task[] = [];
  /** Commands whose look-ups are under way, and the floor of the tail when these began. */
  #round: Task[] = [];
  #roundFloor = 0;
  readonly #ready: ReadyCommands;
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
  /** The append in flight, until its commands are settled. */
  #committing: Promise<void> | undefined;
  /** The batch of that append. */
  #inFlight: Batch | undefined;
  #isAppending = false;
  #isScheduled = false;
  #isTrimming = false;
  #failed: ParleyError | undefined;

  constructor(
    readonly partition: number,
    private readonly deps: WriterDeps,
  ) {
    this.#maxUnfoldedBytes = MAX_UNFOLDED_BYTES / deps.storage.log.partitions;
    const refuse = (task: Task, error: unknown) => this.#refuseRound([task], error);
    this.#ready = new ReadyCommands(deps.lookups.reads, { onComplete: () => this.#schedule(), refuse });
    deps.storage.folding.onAdvance(this.#trim);
  }

  /** The number of commands in progress. */
  get depth(): number {
    return this.#admission.length;
  }

  /** When the oldest command in progress was submitted, by the clock of the leases; infinity if there is none. */
  get oldestAt(): number {
    return Math.min(...this.#tasks().map(({ submittedAt }) => submittedAt));
  }

  /** Tells callers who asked up to `before` that the outcome is unknown. Their commands go on. */
  expire(before: number): void {
    for (const task of this.#tasks()) if (task.submittedAt <= before) task.reject(outcomeUnknownError());
  }

  /** The commands in progress. */
  #tasks(): Task[] {
    const decided = [...(this.#inFlight?.tasks ?? []), ...this.#unproven.flatMap(({ tasks }) => tasks)];
    return [...decided, ...this.#ready.tasks, ...this.#round, ...this.#incoming];
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

  /** Takes a command of this partition, for the lease of this epoch. It is refused, nothing done, if that is not held. */
  submit(task: Task, epoch: number): void {
    const refusal =
      this.#failed ??
      (this.#lease?.epoch === epoch ? undefined : new NotOwner(this.partition)) ??
      (this.#term && this.#term.tail.bytes >= this.#maxUnfoldedBytes ? this.#checkUnfolded() : undefined) ??
      this.#admission.enter(task.bytes);
    if (refusal) return task.reject(refusal);
    this.#incoming.push(task);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.deps.environment.pace.add(this.#advance);
  }

  /** Refuses commands while the read models stand still, before their lag fills the memory. */
  #checkUnfolded(): ParleyError | undefined {
    this.#trimFolded();
    if (!this.#term || this.#term.tail.bytes < this.#maxUnfoldedBytes) return undefined;
    return overloaded('the read models are too far behind the log');
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

  /** Prepares what has arrived, and commits what is ready. Returns whether it began an append. */
  readonly #advance = (): boolean => {
    this.#isScheduled = false;
    this.#prepareRounds();
    return this.#term !== undefined && this.#committing === undefined && this.#commit(this.#term);
  };

  /**
   * Prepares one round at a time, so that no command overtakes another. A round whose facts are all in memory
   * is prepared at once. During an append, a round starts only if it doubles the ready commands, so that a
   * commit needs few queries.
   */
  #prepareRounds(): void {
    const term = this.#term;
    while (term && this.#round.length === 0 && this.#incoming.length > 0) {
      if (this.#isAppending && this.#incoming.length < this.#ready.length) return;
      let round = this.#incoming;
      if (round.length <= MAX_ROUND_COMMANDS) this.#incoming = [];
      else ({ round, rest: this.#incoming } = splitRound(round));
      try {
        const prepared = prepare(round, term, this.deps.lookups);
        if (Array.isArray(prepared)) this.#ready.add(prepared);
        else {
          this.#round = round;
          this.#roundFloor = term.tail.floor;
          void this.#finishRound(prepared, term);
        }
      } catch (error) {
        this.#refuseRound(round, error);
      }
    }
  }

  async #finishRound(preparing: Promise<Prepared[]>, term: WriterTerm): Promise<void> {
    let prepared: Prepared[] = [];
    try {
      prepared = await preparing;
    } catch (error) {
      if (this.#term === term) this.#refuseRound(this.#round, error);
    }
    // The term was lost meanwhile: these commands are incoming again, or were rejected.
    if (this.#term !== term) return;
    this.#round = [];
    this.#ready.add(prepared);
    this.#schedule();
  }

  #refuseRound(round: readonly Task[], cause: unknown): void {
    this.deps.events.report(`cannot prepare commands of partition ${this.partition}; refusing them`, cause);
    const why = 'the data needed to decide the command cannot be read; try again';
    for (const task of round)
      this.#refuse(task, new ParleyError('overloaded', why, RETRY_DETAILS, { cause }));
  }

  #refuse(task: Task, error: unknown): void {
    this.#admission.leave(task.bytes);
    task.reject(error);
  }

  /** Decides what is ready, until a batch has events to append. Returns whether one has. */
  #commit(term: WriterTerm): boolean {
    const { clock, now, knownToAll } = this.deps.environment;
    while (this.#ready.isDecidable) {
      const deps = { knownToAll, admission: this.#admission };
      const batch = new Batch(term, nextRecordedAt(term.head, now()), clock.now(), deps);
      this.#ready.decideInto(batch);
      if (batch.finish()) {
        this.#committing = this.#append(batch);
        return true;
      }
      if (batch.tasks.length > 0) this.#unproven.push(batch);
    }
    return false;
  }

  async #append(batch: Batch): Promise<void> {
    const { term, recordedAt, leaves, tasks } = batch;
    const { clock, newId } = this.deps.environment;
    const before = clock.now();
    this.#inFlight = batch;
    this.#isAppending = true;
    try {
      const proposal = { head: term.head, epoch: term.epoch, recordedAt, leaves, id: newId() };
      const { commit, head } = buildCommit(proposal);
      const outcome = await this.deps.storage.log.append(commit);
      this.#isAppending = false;
      const ms = clock.now() - before;
      this.deps.events.onAppend?.({ partition: this.partition, events: leaves.length, ms, tasks });
      if (outcome.kind === 'committed') this.#handleCommitted(batch, commit, head);
      else await this.#handleLost(batch);
    } catch (error) {
      this.#isAppending = false;
      this.#fail(error, batch.tasks);
    }
    this.#committing = undefined;
    this.#inFlight = undefined;
    this.#trimFolded();
    if (this.#ready.length + this.#incoming.length > 0) this.#schedule();
  }

  #handleCommitted(batch: Batch, commit: Commit, head: Head): void {
    const { partition, position, size } = commit;
    batch.term.head = head;
    try {
      const { events, members, texts, messages } = batch;
      this.deps.storage.bus.publish({ ...commit, events, members, texts, messages });
    } catch (error) {
      // The commit stands: consumers read it from the log.
      this.deps.events.report(
        `cannot publish commit ${position} of partition ${partition}; consumers read it from the log`,
        error,
      );
    }
    // A successful append proves that no other writer came before it.
    if (this.#unproven.length > 0) this.#settleUnproven(batch.term, Number.POSITIVE_INFINITY);
    batch.settle({ partition, size });
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
    this.#incoming = [
      ...unproven,
      ...(lost?.tasks ?? []),
      ...this.#ready.tasks,
      ...this.#round,
      ...this.#incoming,
    ];
    this.#term = undefined;
    if (!this.#isAppending) this.#unproven = [];
    this.#ready.clear();
    this.#round = [];
  }

  #dropLease(): void {
    this.#lease = undefined;
    this.#refuseAll(new NotOwner(this.partition));
  }

  #fail(error: unknown, inFlight: readonly Task[]): void {
    const why = 'the log failed; the command may have taken effect';
    for (const task of inFlight)
      this.#refuse(task, new ParleyError('unknown', why, RETRY_DETAILS, { cause: error }));
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
    for (const task of undone) this.#refuse(task, refusal);
  }

  /** Drops events below `size`, which the read models have stored, unless a command to be decided needs them. */
  readonly #trim = (partition: number, size: number): void => {
    if (partition !== this.partition || !this.#term) return;
    const [{ tail }, { floor }] = [this.#term, this.#term.tail];
    const needed = this.#ready.floor ?? (this.#round.length > 0 ? this.#roundFloor : size);
    tail.trim(Math.min(size, needed));
    if (tail.floor === floor || this.#isTrimming) return;
    this.#isTrimming = true; // A part at a time, so that no turn takes long.
    this.deps.environment.clock.setImmediate(() => {
      this.#isTrimming = false;
      this.#trimFolded();
    });
  };

  #trimFolded(): void {
    this.#trim(this.partition, this.deps.storage.folding.folded(this.partition));
  }
}
