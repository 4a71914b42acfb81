import { type Clock, PeriodicTask, sleep, withTimeout } from '../base/clock.js';
import { NotOwner } from '../base/errors.js';
import { UnknownEventType } from '../domain/codec.js';
import { AppendError, HoleError, StorageError } from '../log/log.js';
import type { NodeId } from './bus.js';
import { type HeldLease, LEASE_MS, type LeaseHolder, type Leases } from './leases.js';
import type { LiveNode, Nodes } from './nodes.js';

/** What a node does next for partitions to be spread evenly. */
export interface OwnershipPlan {
  /** Free ones that are this node's to take. */
  readonly acquire: readonly number[];
  /** Ones it holds that are another's: to be released, so that the other can take them. */
  readonly release: readonly number[];
}

/**
 * Every node plans for itself, from what it sees: `living` with the longest-lived first, itself among them unless it
 * is stopping, and by partition who holds it, where what it says of `me` is what this node really holds.
 *
 * How many partitions a node is due depends on its rank among the living alone: of P partitions and n nodes, the one
 * of rank i (0 has lived longest) is due ⌈(P − i) / n⌉. So nothing but a wrong idea of who lives makes a node move
 * more than it must, however old its view of the holders. When the youngest joins, nobody's due grows but its own, and
 * when one goes, nobody's shrinks: only what the newcomer gets, or the one that went had, moves.
 *
 * Nobody is told to take what another holds: that becomes free by its hand-over, or when its lease expires.
 */
export function planOwnership(
  me: NodeId,
  live: readonly Pick<LiveNode, 'node' | 'silentMs'>[],
  holders: readonly (NodeId | undefined)[],
): OwnershipPlan {
  // After so long a silence its leases have expired too, though it is not yet taken for dead.
  const ranks = live.filter(({ silentMs }) => silentMs < LEASE_MS).map(({ node }) => node);
  const rank = ranks.indexOf(me);
  const held = partitionsOf(me, holders);
  if (rank < 0) return { acquire: [], release: held };
  const missing = ranks.map((node, i) => due(i) - partitionsOf(node, holders).length);
  // The free ones are dealt out by rank, so that two nodes seldom go for the same one.
  const before = missing.slice(0, rank).reduce((sum, count) => sum + Math.max(0, count), 0);
  const lack = missing[rank] ?? 0;
  return {
    acquire: lack > 0 ? partitionsOf(undefined, holders).slice(before, before + lack) : [],
    release: lack < 0 ? held.slice(lack) : [],
  };

  function due(rank: number): number {
    return Math.ceil((holders.length - rank) / ranks.length);
  }
}

/** The partitions of this holder, in order. */
const partitionsOf = (holder: NodeId | undefined, holders: readonly (NodeId | undefined)[]): number[] =>
  holders.flatMap((each, partition) => (each === holder ? [partition] : []));

/** Between two renewals, and between two looks at who has what. */
const INTERVAL_MS = 1000;
/** A node that beat within this time has surely not died before. */
const SURELY_LIVE_MS = 2 * INTERVAL_MS;
/** Longer than what leases and nodes take to say that they have no answer: for calls that say nothing at all. */
const CALL_TIMEOUT_MS = 3000;
/** How long a start waits for all partitions to be served, and a stop for what is in flight. */
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 2000;

/** Who owns a partition; `knows` as in `Living`, if it is seen to live. */
export interface Owner extends LeaseHolder {
  readonly capabilities?: readonly string[] | undefined;
}
/** By partition who owns it, as far as one node knows. */
export type Owners = readonly (Owner | undefined)[];

/** A partition's writer, as far as ownership starts and stops it; see `Writer`. */
interface OwnedWriter {
  takeOver(lease: HeldLease): Promise<void>;
  giveUp(): Promise<void>;
  handleRenewal(): void;
}

/** Everything ownership needs. */
export interface OwnershipDeps {
  readonly node: NodeId;
  readonly cluster: {
    readonly leases: Pick<Leases, 'acquire' | 'holders'>;
    readonly nodes: Omit<Nodes, 'expire'>;
  };
  /** One a partition, in order. */
  readonly writers: readonly OwnedWriter[];
  readonly clock: Clock;
  readonly events: OwnershipEvents;
}

/** The receiver of ownership changes and failures. */
export interface OwnershipEvents {
  /** Called when an owner changed. The writers of this node accept commands for its partitions from then on. */
  readonly onOwners: (owners: Owners) => void;
  /** Called when this node acquired or released a lease: other nodes should rebalance. */
  readonly onLeasesChanged: () => void;
  /** Called when the process must stop: `StorageError`, `HoleError`, `AppendError` or `UnknownEventType`. */
  readonly onFatal: (error: unknown) => void;
  /** Logs a failure that is retried. */
  readonly report: (message: string, error: unknown) => void;
}

/** A lease of this node, until its writer has let go of all that came with it. */
interface OwnedPartition {
  readonly lease: HeldLease;
  isServed: boolean;
  isReleasing: boolean;
}

const FATAL_ERRORS = [StorageError, HoleError, AppendError, UnknownEventType];

/**
 * Keeps this node's share of the partitions: says that it lives, renews its leases, looks who has what, takes what is
 * free and its due, and hands over what is another's. All of it is for speed: the log's positions keep a partition
 * correct whatever is believed here.
 */
export class Ownership {
  readonly #deps: OwnershipDeps;
  readonly #owned = new Map<number, OwnedPartition>();
  readonly #renewal: PeriodicTask;
  readonly #rebalancing: PeriodicTask;
  #holders: Owners = [];
  #owners: Owners;
  #liveNodes: readonly LiveNode[] = [];
  #sharedCapabilities: ReadonlySet<string> = new Set();
  #isStopping = false;
  #ended: Promise<void> | undefined;
  #onChange = (): void => {};

  constructor(deps: OwnershipDeps) {
    this.#deps = deps;
    this.#owners = deps.writers.map(() => undefined);
    this.#renewal = new PeriodicTask(deps.clock, INTERVAL_MS, () => this.#renewAll());
    this.#rebalancing = new PeriodicTask(deps.clock, INTERVAL_MS, () => this.#rebalanceOnce());
  }

  /** Begins. Resolves when every partition is served, here or by a node that lives, or after 10 s. */
  async start(): Promise<void> {
    const served = new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (this.#areAllServed()) resolve();
      };
    });
    // Else this node is not yet one of the living when it first looks, and takes nothing.
    await this.#sendHeartbeat();
    this.#renewal.runNow();
    this.#rebalancing.runNow();
    await Promise.race([served, sleep(this.#deps.clock, START_TIMEOUT_MS)]);
  }

  /** Looks now who has what. */
  rebalance(): void {
    this.#rebalancing.runNow();
  }

  /** Whether every living node can read events of this type. */
  isKnownToAll(type: string): boolean {
    return this.#sharedCapabilities.has(type);
  }

  /** The writer has let go of its partition by itself. */
  release(partition: number): void {
    const owned = this.#owned.get(partition);
    if (owned) void this.#releasePartition(partition, owned);
  }

  /** Hands everything over, and is not one of the nodes any more. Resolves when that is done, or after 2 s. */
  stop(): Promise<void> {
    this.#ended ??= Promise.race([this.#stop(), sleep(this.#deps.clock, STOP_TIMEOUT_MS)]);
    return this.#ended;
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([this.#renewal.stop(), this.#rebalancing.stop()]);
    // First, so that the others count on it no more when they find its partitions free.
    await this.#try('this node could not be taken off the list', () => this.#deps.cluster.nodes.leave());
    await Promise.all([...this.#owned].map(([partition, owned]) => this.#releasePartition(partition, owned)));
  }

  async #sendHeartbeat(): Promise<void> {
    await this.#try('this node could not say that it lives', () => this.#deps.cluster.nodes.heartbeat());
  }

  async #renewAll(): Promise<void> {
    const renewals = [...this.#owned].map(([partition, owned]) => this.#renew(partition, owned));
    await Promise.all([this.#sendHeartbeat(), ...renewals]);
  }

  async #renew(partition: number, owned: OwnedPartition): Promise<void> {
    // What is being given up may expire: then another takes over what cannot be settled here.
    if (owned.isReleasing) return;
    const what = `the lease of partition ${partition} could not be renewed`;
    const isHeld = await this.#try(what, () => owned.lease.renew());
    if (isHeld) this.#deps.writers[partition]?.handleRenewal();
    // Not known: it is ours as long as nobody else can have taken it.
    else if (isHeld === false || this.#deps.clock.now() >= owned.lease.validUntil)
      void this.#releasePartition(partition, owned);
  }

  async #rebalanceOnce(): Promise<void> {
    const { node } = this.#deps;
    const { nodes, leases } = this.#deps.cluster;
    const seen = await this.#try('who owns which partition could not be read', () =>
      Promise.all([nodes.listLive(), leases.holders()]),
    );
    if (!seen) return;
    [this.#liveNodes, this.#holders] = seen;
    this.#sharedCapabilities = intersectCapabilities(this.#liveNodes);
    this.#updateOwners();
    const view = this.#holders.map((holder, partition) => this.#holderSeen(partition, holder)?.node);
    const { acquire, release } = planOwnership(node, this.#liveNodes, view);
    for (const partition of release) {
      const owned = this.#owned.get(partition);
      if (owned) void this.#releasePartition(partition, owned);
    }
    const acquired = await Promise.all(acquire.map((partition) => this.#acquire(partition)));
    if (acquired.includes(true)) this.#deps.events.onLeasesChanged();
  }

  /** Who has it: of this node that is known better here. What is being given up is still its own. */
  #holderSeen(partition: number, holder: LeaseHolder | undefined): LeaseHolder | undefined {
    const { node } = this.#deps;
    const owned = this.#owned.get(partition);
    if (owned && (!owned.isReleasing || holder?.node === node)) return { node, epoch: owned.lease.epoch };
    return holder?.node === node ? undefined : holder;
  }

  async #acquire(partition: number): Promise<boolean> {
    if (this.#owned.has(partition)) return false;
    const what = `the lease of partition ${partition} could not be acquired`;
    const lease = await this.#try(what, () => this.#deps.cluster.leases.acquire(partition));
    if (!lease) return false;
    const owned: OwnedPartition = { lease, isServed: false, isReleasing: false };
    this.#owned.set(partition, owned);
    if (this.#isStopping) await this.#releasePartition(partition, owned);
    else void this.#takeOver(partition, owned);
    this.#updateOwners();
    return true;
  }

  async #takeOver(partition: number, owned: OwnedPartition): Promise<void> {
    try {
      await this.#deps.writers[partition]?.takeOver(owned.lease);
      owned.isServed = true;
      this.#onChange();
    } catch (error) {
      if (FATAL_ERRORS.some((kind) => error instanceof kind)) this.#deps.events.onFatal(error);
      else if (!(error instanceof NotOwner))
        this.#deps.events.report(`partition ${partition} could not be taken over`, error);
      // The next look finds it free, and takes it again if it is still this node's due.
      await this.#releasePartition(partition, owned);
    }
  }

  async #releasePartition(partition: number, owned: OwnedPartition): Promise<void> {
    if (owned.isReleasing) return;
    owned.isReleasing = true;
    this.#updateOwners();
    await this.#deps.writers[partition]?.giveUp();
    const what = `the lease of partition ${partition} could not be released; it expires`;
    await this.#try(what, () => owned.lease.release());
    this.#owned.delete(partition);
    this.#deps.events.onLeasesChanged();
  }

  #updateOwners(): void {
    const known = new Map(this.#liveNodes.map(({ node, capabilities }) => [node, capabilities]));
    const owners = this.#owners.map((_, partition) => {
      const owned = this.#owned.get(partition);
      const holder = owned?.isReleasing ? undefined : this.#holderSeen(partition, this.#holders[partition]);
      return holder && { ...holder, capabilities: known.get(holder.node) };
    });
    if (!owners.every((owner, partition) => isSame(owner, this.#owners[partition]))) {
      this.#owners = owners;
      this.#deps.events.onOwners(owners);
    }
    this.#onChange();
  }

  #areAllServed(): boolean {
    const { node } = this.#deps;
    const alive = new Set(
      this.#liveNodes.flatMap((each) => (each.silentMs < SURELY_LIVE_MS ? [each.node] : [])),
    );
    return this.#owners.every((owner, partition) =>
      owner?.node === node ? this.#owned.get(partition)?.isServed : owner && alive.has(owner.node),
    );
  }

  /** Undefined, and reported, when it fails. */
  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const late = () => new Error(`no answer within ${CALL_TIMEOUT_MS} ms: it may have happened`);
      return await withTimeout(this.#deps.clock, CALL_TIMEOUT_MS, work(), late);
    } catch (error) {
      this.#deps.events.report(what, error);
      return undefined;
    }
  }
}

const isSame = (a: Owner | undefined, b: Owner | undefined): boolean =>
  a?.node === b?.node && a?.epoch === b?.epoch && a?.capabilities?.join() === b?.capabilities?.join();

function intersectCapabilities(living: readonly LiveNode[]): ReadonlySet<string> {
  const [first, ...others] = living.map(({ capabilities }) => new Set(capabilities));
  return new Set([...(first ?? [])].filter((type) => others.every((capabilities) => capabilities.has(type))));
}
