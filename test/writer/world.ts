import { PacedCalls } from '../../src/base/clock.js';
import { NotOwner } from '../../src/base/errors.js';
import type { CommitFrame } from '../../src/cluster/bus.js';
import { decodeLeaf } from '../../src/domain/codec.js';
import type { Command, CommandKind, CommandOf } from '../../src/domain/commands.js';
import type { ContactRule } from '../../src/domain/defineCommand.js';
import type { Recorded } from '../../src/domain/events.js';
import { roomIdOf, type StreamName, type UserId } from '../../src/domain/ids.js';
import { DEFAULT_PREFERENCES, type Preferences } from '../../src/domain/userMessageChat.js';
import type { Commit, EventLog } from '../../src/log/log.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import {
  countGroups,
  membershipsModel,
  membershipsProjection,
} from '../../src/projections/models/membershipRows.js';
import { messageIdsModel, messageIdsProjection } from '../../src/projections/models/messageIdIndex.js';
import {
  type AskedMessage,
  messageFacts,
  messagesModel,
  messagesProjection,
} from '../../src/projections/models/messageRows.js';
import { loadStates, statesModel, statesProjection } from '../../src/projections/models/streamIndex.js';
import type { Folded, Projection } from '../../src/projections/projection.js';
import { foldedBy, type Row, tableOf } from '../../src/projections/store/rowStore.js';
import { type RoomKeys, roomKeysId } from '../../src/vault/textKeys.js';
import type { DataKey } from '../../src/vault/vault.js';
import { Writer } from '../../src/writer/writer.js';
import { readModels, type WriterDeps } from '../../src/writer/writerPorts.js';
import { routeToWriters } from '../../src/writer/writers.js';
import { factsOf } from '../support/facts.js';
import { FakeVault } from '../support/fakeVault.js';
import type { MemoryLog } from '../support/memoryLog.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { virtualTime } from '../support/virtualTime.js';

export const [ada, bob, eve] = [
  '00000000-0000-4000-8000-00000000000a',
  '00000000-0000-4000-8000-00000000000b',
  '00000000-0000-4000-8000-00000000000e',
] as const;
export const adaAndBob = roomIdOf(ada, bob);

/** The events of commits, in order. */
export const eventsOf = (commits: readonly Commit[]): Recorded[] =>
  commits.flatMap(({ partition, firstOffset, leaves }) =>
    leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i)),
  );

export const openChat = (actor: string, friendId: string): CommandOf<'init chat'> => ({
  kind: 'init chat',
  actor,
  friendId,
});

export const send = (
  actor: string,
  messageId: string,
  message = `text of ${messageId}`,
  more: { roomId?: string; replyTo?: string } = {},
): CommandOf<'send message'> => ({
  kind: 'send message',
  actor,
  roomId: adaAndBob,
  messageId,
  message,
  ...more,
});

/** One partition with everything a writer stands on: real folds and rows, projected when the test says so. */
export class World<L extends EventLog = MemoryLog> {
  readonly vault = new FakeVault();
  readonly rows = new MemoryRows();
  readonly frames: CommitFrame[] = [];
  readonly fatal: unknown[] = [];
  readonly reported: unknown[] = [];
  readonly appended: number[] = [];
  clock = Date.parse('2026-01-02T03:04:05.678Z');
  /** Keys that are in memory, so that nothing is asked for them. */
  readonly cachedKeys = new Map<string, DataKey | 'destroyed'>();
  readonly cachedRoomKeys = new Map<string, RoomKeys | 'destroyed'>();
  /** The least time between two appends. */
  commitIntervalMs = 0;
  /** The index of message ids is not folded with the other models. */
  isIndexBehind = false;
  /** The number of message ids that the read models were asked for. */
  askedIds = 0;
  /** A lease that is always valid, unless a test says otherwise. */
  lease = { epoch: 1, validUntil: Number.POSITIVE_INFINITY };
  readonly time = virtualTime();
  readonly unknownTypes = new Set<string>();
  readonly deposed: number[] = [];
  writer: Writer;
  onPublish: () => void = () => {};
  /** A look-up's answer is taken before this, and given after it. */
  slowReads: () => Promise<void> = async () => {};
  /** Users with an active device on some node. */
  readonly active = new Set<string>();
  /** Users the read models know, and have not seen erased. */
  readonly existing = new Set<string>([ada, bob, eve]);
  readonly #advance = new Set<(partition: number, size: number) => void>();
  /** The users whose preferences were looked up. */
  readonly askedPreferences: UserId[] = [];
  whoWrites: Preferences['whoWrites'] = 'everyone';
  readonly contactRule: ContactRule = 'open';

  #folded = { position: 0, size: 0 };
  #ids = 0;
  #projecting = Promise.resolve();

  constructor(readonly log: L) {
    this.writer = new Writer(0, this.deps());
  }

  /** A world whose writer has started and whose users have keys. */
  static async start<L extends EventLog>(log: L): Promise<World<L>> {
    const world = new World(log);
    for (const user of [ada, bob, eve]) await world.vault.keys.create(user);
    await world.writer.takeOver(world.lease);
    return world;
  }

  execute<K extends CommandKind>(command: CommandOf<K>, commandId = `command ${++this.#ids}`) {
    return routeToWriters([this.writer], this.time).submit(command, commandId, this.lease.epoch);
  }

  /** The outcome of a command: what it was answered, or the code it was refused with. */
  async outcome(command: Command): Promise<unknown> {
    // The union of commands is one of them.
    return this.execute(command as CommandOf<CommandKind>).catch((error: { code: string }) =>
      error instanceof NotOwner ? 'not owner' : error.code,
    );
  }

  /** Another process in the place of this one: all that was in memory is gone. */
  async restart(): Promise<void> {
    this.#advance.clear();
    this.writer = new Writer(0, this.deps());
    this.lease = { epoch: this.lease.epoch + 1, validUntil: Number.POSITIVE_INFINITY };
    await this.writer.takeOver(this.lease);
  }

  /** Folds all that is in the log, and says so; one call after the other. */
  project(): Promise<void> {
    this.#projecting = this.#projecting.then(() => this.#foldAll());
    return this.#projecting;
  }

  deps(): WriterDeps {
    const late = async <T>(answer: Promise<T>): Promise<T> => {
      const taken = await answer;
      await this.slowReads();
      return taken;
    };
    return {
      storage: {
        log: this.log,
        bus: {
          publish: (frame) => {
            this.frames.push(frame);
            this.onPublish();
          },
        },
        folding: {
          folded: () => this.#folded.size,
          onAdvance: (handler) => {
            this.#advance.add(handler);
            return () => this.#advance.delete(handler);
          },
        },
      },
      lookups: {
        limits: { ...factsOf().limits, contactRule: this.contactRule },
        keys: {
          getKeys: (owners) => this.vault.keys.getKeys(owners),
          getRoomKeys: (rooms) => this.vault.keys.getRoomKeys(rooms),
          getCached: (owner) => this.cachedKeys.get(owner),
          getCachedRoomKeys: (room) => this.cachedRoomKeys.get(roomKeysId(room)),
        },
        reads: {
          states: (streams: readonly StreamName[]) => late(loadStates(this.rows, streams)),
          messages: (asked: readonly AskedMessage[]) => {
            this.askedIds += asked.length;
            return late(messageFacts(this.rows, asked));
          },
          existing: async (users) => new Set(users.filter((user) => this.existing.has(user))),
          preferences: (users) => {
            this.askedPreferences.push(...users);
            const { whoWrites } = this;
            return late(
              Promise.resolve(new Map(users.map((user) => [user, { ...DEFAULT_PREFERENCES, whoWrites }]))),
            );
          },
          invitations: async ({ users }) =>
            new Map(users.map((user) => [user, this.existing.has(user) ? 'taken' : 'not_found'] as const)),
          groupsOf: (users) => countGroups(this.rows, users),
          blocksOf: async () => new Map(),
          foldedPosition: async (partition) =>
            foldedBy(await this.rows.checkpoints(), [tableOf(statesModel)], partition).position,
          ids: readModels(this.rows, this.log.id, async (models, partition) =>
            foldedBy(await this.rows.checkpoints(), models.map(tableOf), partition),
          ).ids,
        },
        devices: { findActive: async (users) => new Set(users.filter((user) => this.active.has(user))) },
      },
      environment: {
        clock: this.time,
        pace: new PacedCalls(this.time, this.commitIntervalMs),
        now: () => this.clock,
        newId: () => `commit ${++this.#ids}`,
        knownToAll: { has: (type) => !this.unknownTypes.has(type) },
      },
      events: {
        onDeposed: (partition) => this.deposed.push(partition),
        onFatal: (error) => this.fatal.push(error),
        report: (_, error) => this.reported.push(error),
        onAppend: ({ events }) => this.appended.push(events),
      },
    };
  }

  /** A projector is cut off before it writes its checkpoint: the rows of members are ahead of the others. */
  async foldMembershipsAhead(): Promise<void> {
    await this.#projecting;
    for (const commit of await this.log.read(0, this.#folded.position, 10_000))
      for (const event of decodeCommit(commit).events) await this.#fold(membershipsProjection, event);
  }

  async #foldAll(): Promise<void> {
    const commits = await this.log.read(0, this.#folded.position, 10_000);
    const last = commits.at(-1);
    if (!last) return;
    for (const event of commits.flatMap((commit) => decodeCommit(commit).events)) {
      await this.#fold(statesProjection, event);
      await this.#fold(messagesProjection, event);
      await this.#fold(membershipsProjection, event);
      if (!this.isIndexBehind) await this.#fold(messageIdsProjection, event);
    }
    const at = { position: last.position, size: last.size };
    const models = [messagesModel, membershipsModel, statesModel];
    const tables = [...(this.isIndexBehind ? [] : [messageIdsModel]), ...models].map(tableOf);
    await this.rows.write([], [{ partition: 0, tables, ...at }]);
    this.#folded = at;
    for (const handler of this.#advance) handler(0, at.size);
  }

  async #fold<R>(projection: Projection<R>, event: Folded): Promise<void> {
    const { model } = projection;
    const keys = projection.keys(event);
    const before = await this.rows.get(model, keys);
    const later = keys.filter((key) => (before.get(key)?.offset ?? -1) < event.offset);
    const rows = later.map((key): Row<R> => {
      const value = projection.evolve(before.get(key)?.value, event, key, () => undefined);
      return { key, partition: event.partition, offset: event.offset, value };
    });
    await this.rows.write([{ model, rows }]);
  }
}

/** Lets everything run that waits for no one outside. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A door that is shut until it is opened. */
export function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
