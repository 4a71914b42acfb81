import { MessageChannel, Worker } from 'node:worker_threads';
import { NotOwner } from '../base/errors.js';
import { Queue } from '../base/limits.js';
import { connect } from '../base/rpc.js';
import { type Bus, type CommitFrame, commitFrame } from '../cluster/bus.js';
import type { Owners } from '../cluster/ownership.js';
import {
  bytesOf,
  type Command,
  commandDeclaration,
  type OwnWriters,
  streamOfCommand,
} from '../domain/commands.js';
import { sealedTextOf } from '../domain/events.js';
import { unpack } from '../log/commit.js';
import { partitionOf } from '../log/log.js';
import { LogMismatch } from '../log/logMeta.js';
import type { Folding } from '../projections/decisionReads.js';
import type { CachedKeys } from '../vault/vault.js';
import {
  type FromWriters,
  fromWire,
  type SentCommand,
  type ToWriters,
  toWire,
  type WriterApi,
  type WriterThreadData,
} from './threadProtocol.js';

/**
 * Commands leave for the writers' thread at most this often, in milliseconds; less often when those that left last
 * had come at a rate of `many`. Waking a thread and syncing a disk cost far more than a message: this halves what a
 * message costs, for a few milliseconds of its way.
 */
const SPACING_MS = { few: 2, many: 5 } as const;
/** Commands a millisecond. */
const MANY = 4;

/** What the writers need of the main thread. */
export interface WritersDeps {
  readonly bus: Pick<Bus, 'publish'>;
  readonly keys: Pick<CachedKeys, 'fresh'>;
  /** As `WriterDeps.mayAppend`. */
  readonly mayAppend: (partition: number) => Promise<void>;
  readonly folding: Folding;
  /** A text that this process has sealed, before the commit that holds it is published. */
  readonly onSealed: (sealed: string, text: string, owner: string) => void;
  readonly onAppend: (ms: number, events: number) => void;
  /** Who owns what has changed; what is this node's, its writers take commands for. */
  readonly onOwners: (owners: Owners) => void;
  /** This node has taken or released partitions: other nodes should look. */
  readonly onMoved: () => void;
  readonly onFatal: (error: unknown) => void;
  readonly report: (message: string, error: unknown) => void;
}

interface Pending {
  /** When it was asked, of `performance.now()`. */
  readonly since: number;
  readonly command: Command;
  readonly commandId: string;
  readonly bytes: number;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The writers of all partitions, and which of these this node owns, in a thread of their own: one message each way
 * carries what a turn brings.
 */
export class Writers implements OwnWriters {
  readonly #queue = new Queue();
  /** By call: a command that is given again while it is under way is another call of the same id. */
  readonly #pending = new Map<number, Pending>();
  /** What is to be sent, by command. */
  readonly #texts = new Map<string, string>();
  #calls = 0;
  #outgoing: SentCommand[] = [];
  #advances = new Map<string, readonly [string, number, number]>();
  #deps: WritersDeps | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #spacingMs: number = SPACING_MS.few;
  #stopped = false;
  #stopping: Promise<void> | undefined;

  private constructor(
    readonly logId: string,
    readonly partitions: number,
    private readonly worker: Worker,
    private readonly api: Pick<WriterApi, 'start' | 'switchTo' | 'handOver' | 'stop'>,
    private readonly port: MessageChannel['port1'],
  ) {}

  /** Starts the thread and opens the log in it, which is made if there is none. Throws `LogMismatch`. */
  static async open(data: WriterThreadData): Promise<Writers> {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL('./writerThread.js', import.meta.url), {
      workerData: { data, port: port2 },
      transferList: [port2],
    });
    const api = connect<WriterApi>(worker);
    try {
      const { id, partitions } = await api.open();
      return new Writers(id, partitions, worker, api, port1);
    } catch (error) {
      await worker.terminate();
      if (error instanceof Error && error.name === 'LogMismatch') throw new LogMismatch(error.message);
      throw error;
    }
  }

  /** How many commands are on their way. */
  get depth(): number {
    return this.#queue.length;
  }

  /** For how long the oldest of them has been under way; milliseconds. */
  get oldestMs(): number {
    const [oldest] = this.#pending.values();
    return oldest ? performance.now() - oldest.since : 0;
  }

  /** As `WriterApi.start`. To be called when the read models are nearly caught up. */
  async start(
    deps: WritersDeps,
    folded: ReadonlyMap<string, readonly number[]>,
    generations: ReadonlyMap<string, number>,
  ): Promise<void> {
    this.#deps = deps;
    this.port.on('message', (items: FromWriters[]) => {
      for (const item of items) this.#receive(item, deps);
    });
    const gone = (error: unknown) => {
      if (!this.#stopped) deps.onFatal(error);
    };
    this.worker.on('error', gone);
    this.worker.on('exit', (code) => gone(new Error(`the writers' thread ended with code ${code}`)));
    await this.api.start(folded, generations);
  }

  submit: OwnWriters['submit'] = (command, commandId, epoch) => {
    const bytes = bytesOf(command);
    // It is another node's by now, or will be.
    if (this.#stopped) return Promise.reject(this.#notOwner(command));
    const refusal = this.#queue.refusal(bytes, this.#deps?.folding.lagMs() ?? 0);
    if (refusal) return Promise.reject(refusal);
    this.#queue.enter(bytes);
    return new Promise((resolve, reject) => {
      // A command is answered with what its own kind answers.
      const call = this.#calls++;
      this.#pending.set(call, {
        since: performance.now(),
        command,
        commandId,
        bytes,
        resolve: resolve as (answer: never) => void,
        reject,
      });
      const { seals } = commandDeclaration(command.kind);
      if (seals) this.#texts.set(commandId, seals.text(command));
      if (this.#outgoing.push([call, command, commandId, epoch]) === 1) this.#flushSoon();
    });
  };

  /** Leases have changed hands: looks who has what now. */
  look(): void {
    if (!this.#stopped) this.#post({ look: true });
  }

  /** The user's key was destroyed: no copy of it is kept. */
  forget(user: string): void {
    if (!this.#stopped) this.#post({ forget: user });
  }

  /** Hands all partitions over; resolves when what was in flight has its outcome, or after 2 s. */
  handOver(): Promise<void> {
    return this.api.handOver();
  }

  /** A read model has advanced. */
  advance(model: string, partition: number, size: number): void {
    if (this.#advances.size === 0) setImmediate(() => this.#tellAdvances());
    this.#advances.set(`${model}/${partition}`, [model, partition, size]);
  }

  switchTo(name: string, generation: number): Promise<void> {
    return this.api.switchTo(name, generation);
  }

  /** Refuses what comes now, hands over, and resolves when all that came before has its outcome and the log is closed. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#flush();
    this.#stopped = true;
    await this.api.stop();
    // The thread's own word of it may come too late to be passed on.
    this.#deps?.onMoved();
    await this.#queue.drained();
    this.port.close();
    await this.worker.terminate();
  }

  /** At once after a pause, so that a lone command waits for nothing; under load, once in `#spacingMs`. */
  #flushSoon(): void {
    const wait = this.#flushedAt + this.#spacingMs - performance.now();
    if (wait <= 0) setImmediate(() => this.#flush());
    else setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#flushedAt = performance.now();
    const isMany = this.#outgoing.length > MANY * this.#spacingMs;
    this.#spacingMs = isMany ? SPACING_MS.many : SPACING_MS.few;
    this.#post({ commands: this.#outgoing });
    this.#outgoing = [];
  }

  #tellAdvances(): void {
    const advances = [...this.#advances.values()];
    this.#advances = new Map();
    if (!this.#stopped) this.#post({ advances });
  }

  #post(message: ToWriters): void {
    this.port.postMessage(message);
  }

  #receive(item: FromWriters, deps: WritersDeps): void {
    if ('commit' in item) this.#publish(commitFrame(unpack(item.commit)), deps);
    else if ('answered' in item)
      this.#settle(item.answered)?.resolve(item.answer as never); // Of its kind: see `submit`.
    else if ('refused' in item) this.#settle(item.refused)?.reject(fromWire(item.error));
    else if ('returned' in item) this.#return(item.returned);
    else if ('owners' in item) deps.onOwners(item.owners);
    else if ('moved' in item) deps.onMoved();
    else if ('appended' in item) deps.onAppend(item.appended.ms, item.appended.events);
    else if ('keysOf' in item) void this.#answerKeys(item.keysOf, item.request, deps);
    else if ('mayAppendTo' in item) void this.#answerGuard(item.mayAppendTo, item.request, deps);
    else if ('report' in item) deps.report(item.report, fromWire(item.error));
    else deps.onFatal(fromWire(item.fatal));
  }

  #publish(frame: CommitFrame, deps: WritersDeps): void {
    for (const event of frame.events) {
      const text = this.#texts.get(event.commandId);
      const sealed = text === undefined ? undefined : sealedTextOf(event);
      if (text !== undefined && sealed) deps.onSealed(sealed.sealed, text, sealed.owner);
    }
    deps.bus.publish(frame);
  }

  #return(call: number): void {
    const pending = this.#settle(call);
    pending?.reject(this.#notOwner(pending.command));
  }

  #notOwner(command: Command): NotOwner {
    return new NotOwner(partitionOf(streamOfCommand(command), this.partitions));
  }

  #settle(call: number): Pending | undefined {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    if (!pending) return undefined;
    this.#texts.delete(pending.commandId);
    this.#queue.leave(pending.bytes);
    return pending;
  }

  async #answerGuard(partition: number, request: number, { mayAppend }: WritersDeps): Promise<void> {
    const refusal = await mayAppend(partition).then(() => undefined, toWire);
    this.#post({ mayAppend: request, refusal });
  }

  async #answerKeys(owners: readonly string[], request: number, deps: WritersDeps): Promise<void> {
    try {
      this.#post({ keys: [...(await deps.keys.fresh(owners))], request });
    } catch (error) {
      this.#post({ keysFailed: error instanceof Error ? error.message : String(error), request });
    }
  }
}
