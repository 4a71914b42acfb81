import { MessageChannel, Worker } from 'node:worker_threads';
import { NotOwner } from '../base/errors.js';
import { AdmissionQueue } from '../base/limits.js';
import { connectThread } from '../base/rpc.js';
import { type Bus, type CommitFrame, commitFrame } from '../cluster/bus.js';
import type { Owners } from '../cluster/ownership.js';
import { bytesOf, type Command, type OwnWriters } from '../domain/commands.js';
import { partitionOf } from '../domain/ids.js';
import { streamOfCommand } from '../domain/streams.js';
import { unpack } from '../log/commit.js';
import { LogMismatch } from '../log/logMeta.js';
import type { FoldProgress } from '../projections/decisionReads.js';
import type { CachedKeys } from '../vault/vault.js';
import {
  decodeError,
  encodeError,
  type FromWriterThread,
  type SentCommand,
  type ToWriterThread,
  type WriterApi,
  type WriterThreadData,
} from './threadProtocol.js';

/**
 * Commands leave for the writers' thread at most this often, in milliseconds; less often when those that left last
 * had come at a rate of `many`. Waking a thread and syncing a disk cost far more than a message: this halves what a
 * message costs, for a few milliseconds of its way.
 */
const FLUSH_INTERVAL_MS = { few: 2, many: 5 } as const;
/** Commands a millisecond. */
const BUSY_COMMANDS_PER_MS = 4;

/** What the writers need of the main thread. */
export interface WriterThreadClientDeps {
  readonly bus: Pick<Bus, 'publish'>;
  readonly keys: Pick<CachedKeys, 'fresh'>;
  /** As `WriterDeps.mayAppend`. */
  readonly mayAppend: (partition: number) => Promise<void>;
  readonly folding: FoldProgress;
  /** A text that this process has sealed, before the commit that holds it is published. */
  readonly onSealed: (sealed: string, text: string, owner: string) => void;
  readonly onAppend: (ms: number, events: number) => void;
  /** Who owns what has changed; what is this node's, its writers take commands for. */
  readonly onOwners: (owners: Owners) => void;
  /** This node has taken or released partitions: other nodes should look. */
  readonly onLeasesChanged: () => void;
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
export class WriterThreadClient implements OwnWriters {
  readonly #queue = new AdmissionQueue();
  /** By call: a command that is given again while it is under way is another call of the same id. */
  readonly #pending = new Map<number, Pending>();
  /** What is to be sent, by command. */
  readonly #texts = new Map<string, string>();
  #calls = 0;
  #outgoing: SentCommand[] = [];
  #advances = new Map<string, readonly [string, number, number]>();
  #deps: WriterThreadClientDeps | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #flushIntervalMs: number = FLUSH_INTERVAL_MS.few;
  #isStopped = false;
  #stopping: Promise<void> | undefined;

  private constructor(
    readonly logId: string,
    readonly partitions: number,
    private readonly worker: Worker,
    private readonly api: Pick<WriterApi, 'start' | 'switchTo' | 'handOver' | 'stop'>,
    private readonly port: MessageChannel['port1'],
  ) {}

  /** Starts the thread and opens the log in it, which is made if there is none. Throws `LogMismatch`. */
  static async open(data: WriterThreadData): Promise<WriterThreadClient> {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL('./writerWorker.js', import.meta.url), {
      workerData: { data, port: port2 },
      transferList: [port2],
    });
    const api = connectThread<WriterApi>(worker);
    try {
      const { id, partitions } = await api.open();
      return new WriterThreadClient(id, partitions, worker, api, port1);
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
    deps: WriterThreadClientDeps,
    folded: ReadonlyMap<string, readonly number[]>,
    generations: ReadonlyMap<string, number>,
  ): Promise<void> {
    this.#deps = deps;
    this.port.on('message', (items: FromWriterThread[]) => {
      for (const item of items) this.#receive(item, deps);
    });
    const gone = (error: unknown) => {
      if (!this.#isStopped) deps.onFatal(error);
    };
    this.worker.on('error', gone);
    this.worker.on('exit', (code) => gone(new Error(`the writers' thread ended with code ${code}`)));
    await this.api.start(folded, generations);
  }

  submit: OwnWriters['submit'] = (command, commandId, epoch) => {
    const bytes = bytesOf(command);
    // It is another node's by now, or will be.
    if (this.#isStopped) return Promise.reject(this.#notOwner(command));
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
      const sent: Command = command;
      if (sent.kind === 'send message') this.#texts.set(commandId, sent.message);
      if (this.#outgoing.push([call, command, commandId, epoch]) === 1) this.#flushSoon();
    });
  };

  /** Leases have changed hands: looks who has what now. */
  rebalance(): void {
    if (!this.#isStopped) this.#post({ look: true });
  }

  /** The user's key was destroyed: no copy of it is kept. */
  forget(user: string): void {
    if (!this.#isStopped) this.#post({ forget: user });
  }

  /** Hands all partitions over; resolves when what was in flight has its outcome, or after 2 s. */
  handOver(): Promise<void> {
    return this.api.handOver();
  }

  /** A read model has advanced. */
  advance(model: string, partition: number, size: number): void {
    if (this.#advances.size === 0) setImmediate(() => this.#sendAdvances());
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
    this.#isStopped = true;
    await this.api.stop();
    // The thread's own word of it may come too late to be passed on.
    this.#deps?.onLeasesChanged();
    await this.#queue.drained();
    this.port.close();
    await this.worker.terminate();
  }

  /** At once after a pause, so that a lone command waits for nothing; under load, once in `#spacingMs`. */
  #flushSoon(): void {
    const wait = this.#flushedAt + this.#flushIntervalMs - performance.now();
    if (wait <= 0) setImmediate(() => this.#flush());
    else setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#flushedAt = performance.now();
    const isMany = this.#outgoing.length > BUSY_COMMANDS_PER_MS * this.#flushIntervalMs;
    this.#flushIntervalMs = isMany ? FLUSH_INTERVAL_MS.many : FLUSH_INTERVAL_MS.few;
    this.#post({ commands: this.#outgoing });
    this.#outgoing = [];
  }

  #sendAdvances(): void {
    const advances = [...this.#advances.values()];
    this.#advances = new Map();
    if (!this.#isStopped) this.#post({ advances });
  }

  #post(message: ToWriterThread): void {
    this.port.postMessage(message);
  }

  #receive(item: FromWriterThread, deps: WriterThreadClientDeps): void {
    if ('commit' in item) this.#publish(commitFrame(unpack(item.commit)), deps);
    else if ('answered' in item)
      this.#settle(item.answered)?.resolve(item.answer as never); // Of its kind: see `submit`.
    else if ('refused' in item) this.#settle(item.refused)?.reject(decodeError(item.error));
    else if ('notOwner' in item) this.#rejectNotOwner(item.notOwner);
    else if ('owners' in item) deps.onOwners(item.owners);
    else if ('moved' in item) deps.onLeasesChanged();
    else if ('appended' in item) deps.onAppend(item.appended.ms, item.appended.events);
    else if ('keysOf' in item) void this.#replyToKeys(item.keysOf, item.request, deps);
    else if ('mayAppendTo' in item) void this.#replyToGuard(item.mayAppendTo, item.request, deps);
    else if ('report' in item) deps.report(item.report, decodeError(item.error));
    else deps.onFatal(decodeError(item.fatal));
  }

  #publish(frame: CommitFrame, deps: WriterThreadClientDeps): void {
    for (const event of frame.events) {
      if (event.type !== 'MessageSent') continue;
      const text = this.#texts.get(event.commandId);
      if (text !== undefined) deps.onSealed(event.data.text, text, event.actor);
    }
    deps.bus.publish(frame);
  }

  #rejectNotOwner(call: number): void {
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

  async #replyToGuard(
    partition: number,
    request: number,
    { mayAppend }: WriterThreadClientDeps,
  ): Promise<void> {
    const refusal = await mayAppend(partition).then(() => undefined, encodeError);
    this.#post({ mayAppend: request, refusal });
  }

  async #replyToKeys(
    owners: readonly string[],
    request: number,
    deps: WriterThreadClientDeps,
  ): Promise<void> {
    try {
      this.#post({ keys: [...(await deps.keys.fresh(owners))], request });
    } catch (error) {
      this.#post({ keysFailed: error instanceof Error ? error.message : String(error), request });
    }
  }
}
