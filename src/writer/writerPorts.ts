import type { Clock, PacedCalls } from '../base/clock.js';
import type { DurableAppend } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import type { HeldLease } from '../cluster/leases.js';
import type { Devices } from '../cluster/nodes.js';
import type { ContactRule, DecisionLimits, Invitation, Wants } from '../domain/defineCommand.js';
import type { StreamName, UserId } from '../domain/ids.js';
import type { Preferences } from '../domain/userMessageChat.js';
import type { EventLog } from '../log/log.js';
import { countBlocks, invitationsOf, preferencesOf } from '../projections/models/contacts.js';
import { editsModel } from '../projections/models/editsAndMentions.js';
import { countGroups, membershipsModel } from '../projections/models/membershipRows.js';
import {
  type FilterPlace,
  filterRowKey,
  type IdFilter,
  messageIdFiltersModel,
  messageIdsModel,
  readFilter,
} from '../projections/models/messageIdIndex.js';
import {
  type AskedMessage,
  messageFacts,
  messagesModel,
  type StoredMessage,
} from '../projections/models/messageRows.js';
import { loadStates, type StoredState, statesModel } from '../projections/models/streamIndex.js';
import { usersModel } from '../projections/models/userRows.js';
import type { AnyModel, Checkpoint, RowReader } from '../projections/store/rowStore.js';
import type { CachedKeys, KeyStore } from '../vault/vault.js';

/**
 * Creates the reads of writers over any row store of this log. `foldedBy` reads how far the store holds all these
 * models now.
 */
export function readModels(
  rows: RowReader,
  logId: string,
  foldedBy: (models: readonly AnyModel[], partition: number) => Promise<Checkpoint>,
): ReadModels {
  return {
    states: (streams) => loadStates(rows, streams),
    messages: (asked) => messageFacts(rows, asked),
    async existing(users) {
      const found = await rows.get(usersModel, users);
      return new Set(
        users.filter((user) => {
          const row = found.get(user)?.value;
          return row && !row.erased;
        }),
      );
    },
    preferences: (users) => preferencesOf(rows, users),
    invitations: (asked, rule) => invitationsOf(rows, asked, rule),
    groupsOf: (users) => countGroups(rows, users),
    blocksOf: (users) => countBlocks(rows, users),
    // Not from memory: another node may have folded the partition until a moment ago.
    foldedPosition: async (partition) =>
      (await foldedBy([statesModel, membershipsModel, messagesModel, editsModel], partition)).position,
    ids: {
      stored: (partition) => foldedBy([messageIdsModel], partition),
      filtered: (partition) => foldedBy([messageIdFiltersModel], partition),
      async filter({ upTo, ...place }) {
        const key = filterRowKey(place);
        const row = (await rows.get(messageIdFiltersModel, [key])).get(key);
        const found = readFilter({ ...place, logId }, row);
        return found && found.upTo >= upTo ? found.filter : undefined;
      },
    },
  };
}

/** The reads of a writer. If one rejects, the commands that need it fail as `overloaded`. */
export interface ReadModels {
  /** The states of those streams that have a row, by name. */
  states(streams: readonly StreamName[]): Promise<ReadonlyMap<string, StoredState>>;
  /** The messages that are in the history, by `messageTerm`. */
  messages(asked: readonly AskedMessage[]): Promise<ReadonlyMap<string, StoredMessage>>;
  /** The users that are registered and not erased. */
  existing(users: readonly UserId[]): Promise<ReadonlySet<UserId>>;
  preferences(users: readonly UserId[]): Promise<ReadonlyMap<UserId, Preferences>>;
  /** What comes of invitations to groups, by user. */
  invitations(
    asked: NonNullable<Wants['invited']>,
    rule: ContactRule,
  ): Promise<ReadonlyMap<UserId, Invitation>>;
  /** The number of groups that each of these users is in. */
  groupsOf(users: readonly UserId[]): Promise<ReadonlyMap<UserId, number>>;
  /** The number of users whom each of these users has blocked. */
  blocksOf(users: readonly UserId[]): Promise<ReadonlyMap<UserId, number>>;
  /** A position up to which `states`, `memberships`, `messages` and their edits have stored everything. */
  foldedPosition(partition: number): Promise<number>;
  readonly ids: MessageIdReads;
}

/** The stored index of message ids and its filters, as a new owner of a partition reads them. */
export interface MessageIdReads {
  /** How far the index has stored the ids of the partition. */
  stored(partition: number): Promise<Checkpoint>;
  /** How far the stored filters have them. */
  filtered(partition: number): Promise<Checkpoint>;
  /** The filter of a segment, if it is stored, whole up to this size, and undamaged. */
  filter(place: Omit<FilterPlace, 'logId'> & { readonly upTo: number }): Promise<IdFilter | undefined>;
}

/** The progress of the read models; a part of `Progress`. */
export interface FoldProgress {
  /** The tree size of the partition that is stored. A later read includes every offset below. */
  folded(partition: number): number;
  /** Calls the handler whenever a partition has advanced; returns a function that removes it. */
  onAdvance(handler: (partition: number, size: number) => void): () => void;
}

/** The part of a lease that a writer reads. */
export type Lease = Pick<HeldLease, 'epoch' | 'validUntil'>;

/** Everything that the writers of one process share. */
export interface WriterDeps {
  readonly storage: WriterStorage;
  readonly lookups: DecisionLookups;
  readonly environment: WriterEnvironment;
  readonly events: WriterEvents;
}

/** Where a writer appends and publishes, and how far the read models have folded its log. */
export interface WriterStorage {
  readonly log: EventLog;
  readonly bus: Pick<Bus, 'publish'>;
  readonly folding: FoldProgress;
  /** Rejects if the partition does not extend its signed head: nothing may be appended. Absent if heads are unsigned. */
  readonly mayAppend?: (partition: number) => Promise<void>;
}

/** The keys that a writer seals with. */
export type WriterKeys = Pick<KeyStore, 'getKeys' | 'getRoomKeys'> &
  Pick<CachedKeys, 'getCached' | 'getCachedRoomKeys'>;

/** Everything that is looked up before a command is decided. */
export interface DecisionLookups {
  readonly reads: ReadModels;
  readonly keys: WriterKeys;
  readonly limits: DecisionLimits;
  /** Users with an active device on any node. Absent in a single process. */
  readonly devices?: Pick<Devices, 'findActive'>;
}

/** Time, ids and the capabilities of the cluster. */
export interface WriterEnvironment {
  /** Its `now` is the clock of the leases. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Shared by all writers of the process, so that their commits begin together. */
  readonly pace: Pick<PacedCalls, 'add'>;
  /** Returns a new UUID. */
  readonly newId: () => string;
  /** Whether every live node can read an event type, in the version it names. No other type is written. */
  readonly knownToAll: Pick<ReadonlySet<string>, 'has'>;
}

/** The receiver of a writer's failures and measurements. */
export interface WriterEvents {
  /** Called at most once a writer, when the log cannot be written any more: the process must stop. */
  readonly onFatal: (error: unknown) => void;
  /** Called when another writer took the partition while the lease was not provably valid. This writer stops. */
  readonly onDeposed: (partition: number) => void;
  /** Logs a failure that was handled. */
  readonly report: (message: string, error: unknown) => void;
  /** Called after each append except fences; `ms` is the time from the call to its outcome. */
  readonly onAppend?: (appended: DurableAppend) => void;
}

/** What users permit, and how many groups and blocks they have, as far as it was looked up. */
export interface Relations {
  readonly preferences: ReadonlyMap<UserId, Preferences>;
  /** By `invitationKey`. */
  readonly invitations: ReadonlyMap<string, Invitation>;
  readonly groups: ReadonlyMap<UserId, number>;
  readonly blocks: ReadonlyMap<UserId, number>;
}

/** Thrown by a decider that needs a fact which was not wanted: it is looked up, and the command decided again. */
export class PreferencesMissing extends Error {
  override readonly name = 'PreferencesMissing';
  constructor(readonly user: UserId) {
    super(`the preferences of ${user} were not looked up`);
  }
}

export const invitationKey = (by: UserId, user: UserId): string => `${by}/${user}`;

/** Fetches what the users of a round permit each other, and what is counted of them. Most rounds ask nothing. */
export async function fetchRelations(
  wants: readonly Wants[],
  { reads, limits: { contactRule } }: DecisionLookups,
): Promise<Relations> {
  const named = (name: 'preferences' | 'groupsOf' | 'blocksOf') => [
    ...new Set(wants.flatMap((each) => each[name] ?? [])),
  ];
  const [asked, inGroups, blocking] = [named('preferences'), named('groupsOf'), named('blocksOf')];
  const none: ReadonlyMap<UserId, never> = new Map<UserId, never>();
  const [preferences, groups, blocks] = await Promise.all([
    asked.length > 0 ? reads.preferences(asked) : none,
    inGroups.length > 0 ? reads.groupsOf(inGroups) : none,
    blocking.length > 0 ? reads.blocksOf(blocking) : none,
  ]);
  const invitations = new Map<string, Invitation>();
  for (const each of wants.flatMap(({ invited }) => invited ?? []))
    for (const [user, invitation] of await reads.invitations(each, contactRule))
      invitations.set(invitationKey(each.by, user), invitation);
  return { preferences, invitations, groups, blocks };
}
