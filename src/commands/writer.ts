import { commitFrame } from '../bus/frame.js';
import { overloaded, ParleyError } from '../errors.js';
import type { StreamName } from '../events/ids.js';
import { buildCommit, type Head, timeAfter } from '../log/commit.js';
import type { Commit, Outcome } from '../log/log.js';
import { Batch } from './batch.js';
import type { Answer, CommandKind, CommandOf } from './commands.js';
import type { WriterDeps } from './ports.js';
import { type Prepared, prepare } from './prepare.js';
import { bytesOf, Queue } from './pressure.js';
import { Task } from './task.js';
import { type Term, takeOver } from './term.js';

/** The most commands that are looked up at once: two message ids each fit one query. */
const ROUND = 128;
const RETRY = { retryAfterMs: 1000 };

/**
 * The writer of one partition: one append in flight, no timer. Commands that arrive meanwhile are prepared, in
 * rounds, and form the next commit once the outcome is known. Commands take effect in the order of the calls.
 */
export class Writer {
  readonly #queue = new Queue();
  #incoming: Task[] = [];
  /** Being prepared now. */
  #round: Task[] = [];
  #ready: Prepared[] = [];
  /** Undefined while the partition is being taken over, and when the writer has stopped. */
  #term: Term | undefined;
  #isCommitting = false;
  #isWoken = false;
  #stopped: ParleyError | undefined;
  #unsubscribe: () => void = () => {};

  constructor(
    readonly partition: number,
    private readonly deps: WriterDeps,
  ) {}

  /** How many commands are on their way. */
  get depth(): number {
    return this.#queue.length;
  }

  /**
   * Takes the partition over; commands given before wait for it. To be called when the read models are nearly
   * caught up: what they have not folded is held in memory. Throws as `takeOver` does.
   */
  async start(): Promise<void> {
    try {
      this.#term = await takeOver(this.partition, this.deps);
    } catch (error) {
      this.#abandon();
      throw error;
    }
    this.#unsubscribe = this.deps.folding.onAdvance(() => this.#trim());
    this.#wake();
  }

  /** Refuses what comes now, and resolves when all that came before has its answer. */
  async stop(): Promise<void> {
    this.#stopped ??= overloaded('the server is stopping');
    await this.#queue.drained();
    this.#unsubscribe();
  }

  /** See `CommandRouter.execute`; `stream` is the command's, and of this partition. */
  submit<K extends CommandKind>(
    command: CommandOf<K>,
    commandId: string,
    stream: StreamName,
  ): Promise<Answer<K>> {
    const bytes = bytesOf(command);
    const refusal = this.#stopped ?? this.#queue.refusal(bytes, this.deps.folding.lagMs());
    if (refusal) return Promise.reject(refusal);
    this.#queue.enter(bytes);
    return new Promise((resolve, reject) => {
      this.#incoming.push(new Task(command, commandId, stream, bytes, this.#queue, resolve, reject));
      this.#wake();
    });
  }

  /** What one turn of the event loop brings is prepared together. */
  #wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    setImmediate(() => {
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
      // Lost meanwhile: these commands are among the incoming again.
      if (this.#term !== term) return;
      this.#round = [];
      this.#ready.push(...prepared);
      void this.#commitAll();
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

  async #commitAll(): Promise<void> {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    try {
      while (this.#term && this.#ready.length > 0) await this.#commitOne(this.#term);
    } finally {
      this.#isCommitting = false;
    }
  }

  async #commitOne(term: Term): Promise<void> {
    const batch = new Batch(term, timeAfter(term.head, this.deps.now()));
    let taken = 0;
    for (const prepared of this.#ready) {
      if (!batch.take(prepared)) break;
      taken++;
    }
    this.#ready.splice(0, taken);
    this.#wake();
    if (batch.events.length === 0) return;
    const appended = await this.#append(batch).catch((error: unknown) => this.#fail(error, batch.tasks));
    if (appended?.outcome.kind === 'committed') this.#committed(batch, appended.commit, appended.head);
    else if (appended) await this.#lost(batch);
  }

  async #append(batch: Batch): Promise<{ outcome: Outcome; commit: Commit; head: Head }> {
    const { term, recordedAt, leaves } = batch;
    const proposal = { epoch: term.epoch, recordedAt, leaves, id: this.deps.newId() };
    const { commit, head } = buildCommit({ head: term.head, ...proposal });
    const before = performance.now();
    const outcome = await this.deps.log.append(commit);
    const ms = performance.now() - before;
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
    batch.settle({ partition, size });
    this.#trim();
  }

  /** Another writer has the position: nothing of ours is stored, so all is decided again, in the same order. */
  async #lost(batch: Batch): Promise<void> {
    this.#term = undefined;
    const again = [...batch.tasks, ...this.#ready.map(({ task }) => task), ...this.#round];
    this.#incoming = [...again, ...this.#incoming];
    this.#ready = [];
    this.#round = [];
    try {
      this.#term = await takeOver(this.partition, this.deps);
      this.#wake();
    } catch (error) {
      this.#fail(error, []);
    }
  }

  #fail(error: unknown, inFlight: readonly Task[]): undefined {
    const why = 'the log failed: it may have happened';
    for (const task of inFlight) task.refuse(new ParleyError('unknown', why, RETRY, { cause: error }));
    this.#abandon();
    this.deps.onFatal(error);
  }

  /** Takes nothing more; with what has not been tried nothing was done. */
  #abandon(): void {
    const refusal = overloaded('the log cannot be written');
    this.#stopped = refusal;
    this.#term = undefined;
    const undone = [...this.#ready.map(({ task }) => task), ...this.#round, ...this.#incoming];
    this.#ready = [];
    this.#round = [];
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
