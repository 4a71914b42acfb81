import { ExpiringCache } from '../base/collections.js';
import { type ErrorCode, type ErrorDetails, ParleyError, VaultUnavailable } from '../base/errors.js';
import type { NodeId, RoomsOfCommit } from '../cluster/bus.js';
import type { Owners } from '../cluster/ownership.js';
import type { Answer, Command, CommandKind } from '../domain/commands.js';
import type { UserId, WriterInRoom } from '../domain/ids.js';
import type { PackedCommit } from '../log/commit.js';
import type { Engine } from '../projections/store/engine.js';
import { RoomKeys, roomKeysId } from '../vault/textKeys.js';
import { type DataKey, SECRET_TTL_MS } from '../vault/vault.js';
import type { FoldProgress } from './writerPorts.js';

/** The start parameters of the writer thread. */
export interface WriterThreadData {
  readonly engine: Engine;
  readonly node: NodeId;
  /** The partitions of a new log. An existing log must have this number. */
  readonly partitions: number | undefined;
}

/** The functions the writer thread serves. */
export interface WriterApi {
  [method: string]: (...args: never[]) => unknown;
  /** Opens the log, or creates it. */
  open(): Promise<{ readonly id: string; readonly partitions: number }>;
  /**
   * Starts to acquire this node's share of the partitions. Resolves when all partitions are served by some
   * node, or after 10 s. `folded` has tree sizes by partition, `generations` the generation by model.
   */
  start(folded: readonly number[], generations: ReadonlyMap<string, number>): Promise<void>;
  /** Reads this generation of the model from now on. Resolves when no read of another generation is open. */
  switchTo(name: string, generation: number): Promise<void>;
  /** Releases all partitions. Resolves when appends in flight have their outcome, or after 2 s. */
  releaseAll(): Promise<void>;
  /** Releases all partitions and closes the log. */
  stop(): Promise<void>;
}

/** `call` numbers the call. `epoch` is that of the lease the command is for. */
export type SentCommand = readonly [call: number, command: Command, commandId: string, epoch: number];

/** A message of the main thread. */
export type ToWriterThread =
  | { readonly commands: readonly SentCommand[] }
  /** Leases have changed hands: rebalance. */
  | { readonly rebalance: true }
  /** The user's key was destroyed. */
  | { readonly forget: UserId }
  /** The keys of a text of this writer in this room were destroyed. */
  | { readonly forgetRoom: WriterInRoom }
  | { readonly advances: readonly (readonly [partition: number, size: number])[] }
  | {
      readonly keys: readonly (readonly [owner: UserId, key: Uint8Array | 'destroyed'])[];
      readonly roomKeys: readonly (readonly [id: string, keys: Uint8Array | 'destroyed'])[];
      readonly request: number;
    }
  | { readonly keysFailed: string; readonly request: number }
  /** The reply to `mayAppendTo`. */
  | { readonly mayAppend: number; readonly refusal: WireError | undefined };

/** A message of the writer thread. Messages arrive in the order of sending. */
export type FromWriterThread =
  | { readonly commit: PackedCommit; readonly members: RoomsOfCommit }
  | { readonly answered: number; readonly answer: Answer<CommandKind> }
  | { readonly refused: number; readonly error: WireError }
  /** The call failed with `NotOwner`. */
  | { readonly notOwner: number }
  | { readonly owners: Owners }
  /** This node acquired or released a lease. */
  | { readonly leasesChanged: true }
  | { readonly appended: { readonly events: number; readonly ms: number } }
  | { readonly wantedKeys: WantedKeys; readonly request: number }
  | { readonly mayAppendTo: number; readonly request: number }
  | { readonly report: string; readonly error: WireError }
  | { readonly fatal: WireError };

/** Keys that the writer thread asks for. */
export interface WantedKeys {
  readonly owners: readonly UserId[];
  readonly rooms: readonly WriterInRoom[];
}

/** An error as data, so that it can cross threads. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: WireError | undefined;
  readonly parley: { readonly code: ErrorCode; readonly details: ErrorDetails } | undefined;
}

/** Encodes an error with its causes. Keeps the class of a `ParleyError` only. */
export function encodeError(error: unknown): WireError {
  const { name, message, stack, cause } = error instanceof Error ? error : new Error(String(error));
  const parley = error instanceof ParleyError ? { code: error.code, details: error.details } : undefined;
  return { name, message, stack, parley, cause: cause === undefined ? undefined : encodeError(cause) };
}

/** Restores an encoded error: a `ParleyError`, or an `Error` of the same name. */
export function decodeError({ name, message, stack, cause, parley }: WireError): Error {
  const options = cause === undefined ? {} : { cause: decodeError(cause) };
  if (parley) return new ParleyError(parley.code, message, parley.details, options);
  const error = new Error(message, options);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}

const MAX_KEYS = 50_000;
/** The most memory of cached keys. */
const MAX_BYTES = 64 * 1024 * 1024;
const OWN_KEY_BYTES = 200;

type Reply = Extract<ToWriterThread, { request: number }>;
/** A user's own key, or the keys of a writer's texts in a room. */
type Cached = DataKey | RoomKeys | 'destroyed';

/**
 * Keys in the writer thread, which has no vault. Fetches them from the main thread and caches them for
 * `SECRET_TTL_MS`.
 */
export class RemoteKeyCache {
  readonly #ask: (wanted: WantedKeys, request: number) => void;
  /** By user, and by `roomKeysId`. */
  readonly #cache = new ExpiringCache<Cached>({
    ttlMs: SECRET_TTL_MS,
    maxEntries: MAX_KEYS,
    maxBytes: MAX_BYTES,
    sizeOf: (cached) => (cached instanceof RoomKeys ? cached.memoryBytes : OWN_KEY_BYTES),
  });
  readonly #open = new Map<
    number,
    { resolve: (reply: FoundKeys) => void; reject: (error: Error) => void; asOf: number }
  >();
  #next = 0;

  constructor(ask: (wanted: WantedKeys, request: number) => void) {
    this.#ask = ask;
  }

  /** See `KeyStore.getKeys`. */
  async getKeys(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>> {
    const found = new Map<UserId, DataKey | 'destroyed'>();
    const absent: UserId[] = [];
    for (const owner of owners) {
      const key = this.#cache.get(owner);
      // Under a user id is the user's own key.
      if (key === undefined || key instanceof RoomKeys) absent.push(owner);
      else found.set(owner, key);
    }
    if (absent.length === 0) return found;
    const { asOf, reply } = await this.#fetch({ owners: absent, rooms: [] });
    for (const [owner, bytes] of reply.keys) {
      // A buffer arrives from another thread as a plain byte array.
      const key = bytes === 'destroyed' ? bytes : Buffer.from(bytes);
      this.#cache.set(owner, key, asOf);
      found.set(owner, key);
    }
    return found;
  }

  /** See `KeyStore.getRoomKeys`. */
  async getRoomKeys(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomKeys | 'destroyed'>> {
    const found = new Map<string, RoomKeys | 'destroyed'>();
    const absent: WriterInRoom[] = [];
    for (const room of rooms) {
      const id = roomKeysId(room);
      const keys = this.#cache.get(id);
      if (keys === 'destroyed' || keys instanceof RoomKeys) found.set(id, keys);
      else absent.push(room);
    }
    if (absent.length === 0) return found;
    const { asOf, reply } = await this.#fetch({ owners: [], rooms: absent });
    for (const [id, bytes] of reply.roomKeys) {
      const keys = bytes === 'destroyed' ? bytes : RoomKeys.from(bytes);
      this.#cache.set(id, keys, asOf);
      found.set(id, keys);
    }
    return found;
  }

  handleReply(reply: Reply): void {
    const waiting = this.#open.get(reply.request);
    this.#open.delete(reply.request);
    if ('keysFailed' in reply) waiting?.reject(new VaultUnavailable(reply.keysFailed));
    else waiting?.resolve({ reply, asOf: waiting.asOf });
  }

  /** Removes all keys of a user whose key was destroyed. A later fetch returns `destroyed`. */
  forget(owner: UserId): void {
    this.#cache.delete(owner);
    this.#cache.deleteWhere((_, id) => id.startsWith(`${owner}/`));
  }

  /** Removes the keys of a room in which a text was destroyed. */
  forgetRoom(room: WriterInRoom): void {
    this.#cache.delete(roomKeysId(room));
  }

  close(): void {
    this.#cache.close();
  }

  #fetch(wanted: WantedKeys): Promise<FoundKeys> {
    return new Promise((resolve, reject) => {
      const request = this.#next++;
      this.#open.set(request, { resolve, reject, asOf: performance.now() });
      this.#ask(wanted, request);
    });
  }
}

interface FoundKeys {
  readonly reply: Extract<Reply, { keys: unknown }>;
  /** When they were asked for. */
  readonly asOf: number;
}

type GuardReply = Extract<ToWriterThread, { mayAppend: number }>;

/** Asks the main thread, which has the vault, whether a partition may be appended to. */
export class RemoteAppendGuard {
  readonly #open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #next = 0;

  constructor(private readonly ask: (partition: number, request: number) => void) {}

  /** See `WriterStorage.mayAppend`. */
  mayAppend(partition: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = this.#next++;
      this.#open.set(request, { resolve, reject });
      this.ask(partition, request);
    });
  }

  handleReply({ mayAppend: request, refusal }: GuardReply): void {
    const waiting = this.#open.get(request);
    this.#open.delete(request);
    if (refusal) waiting?.reject(decodeError(refusal));
    else waiting?.resolve();
  }
}

/**
 * The progress of the read models, as reported by the main thread. That thread also refuses commands when
 * they lag.
 */
export class RemoteFolding implements FoldProgress {
  #folded: number[] = [];
  readonly #handlers = new Set<() => void>();

  start(folded: readonly number[]): void {
    this.#folded = [...folded];
  }

  advance(partition: number, size: number): void {
    if (size <= this.folded(partition)) return;
    this.#folded[partition] = size;
    for (const handler of this.#handlers) handler();
  }

  folded(partition: number): number {
    return this.#folded[partition] ?? 0;
  }

  lagMs(): number {
    return 0;
  }

  onAdvance(handler: () => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }
}
