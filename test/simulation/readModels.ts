import { decodeEvents } from '../../src/cluster/bus.js';
import { changedBy, changeMessage, foldFor, type Recorded, type State } from '../../src/domain/events.js';
import { membersOf } from '../../src/domain/groups/groupState.js';
import type { StreamName } from '../../src/domain/ids.js';
import { sealedMessage } from '../../src/domain/messages/messages.js';
import { messageTerm } from '../../src/domain/messages/sealedMessages.js';
import { isGroup } from '../../src/domain/streams.js';
import { DEFAULT_PREFERENCES } from '../../src/domain/userMessageChat.js';
import { fromDocument } from '../../src/log/mongoLog.js';
import { changedMembership, membershipIn } from '../../src/projections/models/membershipRows.js';
import type { StoredMessage } from '../../src/projections/models/messageRows.js';
import type { StoredMember, StoredState } from '../../src/projections/models/streamIndex.js';
import type { FoldProgress, ReadModels } from '../../src/writer/writerPorts.js';
import type { Database } from './database.js';
import type { Machine } from './machine.js';
import type { World } from './world.js';

/** The progress of a partition's read models. */
interface Place {
  readonly position: number;
  readonly size: number;
}

const NOTHING_FOLDED: Place = { position: 0, size: 0 };

/**
 * The stored read models that writers decide with. A background task folds them from the log in steps: rows
 * first, and their checkpoint later.
 */
export class FoldedModels {
  readonly #world: World;
  readonly #database: Database;
  readonly #states = new Map<StreamName, StoredState>();
  /** By group, its rows of members by user. */
  readonly #members = new Map<StreamName, Map<string, StoredMember>>();
  /** The states of groups with their members, from which the rows of members are made. */
  readonly #groups = new Map<StreamName, State>();
  readonly #messages = new Map<string, StoredMessage>();
  readonly #checkpoints: Place[];
  readonly #handlers = new Set<(partition: number) => void>();

  constructor(world: World, database: Database) {
    this.#world = world;
    this.#database = database;
    this.#checkpoints = database.log.map(() => ({ position: 0, size: 0 }));
    for (const partition of database.log.keys()) this.#foldSoon(partition, 0);
  }

  /** The view of one process: its reads take time, and its notes come late. */
  of(machine: Machine): { reads: ReadModels; folding: FoldProgress } {
    const { random, faultPlan } = this.#world;
    const read = <T>(work: () => T) =>
      new Promise<T>((resolve, reject) => {
        const isFailed = this.#world.fault(faultPlan.folding.failed);
        machine.after(random.between(0.1, 20), () => {
          const found = work();
          machine.after(random.between(0.1, 20), () =>
            isFailed ? reject(new Error('the read models cannot be reached')) : resolve(found),
          );
        });
      });
    const known = this.#checkpoints.map(({ size }) => size);
    return {
      reads: {
        states: async (streams) => {
          const states = await read(() => pick(this.#states, streams));
          const groups = [...states].filter(([, { value }]) => value && isGroup(value.state));
          if (groups.length === 0) return states;
          // A query of its own: the rows of members may be newer.
          return read(() => {
            const load = ([stream, row]: [StreamName, StoredState]) =>
              [stream, { ...row, members: [...(this.#members.get(stream)?.values() ?? [])] }] as const;
            return new Map<string, StoredState>([...states, ...groups.map(load)]);
          });
        },
        messages: (asked) =>
          read(() =>
            pick(
              this.#messages,
              asked.map((ref) => messageTerm(ref)),
            ),
          ),
        // All users are registered.
        existing: async (users) => new Set(users),
        preferences: (users) => read(() => new Map(users.map((user) => [user, DEFAULT_PREFERENCES]))),
        invitations: ({ users }) => read(() => new Map(users.map((user) => [user, 'taken' as const]))),
        groupsOf: async () => new Map(),
        blocksOf: async () => new Map(),
        foldedPosition: (partition) => read(() => this.#checkpoints[partition]?.position ?? 0),
        ids: {
          stored: (partition) => read(() => this.#checkpoints[partition] ?? NOTHING_FOLDED),
          filtered: () => read(() => NOTHING_FOLDED),
          filter: async () => undefined,
        },
      },
      folding: {
        folded: (partition) => known[partition] ?? 0,
        onAdvance: (handler) => {
          const advance = (partition: number) => {
            const size = this.#checkpoints[partition]?.size ?? 0;
            machine.after(random.between(0, 200), () => {
              known[partition] = Math.max(known[partition] ?? 0, size);
              handler(partition, known[partition] ?? 0);
            });
          };
          this.#handlers.add(advance);
          return () => this.#handlers.delete(advance);
        },
      },
    };
  }

  /** Folds some commits: the rows of states and messages, those of members sooner or later, then the checkpoint. */
  #foldSoon(partition: number, position: number): void {
    const { random, timeline, faultPlan } = this.#world;
    const { everyMs } = faultPlan.folding;
    timeline.after(random.between(1, everyMs), () => {
      const next = this.#database.log[partition]?.slice(position, position + random.whole(1, 8)) ?? [];
      const commits = next.map(({ document }) => fromDocument(document));
      const folded = commits.at(-1);
      if (!folded) return this.#foldSoon(partition, position);
      const events = commits.flatMap((commit) => decodeEvents(commit));
      const areRoomsFirst = random.chance(0.5);
      const fold = (areRooms: boolean) => {
        for (const event of events)
          if (areRooms) this.#foldRooms(event);
          else this.#foldMembers(event);
      };
      fold(areRoomsFirst);
      timeline.after(random.between(0, everyMs / 2), () => {
        fold(!areRoomsFirst);
        timeline.after(random.between(0, everyMs / 2), () => {
          this.#checkpoints[partition] = folded;
          for (const handler of this.#handlers) handler(partition);
          this.#foldSoon(partition, folded.position);
        });
      });
    });
  }

  #foldRooms(event: Recorded): void {
    const { stream, version, offset } = event;
    const fold = foldFor(stream);
    const state = fold.evolve(this.#states.get(stream)?.value?.state ?? fold.initial, event);
    this.#states.set(stream, { offset, value: { version, state: fold.stored(state) } });
    if (event.type === 'MessageSent')
      this.#messages.set(messageTerm(event.data), { message: sealedMessage(event), offset });
    const changed = changedBy(event);
    const known = changed && this.#messages.get(messageTerm(changed));
    if (!known) return;
    const edits = new Map(known.edits);
    if (event.type === 'MessageEdited') edits.set(event.data.editId, event.data);
    this.#messages.set(messageTerm(changed), { message: changeMessage(known.message, event), offset, edits });
  }

  #foldMembers(event: Recorded): void {
    const { stream, offset } = event;
    const fold = foldFor(stream);
    const before = this.#groups.get(stream) ?? fold.initial;
    const state = fold.evolve(before, event);
    if (!isGroup(state)) return;
    this.#groups.set(stream, state);
    const key = changedMembership(event);
    if (key === undefined) return;
    const { userId } = membershipIn(key);
    const member = membersOf(state).get(userId);
    const rows = this.#members.get(stream) ?? new Map<string, StoredMember>();
    if (member) rows.set(userId, { userId, offset, member });
    this.#members.set(stream, rows);
  }
}

function pick<K, V>(from: ReadonlyMap<K, V>, keys: readonly K[]): Map<K, V> {
  const found = new Map<K, V>();
  for (const key of keys) {
    const value = from.get(key);
    if (value !== undefined) found.set(key, value);
  }
  return found;
}
