import { type Clock, PeriodicTask, waitAtMost, withTimeout } from '../base/clock.js';
import { NotOwner } from '../base/errors.js';
import { UnknownEventType } from '../domain/codec.js';
import { AppendError, HoleError, StorageError } from '../log/log.js';
import type { NodeId } from './bus.js';
import { type HeldLease, LEASE_MS, type LeaseHolder, type Leases } from './leases.js';
import type { LiveNode, Nodes } from './nodes.js';

/** The next steps of one node towards an even spread of partitions. */
export interface OwnershipPlan {
  /** Free partitions this node should acquire. */
  readonly acquire: readonly number[];
  /** Partitions this node holds beyond its share, which another node should have. */
  readonly release: readonly number[];
}

/**
 * Plans one node's next steps from its own view. `live` lists the longest-lived first, without a stopping
 * node itself. `holders` must be exact for the partitions of `me`.
 * A node's share depends only on its rank among the live nodes. Of P partitions and n nodes, rank i (0 is the
 * longest-lived) gets ⌈(P − i) / n⌉. So an outdated view of the holders never moves a partition needlessly;
 * only a wrong list of live nodes can. When the youngest node joins, only its own share grows. When a node
 * goes, no share shrinks.
 * No node takes a partition that another holds. It waits for the release, or for the lease to expire.
 */
export function planOwnership(
  me: NodeId,
  live: readonly Pick<LiveNode, 'node' | 'silentMs'>[],
  holders: readonly (NodeId | undefined)[],
): OwnershipPlan {
  // After this silence its leases have expired, although it does not count as dead yet.
  const ranks = live.filter(({ silentMs }) => silentMs < LEASE_MS).map(({ node }) => node);
  const rank = ranks.indexOf(me);
  const held = partitionsOf(me, holders);
  if (rank < 0) return { acquire: [], release: held };
  const missing = ranks.map((node, i) => shareOf(i) - partitionsOf(node, holders).length);
  // Free partitions are dealt out by rank, so that two nodes seldom try for the same one.
  const before = missing.slice(0, rank).reduce((sum, count) => sum + Math.max(0, count), 0);
  const lack = missing[rank] ?? 0;
  return {
    acquire: lack > 0 ? partitionsOf(undefined, holders).slice(before, before + lack) : [],
    release: lack < 0 ? held.slice(lack) : [],
  };

  function shareOf(rank: number): number {
    return Math.ceil((holders.length - rank) / ranks.length);
  }
}

/** Returns the partitions of this holder, in order. */
const partitionsOf = (holder: NodeId | undefined, holders: readonly (NodeId | undefined)[]): number[] =>
  holders.flatMap((each, partition) => (each === holder ? [partition] : []));

/** The interval between renewals. A rebalancing follows each. */
const INTERVAL_MS = 1000;
/** The longest interval between rebalancings while renewals get no answer. */
const REBALANCING_MS = 2 * INTERVAL_MS;
/** A node with a heartbeat this recent has certainly not died. */
const SURELY_LIVE_MS = 2 * INTERVAL_MS;
/** For calls that never settle. Longer than the stores need to report a failure. */
const CALL_TIMEOUT_MS = 3000;
/** How long a start waits until all partitions are served, and a stop until calls in flight end. */
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 2000;

/** The owner of a partition. Its capabilities are known if it is seen live. */
export interface Owner extends LeaseHolder {
  readonly capabilities?: readonly string[] | undefined;
}
/** The owner of each partition, as far as one node knows. */
export type Owners = readonly (Owner | undefined)[];

/** The part of `Writer` that ownership uses. */
interface OwnedWriter {
  takeOver(lease: HeldLease): Promise<void>;
  giveUp(): Promise<void>;
  handleRenewal(): void;
}

/** Everything ownership needs. */
export interface OwnershipDeps {
  readonly node: NodeId;
  readonly cluster: {
    readonly leases: Pick<Leases, 'acquire' | 'renewAll'>;
    readonly nodes: Omit<Nodes, 'expire'>;
  };
  /** One per partition, in order. */
  readonly writers: readonly OwnedWriter[];
  readonly clock: Clock;
  readonly events: OwnershipEvents;
}

/** The receiver of ownership changes and failures. */
export interface OwnershipEvents {
  /** Called when an owner changed. The writers of this node accept commands for its partitions from then on. */
  readonly onOwners: (owners: Owners) => void;
  /** Called with the event types that every live node can read, before this node acquires its first lease. */
  readonly onSharedCapabilities: (shared: ReadonlySet<string>) => void;
  /** Called when this node acquired or released a lease: other nodes should rebalance. */
  readonly onLeasesChanged: () => void;
  /** Called when the process must stop: `StorageError`, `HoleError`, `AppendError` or `UnknownEventType`. */
  readonly onFatal: (error: unknown) => void;
  /** Logs a failure that is retried. */
  readonly report: (message: string, error: unknown) => void;
}

/** A lease of this node, until its writer has stopped. */
interface OwnedPartition {
  readonly lease: HeldLease;
  isServed: boolean;
  isReleasing: boolean;
}

const FATAL_ERRORS = [StorageError, HoleError, AppendError, UnknownEventType];

/**
 * Keeps this node's share of the partitions. It sends heartbeats, renews leases, acquires free partitions of
 * its share and releases those beyond it. All this only saves work: the log's positions keep a partition
 * correct whatever a node believes.
 */
export class Ownership {
  readonly #deps: OwnershipDeps;
  readonly #owned = new Map<number, OwnedPartition>();
  readonly #renewal: PeriodicTask;
  readonly #rebalancing: PeriodicTask;
  #holders: Owners = [];
  #owners: Owners;
  #liveNodes: readonly LiveNode[] = [];
  #isStopping = false;
  #ended: Promise<void> | undefined;
  #onChange = (): void => {};

  constructor(deps: OwnershipDeps) {
    this.#deps = deps;
    this.#owners = deps.writers.map(() => undefined);
    this.#renewal = new PeriodicTask(deps.clock, INTERVAL_MS, () => this.#renewAll());
    this.#rebalancing = new PeriodicTask(deps.clock, REBALANCING_MS, () => this.#rebalanceOnce());
  }

  /** Starts. Resolves when every partition is served by a live node, or after `START_TIMEOUT_MS`. */
  async start(): Promise<void> {
    const served = new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (this.#areAllServed()) resolve();
      };
    });
    this.#renewal.runNow();
    await waitAtMost(this.#deps.clock, START_TIMEOUT_MS, served);
  }

  /** Rebalances now, by the leases as they are now. */
  rebalance(): void {
    this.#renewal.runNow();
  }

  /** Releases a partition whose writer has stopped by itself. */
  release(partition: number): void {
    const owned = this.#owned.get(partition);
    if (owned) void this.#releasePartition(partition, owned);
  }

  /** Releases everything and leaves the cluster. Resolves when done, or after `STOP_TIMEOUT_MS`. */
  stop(): Promise<void> {
    this.#ended ??= waitAtMost(this.#deps.clock, STOP_TIMEOUT_MS, this.#stop());
    return this.#ended;
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([this.#renewal.stop(), this.#rebalancing.stop()]);
    // Before the releases, so that other nodes plan without this one when they find its partitions free.
    await this.#try('cannot record that this node leaves; others notice after a time-out', () =>
      this.#deps.cluster.nodes.leave(),
    );
    await Promise.all([...this.#owned].map(([partition, owned]) => this.#releasePartition(partition, owned)));
  }

  async #sendHeartbeat(): Promise<void> {
    await this.#try('cannot send the heartbeat of this node; retrying', () =>
      this.#deps.cluster.nodes.heartbeat(),
    );
  }

  async #renewAll(): Promise<void> {
    const { leases } = this.#deps.cluster;
    const what = 'cannot renew the leases of this node; retrying';
    const heartbeat = this.#sendHeartbeat();
    const holders = await this.#try(what, () => leases.renewAll());
    if (holders) this.#holders = holders;
    for (const [partition, owned] of this.#owned)
      this.#handleRenewal(partition, owned, holders !== undefined);
    await heartbeat;
    // After the heartbeat: a node not yet live would acquire nothing.
    this.#rebalancing.runNow();
  }

  #handleRenewal(partition: number, owned: OwnedPartition, isAnswered: boolean): void {
    const { lease, isReleasing } = owned;
    // A lease being released may expire: another node then settles what this one cannot.
    if (isReleasing) return;
    // If unknown, the lease is kept until another node could have taken it.
    const isLost = lease.validUntil <= (isAnswered ? Number.NEGATIVE_INFINITY : this.#deps.clock.now());
    if (isLost) void this.#releasePartition(partition, owned);
    else if (isAnswered) this.#deps.writers[partition]?.handleRenewal();
  }

  async #rebalanceOnce(): Promise<void> {
    const { node, cluster } = this.#deps;
    const live = await this.#try('cannot read the live nodes; retrying', () => cluster.nodes.listLive());
    if (!live) return;
    this.#liveNodes = live;
    this.#deps.events.onSharedCapabilities(intersectCapabilities(this.#liveNodes));
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

  /**
   * Corrects the holder for this node, which knows its own leases better. A lease being released still
   * counts.
   */
  #holderSeen(partition: number, holder: LeaseHolder | undefined): LeaseHolder | undefined {
    const { node } = this.#deps;
    const owned = this.#owned.get(partition);
    if (owned && (!owned.isReleasing || holder?.node === node)) return { node, epoch: owned.lease.epoch };
    return holder?.node === node ? undefined : holder;
  }

  async #acquire(partition: number): Promise<boolean> {
    if (this.#owned.has(partition)) return false;
    const what = `cannot acquire the lease of partition ${partition}; retrying`;
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
        this.#deps.events.report(`cannot take over partition ${partition}; releasing it`, error);
      // The next rebalancing finds it free, and acquires it again if it is still due.
      await this.#releasePartition(partition, owned);
    }
  }

  async #releasePartition(partition: number, owned: OwnedPartition): Promise<void> {
    if (owned.isReleasing) return;
    owned.isReleasing = true;
    this.#updateOwners();
    await this.#deps.writers[partition]?.giveUp();
    const what = `cannot release the lease of partition ${partition}; it expires by itself`;
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

  /** Reports a failure and returns undefined. */
  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const late = () => new Error(`no answer within ${CALL_TIMEOUT_MS} ms; the call may have taken effect`);
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
