import { MessageChannel, Worker } from 'node:worker_threads';
import { assertNever, NotOwner } from '../base/errors.js';
import { AdmissionQueue } from '../base/rateLimits.js';
import { connectThread, type Remote } from '../base/workerThreads.js';
import { type Bus, type CommitFrame, commitFrame } from '../cluster/bus.js';
import type { OwnershipEvents } from '../cluster/ownership.js';
import {
  bytesOf,
  type Command,
  commandDeclaration,
  type OwnWriters,
  streamOfCommand,
} from '../domain/commands.js';
import { sealedTextOf } from '../domain/events.js';
import type { WriterInRoom } from '../domain/ids.js';
import { unpack } from '../log/commit.js';
import { partitionOf } from '../log/log.js';
import { LogMismatch } from '../log/logMeta.js';
import type { CachedKeys } from '../vault/vault.js';
import {
  decodeError,
  encodeError,
  type FromWriterThread,
  type SentCommand,
  type ToWriterThread,
  type WantedKeys,
  type WriterApi,
  type WriterThreadData,
} from './threadProtocol.js';
import type { FoldProgress } from './writerPorts.js';

/** Everything of the main thread that the writers need. */
export interface WriterThreadClientDeps {
  readonly bus: Pick<Bus, 'publish'>;
  readonly keys: Pick<CachedKeys, 'fetchKeys' | 'fetchRoomKeys'>;
  /** See `WriterStorage.mayAppend`. */
  readonly mayAppend: (partition: number) => Promise<void>;
  readonly folding: FoldProgress;
  readonly events: WriterThreadEvents;
}

/** The receiver of events of the writer thread. */
export interface WriterThreadEvents extends OwnershipEvents {
  /** Called with a text that this process has sealed, before the commit that holds it is published. */
  readonly onSealed: (sealed: string, text: string, owner: string) => void;
  /** Called after each append of `events` events that took `ms`. */
  readonly onAppend: (ms: number, events: number) => void;
}

interface Pending {
  /** When it was submitted, by `performance.now()`. */
  readonly since: number;
  readonly command: Command;
  readonly commandId: string;
  readonly bytes: number;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The minimum interval between batches to the writer thread, longer when the last batch came at the `many`
 * rate. Waking a thread and syncing a disk cost far more than a message. Batching halves the cost of a
 * message for a few milliseconds of delay.
 */
const GROUP_COMMIT_INTERVAL_MS = { few: 2, many: 5 } as const;
/** The rate of a batch from which the interval is `many`. */
const BUSY_COMMANDS_PER_MS = 4;

/**
 * Gathers what is to be committed together. Sends at once after a pause, so that a single item does not wait. Under
 * load, sends once an interval.
 */
class GroupCommit<T> {
  #waiting: T[] = [];
  #sentAt = Number.NEGATIVE_INFINITY;
  #intervalMs: number = GROUP_COMMIT_INTERVAL_MS.few;

  constructor(private readonly send: (batch: readonly T[]) => void) {}

  /** Adds an item to the next batch. */
  add(item: T): void {
    if (this.#waiting.push(item) === 1) this.#sendSoon();
  }

  /** Sends what waits now. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    this.#sentAt = performance.now();
    const isMany = this.#waiting.length > BUSY_COMMANDS_PER_MS * this.#intervalMs;
    this.#intervalMs = isMany ? GROUP_COMMIT_INTERVAL_MS.many : GROUP_COMMIT_INTERVAL_MS.few;
    const batch = this.#waiting;
    this.#waiting = [];
    this.send(batch);
  }

  #sendSoon(): void {
    const wait = this.#sentAt + this.#intervalMs - performance.now();
    if (wait <= 0) setImmediate(() => this.flush());
    else setTimeout(() => this.flush(), wait);
  }
}

/**
 * The main thread's side of the writer thread, which holds all writers and this node's ownership. Each turn
 * sends at most one message in each direction.
 */
export class WriterThreadClient implements OwnWriters {
  readonly #queue = new AdmissionQueue();
  /** By call, because a repeated command in progress has the same id. */
  readonly #pending = new Map<number, Pending>();
  /** The texts of messages in progress, by command id. */
  readonly #texts = new Map<string, string>();
  #calls = 0;
  readonly #outgoing = new GroupCommit<SentCommand>((commands) => this.#post({ commands }));
  #advances = new Map<number, number>();
  #deps: WriterThreadClientDeps | undefined;
  #isStopped = false;
  #stopping: Promise<void> | undefined;

  private constructor(
    readonly logId: string,
    readonly partitions: number,
    private readonly worker: Worker,
    private readonly api: Remote<WriterApi>,
    private readonly port: MessageChannel['port1'],
  ) {}

  /** Starts the thread and opens the log in it, or creates it. Throws `LogMismatch`. */
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

  /** The number of commands in progress. */
  get depth(): number {
    return this.#queue.length;
  }

  /** How long the oldest command has been in progress, in milliseconds. */
  get oldestMs(): number {
    const [oldest] = this.#pending.values();
    return oldest ? performance.now() - oldest.since : 0;
  }

  /** See `WriterApi.start`. Call it when the read models have nearly caught up. */
  async start(
    deps: WriterThreadClientDeps,
    folded: readonly number[],
    generations: ReadonlyMap<string, number>,
  ): Promise<void> {
    this.#deps = deps;
    this.port.on('message', (items: FromWriterThread[]) => {
      for (const item of items) this.#receive(item, deps);
    });
    const gone = (error: unknown) => {
      if (!this.#isStopped) deps.events.onFatal(error);
    };
    this.worker.on('error', gone);
    this.worker.on('exit', (code) => gone(new Error(`the writer thread ended with exit code ${code}`)));
    await this.api.start(folded, generations);
  }

  submit: OwnWriters['submit'] = (command, commandId, epoch) => {
    const bytes = bytesOf(command);
    // Another node owns the partition, or will soon.
    if (this.#isStopped) return Promise.reject(this.#notOwner(command));
    const refusal = this.#queue.checkCapacity(bytes, this.#deps?.folding.lagMs() ?? 0);
    if (refusal) return Promise.reject(refusal);
    this.#queue.enter(bytes);
    return new Promise((resolve, reject) => {
      // Safe casts: a command is answered with the answer of its kind.
      const call = this.#calls++;
      this.#pending.set(call, {
        since: performance.now(),
        command,
        commandId,
        bytes,
        resolve: resolve as (answer: never) => void,
        reject,
      });
      const { text } = commandDeclaration(command.kind);
      if (text) this.#texts.set(commandId, text(command));
      this.#outgoing.add([call, command, commandId, epoch]);
    });
  };

  /** Rebalances after leases have changed hands. */
  rebalance(): void {
    if (!this.#isStopped) this.#post({ rebalance: true });
  }

  /** Removes all copies of a destroyed key. */
  forget(user: string): void {
    if (!this.#isStopped) this.#post({ forget: user });
  }

  /** Removes all copies of the keys of a room in which a text was destroyed. */
  forgetRoom(room: WriterInRoom): void {
    if (!this.#isStopped) this.#post({ forgetRoom: room });
  }

  /** Releases all partitions. Resolves when appends in flight have their outcome, or after 2 s. */
  releaseAll(): Promise<void> {
    return this.api.releaseAll();
  }

  /** Reports that the read models have advanced. */
  advance(partition: number, size: number): void {
    if (this.#advances.size === 0) setImmediate(() => this.#sendAdvances());
    this.#advances.set(partition, size);
  }

  switchTo(name: string, generation: number): Promise<void> {
    return this.api.switchTo(name, generation);
  }

  /**
   * Refuses new commands and releases all partitions. Resolves when earlier commands are settled and the log
   * is closed.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#outgoing.flush();
    this.#isStopped = true;
    await this.api.stop();
    // The thread's own event may come too late to be sent.
    this.#deps?.events.onLeasesChanged();
    await this.#queue.waitUntilEmpty();
    this.port.close();
    await this.worker.terminate();
  }

  #sendAdvances(): void {
    const advances = [...this.#advances];
    this.#advances = new Map();
    if (!this.#isStopped) this.#post({ advances });
  }

  #post(message: ToWriterThread): void {
    this.port.postMessage(message);
  }

  #receive(item: FromWriterThread, deps: WriterThreadClientDeps): void {
    if ('commit' in item) this.#publish(commitFrame(unpack(item.commit), { members: item.members }), deps);
    else if ('answered' in item)
      this.#settle(item.answered)?.resolve(item.answer as never); // The answer is of the command's kind: see `submit`.
    else if ('refused' in item) this.#settle(item.refused)?.reject(decodeError(item.error));
    else if ('notOwner' in item) this.#rejectNotOwner(item.notOwner);
    else if ('owners' in item) deps.events.onOwners(item.owners);
    else if ('leasesChanged' in item) deps.events.onLeasesChanged();
    else if ('appended' in item) deps.events.onAppend(item.appended.ms, item.appended.events);
    else if ('wantedKeys' in item) void this.#replyToKeys(item.wantedKeys, item.request, deps);
    else if ('mayAppendTo' in item) void this.#replyToGuard(item.mayAppendTo, item.request, deps);
    else if ('report' in item) deps.events.report(item.report, decodeError(item.error));
    else if ('fatal' in item) deps.events.onFatal(decodeError(item.fatal));
    else assertNever(item);
  }

  #publish(frame: CommitFrame, deps: WriterThreadClientDeps): void {
    for (const event of frame.events) {
      const text = this.#texts.get(event.commandId);
      const sealed = text === undefined ? undefined : sealedTextOf(event);
      if (text !== undefined && sealed) deps.events.onSealed(sealed.text, text, sealed.owner);
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
    { owners, rooms }: WantedKeys,
    request: number,
    deps: WriterThreadClientDeps,
  ): Promise<void> {
    try {
      const [own, texts] = await Promise.all([
        owners.length > 0 ? deps.keys.fetchKeys(owners) : [],
        rooms.length > 0 ? deps.keys.fetchRoomKeys(rooms) : [],
      ]);
      const roomKeys = [...texts].map(
        ([id, keys]) => [id, keys === 'destroyed' ? keys : keys.bytes] as const,
      );
      this.#post({ keys: [...own], roomKeys, request });
    } catch (error) {
      this.#post({ keysFailed: error instanceof Error ? error.message : String(error), request });
    }
  }
}
