import { encodeEvent } from '../../src/domain/codec.js';
import type { MessageRef } from '../../src/domain/ids.js';
import { messageTerm } from '../../src/domain/messages/sealedMessages.js';
import { buildCommit, COMMIT_LIMITS, emptyHead, type Head, loadHead } from '../../src/log/commit.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { MessageIdBatches } from '../../src/projections/messageIdBatches.js';
import {
  filterRowKey,
  messageIdFiltersModel,
  messageIdsModel,
  messageIdsProjection,
  type ReadFilter,
  readFilter,
} from '../../src/projections/models/messageIdIndex.js';
import {
  type AskedMessage,
  messageFacts,
  messagesModel,
  messagesProjection,
} from '../../src/projections/models/messageRows.js';
import { Projector } from '../../src/projections/projector.js';
import { foldedBy, type RowStore, tableOf } from '../../src/projections/store/rowStore.js';
import { MessageIds } from '../../src/writer/messageIds.js';
import { Tail } from '../../src/writer/streamState.js';
import { type MessageIdReads, readModels, type WriterDeps } from '../../src/writer/writerPorts.js';
import { MemoryLog } from '../support/memoryLog.js';
import type { VirtualTime } from '../support/virtualTime.js';
import { World } from './world.js';

const SENDER = '8a52b1d0-6f1e-4b4e-9c57-0d8c1a2b3c4d';
const RECORDED_AT = '2026-01-01T00:00:00.000Z';

export interface IdWorldOptions {
  readonly log?: MemoryLog;
  /** The store as the projector's thread sees it. */
  readonly projected?: RowStore;
  readonly batchEvents?: number;
  readonly mostRecent?: number;
  /** As on MongoDB: only the filters are written in batches. */
  readonly isIndexLive?: boolean;
}

/** Parts of one life of the processes. */
interface Life {
  readonly live: Projector;
  readonly batches: MessageIdBatches;
}

/** A log of messages, and the parts that answer whether a message id was used. */
export class IdWorld {
  readonly deps: WriterDeps;
  readonly reported: unknown[] = [];
  readonly time: VirtualTime;
  /** What a writer reads of the stored index and its filters; a test may replace it. */
  reads: MessageIdReads;
  #head: Head = emptyHead(0);
  readonly #seqs = new Map<string, number>();
  #life: Life | undefined;
  #ids: MessageIds | undefined;
  /** The tail of the writer. */
  tail = new Tail(0, 0);

  /** `projected`: the store of the projector's thread, `rows`: that of the writer and of the test. */
  private constructor(
    readonly log: MemoryLog,
    readonly rows: RowStore,
    private readonly projected: RowStore,
    private readonly options: IdWorldOptions,
  ) {
    this.reads = readModels(rows, log.id, async (models, partition) =>
      foldedBy(await rows.checkpoints([partition]), models.map(tableOf), partition),
    ).ids;
    const world = new World(log);
    const base = world.deps();
    this.time = world.time;
    const ids: MessageIdReads = {
      stored: (partition) => this.reads.stored(partition),
      filtered: (partition) => this.reads.filtered(partition),
      filter: (place) => this.reads.filter(place),
    };
    this.deps = {
      ...base,
      lookups: { ...base.lookups, reads: { ...base.lookups.reads, ids } },
      events: { ...base.events, report: (_, error) => this.reported.push(error) },
    };
  }

  /** Starts on a log that may have messages. */
  static async open(
    rows: RowStore,
    { log = new MemoryLog(), projected = rows, ...options }: IdWorldOptions = {},
  ): Promise<IdWorld> {
    const world = new IdWorld(log, rows, projected, options);
    for (const event of log.commits().flatMap((commit) => decodeCommit(commit).events))
      if (event.type === 'MessageSent') world.#seqs.set(event.data.roomId, event.data.seq);
    world.#head = await loadHead(log, 0);
    for (const model of [messagesModel, messageIdsModel, messageIdFiltersModel]) await rows.prepare(model);
    await world.restart();
    return world;
  }

  get life(): Life {
    if (!this.#life) throw new Error('the projector does not run');
    return this.#life;
  }

  get ids(): MessageIds {
    if (!this.#ids) throw new Error('the writer does not run');
    return this.#ids;
  }

  /** Appends a message of each id. */
  async append(refs: readonly MessageRef[]): Promise<void> {
    for (let at = 0; at < refs.length; at += COMMIT_LIMITS.events)
      await this.#appendCommit(refs.slice(at, at + COMMIT_LIMITS.events));
  }

  async #appendCommit(refs: readonly MessageRef[]): Promise<void> {
    const leaves = refs.map(({ roomId, messageId }) => {
      const seq = (this.#seqs.get(roomId) ?? 0) + 1;
      this.#seqs.set(roomId, seq);
      return encodeEvent({
        ...{ stream: `room:${roomId}`, version: seq + 1, type: 'MessageSent', actor: SENDER },
        data: { roomId, messageId, seq, text: 'AA==' },
        ...{ commandId: messageId, recordedAt: RECORDED_AT },
      });
    });
    const id = `commit ${this.#head.position + 1}`;
    const { commit, head } = buildCommit({ head: this.#head, id, epoch: 1, recordedAt: RECORDED_AT, leaves });
    this.#head = head;
    await this.log.append(commit);
    if (!this.#ids) return;
    for (const event of decodeCommit(commit).events) {
      this.tail.add(event, event.leaf);
      this.#ids.add(event);
    }
  }

  /** Folds the history, of which the tail of a writer has the rest. */
  async fold(): Promise<void> {
    const { live } = this.life;
    const commits = await this.log.read(0, live.position(0), Number.MAX_SAFE_INTEGER);
    await live.fold(commits.map(decodeCommit));
    await live.write();
    this.trim();
  }

  /** The writer learns how far the history is stored. */
  trim(): void {
    const { written } = this.life.live.sizes(0);
    while (this.tail.floor < written && this.tail.length > 0) this.tail.trim(written);
  }

  async send(refs: readonly MessageRef[]): Promise<void> {
    await this.append(refs);
    await this.fold();
  }

  /** Prepares a command that wants these messages: what is asked of the stores. */
  select(refs: readonly MessageRef[]): AskedMessage[] {
    return this.ids.select([{ named: refs.map((ref) => this.ids.name(ref)) }]);
  }

  /** Asks as a writer does. */
  async findUsed(refs: readonly MessageRef[]): Promise<Set<string>> {
    const asked = this.select(refs);
    const recent = refs.filter((ref) => this.ids.findInTail(this.ids.name(ref)));
    return new Set([...(await messageFacts(this.rows, asked)).keys(), ...recent.map(messageTerm)]);
  }

  /** Does all that the projector's thread does beside its turns. */
  async step(): Promise<void> {
    while (await this.life.batches.step());
  }

  /** Writes what waits, as at an orderly stop. */
  flush(): Promise<void> {
    return this.life.batches.flush();
  }

  /** Other processes in the place of these. */
  async restart(): Promise<void> {
    await this.restartProjector();
    this.tail = new Tail(0, this.life.live.sizes(0).written);
    await this.loadIds();
  }

  /** A writer takes over, with this tail. */
  async loadIds(): Promise<void> {
    const head = await loadHead(this.log, 0);
    this.#ids = await MessageIds.load(head, this.tail, this.deps, this.options.mostRecent);
    await this.#ids.loading;
  }

  async restartProjector(): Promise<void> {
    const { isIndexLive = false, batchEvents = 16 } = this.options;
    const { log, projected: store } = this;
    const folded = isIndexLive ? [messagesProjection, messageIdsProjection] : [messagesProjection];
    const live = await Projector.open(store, folded, 1);
    const index = isIndexLive ? undefined : messageIdsProjection;
    const engine = { store, log, partitions: 1 };
    const batches = await MessageIdBatches.open(engine, live, index, { owned: [0], batchEvents });
    this.#life = { live, batches };
    await this.fold();
  }

  /** How far the index of ids is stored. */
  async stored(): Promise<number> {
    return (await this.reads.stored(0)).size;
  }

  /** The rows of the index, by key. */
  async index(): Promise<Record<string, number | null>> {
    const rows = await this.rows.range(messageIdsModel, { limit: 10_000 });
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
  }

  /** The rows that the index must have for the first `size` events of the log. */
  expectedIndex(size: number): Record<string, number | null> {
    const events = this.log.commits().flatMap((commit) => decodeCommit(commit).events);
    const before = events.filter(({ offset }) => offset < size);
    const rows = before.flatMap((event) =>
      messageIdsProjection
        .keys(event)
        .map((key): [string, number | null] => [
          key,
          messageIdsProjection.evolve(undefined, event, key, () => undefined),
        ]),
    );
    return Object.fromEntries(rows);
  }

  /** The stored filter, if it is sound. */
  async filter(segment = 0): Promise<ReadFilter | undefined> {
    const place = { logId: this.log.id, partition: 0, segment };
    const key = filterRowKey(place);
    return readFilter(place, (await this.rows.get(messageIdFiltersModel, [key])).get(key));
  }
}
