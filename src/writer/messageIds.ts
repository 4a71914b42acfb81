import { hash } from 'node:crypto';
import { type Digest, DigestQueue } from '../base/collections.js';
import { overloaded } from '../base/errors.js';
import type { WantedMessage } from '../domain/defineCommand.js';
import type { SealedMessage } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { MessageRef } from '../domain/ids.js';
import { sealedMessage } from '../domain/messages/messages.js';
import type { Head } from '../log/commit.js';
import {
  FilterKey,
  IdFilter,
  messageIdHash,
  messageIdKeys,
  messagesIn,
  SEGMENT_EVENTS,
} from '../projections/models/messageIdIndex.js';
import type { AskedMessage } from '../projections/models/messageRows.js';
import type { Checkpoint } from '../projections/store/rowStore.js';
import type { Tail } from './streamState.js';
import type { WriterDeps } from './writerPorts.js';

/** New ids after which a writer reads how far the index of ids is stored. */
const READ_EVERY_IDS = 8192;
/** Ids in memory, about 8 MB, above which commands that ask for ids are refused: the index is not written. */
const MAX_RECENT_IDS = 262_144;
/** Stored filters that are further behind than this are made again at the moment. */
const MAX_FILTER_LAG_EVENTS = 131_072;
/** Time until filters that could not be read are read again. Meanwhile the index is asked for each id. */
const RETRY_MS = 60_000;
const PAGE_COMMITS = 64;
/** Stored ids that leave memory with each new one, and with each command while there are too many. */
const DROP_IDS = 4;
const DROP_EVERY_IDS = 16;
const DROP_IDS_AT_BOUND = 4096;
/** Time between two reads of how far the index is stored, while there are too many ids in memory. */
const READ_AGAIN_MS = 1000;

/** Ids for which each filter of new ids is made; the last size repeats. */
const BLOCK_IDS = [2 ** 11, 2 ** 14, 2 ** 17, 2 ** 20] as const;
const MOST_BLOCK_IDS = 2 ** 20;

/** The ids of the events from `from` to before `to`. Without a filter each id may be among them. */
interface Block {
  readonly from: number;
  to: number;
  readonly filter?: IdFilter;
}

const NO_KEYS: readonly string[] = [];

/** A message id with its `messageIdHash`, and the digest of that by the partition's key. */
export interface NamedMessage extends WantedMessage {
  readonly name: string;
  readonly digest: Digest;
}

/**
 * The message ids of a partition, in the memory of its writer. Ids behind the stored index of ids are all here. For
 * older ones there are filters, so that nearly every new id is decided without a read. Nothing here says that an id
 * is used: that says the message itself, in the history or in the tail.
 */
export class MessageIds {
  /** In the order of the log: at least the ids of the tail, and those that the index may not have stored. */
  readonly #recent = new DigestQueue();
  /** Together they cover the events from 0 on. The filters of new ids come last. */
  #blocks: Block[];
  readonly #key: FilterKey;
  /** Ids that the last block still takes. */
  #room = 0;
  /** How many filters of new ids were made. */
  #made = 0;
  #untilRead = READ_EVERY_IDS;
  #readAgainAt = 0;
  #retryAt = Number.POSITIVE_INFINITY;
  /** Resolves when the filters are read, or cannot be read now. */
  loading: Promise<void> = Promise.resolve();

  private constructor(
    private readonly tail: Tail,
    /** The index has stored the ids of all events below. */
    private stored: Checkpoint,
    private readonly deps: WriterDeps,
    private readonly mostRecent: number,
  ) {
    const { newId } = deps.environment;
    this.#key = new FilterKey(hash('sha256', `${newId()} ${newId()}`, 'buffer').subarray(0, 16));
    this.#blocks = stored.size > 0 ? [{ from: 0, to: stored.size }] : [];
    this.#addBlock(stored.size);
  }

  /**
   * Reads the ids that the index lacks, and begins to read the filters. `mostRecent`: tests hold fewer ids. Throws the
   * errors of the stores.
   */
  static async load(
    { partition, position }: Head,
    tail: Tail,
    deps: WriterDeps,
    mostRecent = MAX_RECENT_IDS,
  ): Promise<MessageIds> {
    const stored = await deps.lookups.reads.ids.stored(partition);
    const ids = new MessageIds(tail, stored, deps, mostRecent);
    // The index may be ahead of the read models, and so of the tail's floor.
    for (let offset = tail.floor; offset < stored.size; offset++) {
      const event = tail.at(offset);
      if (event) ids.add(event);
    }
    await readIds(deps, partition, { after: stored.position, upTo: position }, (event) => ids.add(event));
    ids.#startLoading(stored);
    return ids;
  }

  /** The id with what finds it. */
  name(wanted: WantedMessage): NamedMessage {
    const { roomId, messageId, editId } = wanted;
    const name = messageIdHash(wanted);
    const named = { roomId, messageId, name, digest: this.#key.digest(name) };
    return editId === undefined ? named : { ...named, editId };
  }

  /** The same, which may be among these already. */
  nameOf({ roomId, messageId }: MessageRef, named: readonly NamedMessage[]): NamedMessage {
    for (const one of named) if (one.messageId === messageId && one.roomId === roomId) return one;
    return this.name({ roomId, messageId });
  }

  /** Adds the id of a message, before any command that comes after it is decided. `named` may have it. */
  add(event: Recorded, named: readonly NamedMessage[] = []): void {
    if (event.type !== 'MessageSent') return;
    const { offset, data } = event;
    const { digest } = this.nameOf(data, named);
    this.#recent.push(digest, offset, data.seq);
    if (this.#room === 0) this.#addBlock(offset);
    this.#room--;
    this.#blocks.at(-1)?.filter?.add(digest);
    if (this.#room % DROP_EVERY_IDS === 0) this.#dropStored(DROP_EVERY_IDS * DROP_IDS);
    if (--this.#untilRead === 0) this.#readStored();
  }

  /** The message of this id as it was sent, if the tail holds that event. */
  findInTail(named: NamedMessage): SealedMessage | undefined {
    for (const { offset } of this.#recent.find(named.digest)) {
      const event = this.tail.at(offset);
      if (event?.type !== 'MessageSent') continue;
      const { messageId, roomId } = event.data;
      if (messageId === named.messageId && roomId === named.roomId) return sealedMessage(event);
    }
    return undefined;
  }

  /**
   * Selects the ids of these commands that may be used by messages below the tail's floor, with the places where they
   * may be found. No event that was added uses any other, except those of the tail. Throws `overloaded` when too many
   * ids wait for the index.
   */
  select(commands: readonly { readonly named: readonly NamedMessage[] }[]): AskedMessage[] {
    const asked: AskedMessage[] = [];
    if (this.#recent.length >= this.mostRecent && commands.some(({ named }) => named.length > 0))
      this.#makeRoom();
    if (this.deps.environment.clock.now() >= this.#retryAt) this.#startLoading(this.stored);
    for (const { named } of commands) {
      for (const { roomId, messageId, editId, name, digest } of named) {
        // Two ids may have one digest, so that an id may be old although its digest is recent.
        const seqs = this.#recent
          .find(digest)
          .flatMap(({ offset, seq }) => (offset < this.tail.floor ? seq : []));
        const keys = this.stored.size > 0 ? this.#keysOf(name, digest) : NO_KEYS;
        if (seqs.length === 0 && keys.length === 0) continue;
        asked.push({ roomId, messageId, keys, seqs, ...(editId === undefined ? {} : { editId }) });
      }
    }
    return asked;
  }

  /** The keys that an id may have in the stored index. */
  #keysOf(name: string, ownDigest: Digest): string[] {
    const keys: string[] = [];
    let [key, digest] = [this.#key, ownDigest];
    for (const { from, to, filter } of this.#blocks) {
      // What the index lacks is in `#recent`.
      if (from >= this.stored.size) break;
      if (filter) {
        // Nearly all filters have one of two keys.
        if (filter.key !== key) digest = filter.key.digest(name);
        key = filter.key;
        if (!filter.mayHave(digest)) continue;
      }
      keys.push(...messageIdKeys(name, from, Math.min(to, this.stored.size)));
    }
    return [...new Set(keys)];
  }

  #addBlock(from: number): void {
    const last = this.#blocks.at(-1);
    if (last) last.to = from;
    this.#room = BLOCK_IDS[this.#made++] ?? MOST_BLOCK_IDS;
    const filter = new IdFilter(this.#key, new Uint8Array(this.#room * 2));
    this.#blocks.push({ from, to: Number.POSITIVE_INFINITY, filter });
  }

  /** Throws `overloaded` while the index has not stored the oldest ids. */
  #makeRoom(): void {
    this.#dropStored(DROP_IDS_AT_BOUND);
    if (this.#recent.length < this.mostRecent) return;
    const now = this.deps.environment.clock.now();
    if (now >= this.#readAgainAt) this.#readStored();
    throw overloaded('too many message ids wait for their index; try again later');
  }

  /** Drops at most this number of the oldest ids that the index has stored and the tail does not hold. */
  #dropStored(most: number): void {
    const floor = Math.min(this.stored.size, this.tail.floor);
    for (let dropped = 0; dropped < most && this.#recent.firstOffset < floor; dropped++) this.#recent.shift();
  }

  #readStored(): void {
    this.#untilRead = READ_EVERY_IDS;
    this.#readAgainAt = this.deps.environment.clock.now() + READ_AGAIN_MS;
    this.deps.lookups.reads.ids.stored(this.tail.partition).then(
      (stored) => {
        // A rebuilt index is never behind the one before it.
        if (stored.size > this.stored.size) this.stored = stored;
      },
      (error: unknown) => this.#report('how far the index of message ids is stored', error),
    );
  }

  #startLoading(floor: Checkpoint): void {
    this.#retryAt = Number.POSITIVE_INFINITY;
    this.loading = this.#load(floor).catch((error: unknown) => {
      this.#report('the filters of message ids', error);
      this.#retryAt = this.deps.environment.clock.now() + RETRY_MS;
    });
  }

  /** Replaces the blocks below `floor` by those of the stored filters. */
  async #load(floor: Checkpoint): Promise<void> {
    const { partition } = this.tail;
    const { reads } = this.deps.lookups;
    // Before the filters: they are then at least as far.
    const filtered = await reads.ids.filtered(partition);
    const end = Math.min(filtered.size, floor.size);
    const blocks: Block[] = [];
    const keys = new Map<string, FilterKey>();
    for (let from = 0; from < end; from += SEGMENT_EVENTS) {
      const to = Math.min(end, from + SEGMENT_EVENTS);
      const filter = await reads.ids.filter({ partition, segment: from / SEGMENT_EVENTS, upTo: to });
      blocks.push({ from, to, ...(filter ? { filter: withSharedKey(filter, keys) } : {}) });
    }
    if (end < floor.size) blocks.push(await this.#complete(filtered, floor));
    const covered = this.#blocks.filter(({ to }) => to > floor.size);
    // A block of new ids may begin below the floor of a later attempt: it stays whole.
    this.#blocks = [...blocks, ...covered];
    if (blocks.some(({ filter }) => !filter)) this.#retryAt = this.deps.environment.clock.now() + RETRY_MS;
  }

  /** The block of the ids that the index has and the stored filters lack, from the log. */
  async #complete(from: Checkpoint, to: Checkpoint): Promise<Block> {
    const block = { from: from.size, to: to.size };
    if (to.size - from.size > MAX_FILTER_LAG_EVENTS) return block;
    const filter = new IdFilter(this.#key, new Uint8Array(MAX_FILTER_LAG_EVENTS * 2));
    const { partition } = this.tail;
    await readIds(this.deps, partition, { after: from.position, upTo: to.position }, ({ data }) =>
      filter.add(this.#key.digest(messageIdHash(data))),
    );
    return { ...block, filter };
  }

  #report(what: string, error: unknown): void {
    this.deps.events.report(
      `${what} of partition ${this.tail.partition} cannot be read; trying again`,
      error,
    );
  }
}

/** Gives each key one object, so that an id is hashed once for all filters of a key. */
function withSharedKey(filter: IdFilter, keys: Map<string, FilterKey>): IdFilter {
  const name = Buffer.from(filter.key.bytes).toString('hex');
  const key = keys.get(name) ?? filter.key;
  keys.set(name, key);
  return new IdFilter(key, filter.bits);
}

/** Reads the messages of these commits. Other events are not decoded. */
async function readIds(
  { storage: { log } }: WriterDeps,
  partition: number,
  { after, upTo }: { readonly after: number; readonly upTo: number },
  add: (event: Recorded<'MessageSent'>) => void,
): Promise<void> {
  for (let at = after; at < upTo; ) {
    const commits = await log.read(partition, at, Math.min(PAGE_COMMITS, upTo - at));
    if (commits.length === 0)
      throw new Error(`partition ${partition} ended at position ${at}, before its end`);
    for (const commit of commits) for (const { event } of messagesIn(commit)) add(event);
    at += commits.length;
  }
}
