import type { NodeId } from '../../src/cluster/bus.js';
import { type HeldLease, LEASE_MS, type LeaseHolder, type Leases } from '../../src/cluster/leases.js';
import { DEAD_AFTER_MS, type Nodes } from '../../src/cluster/nodes.js';
import type { VirtualTime } from '../support/virtualTime.js';

const MARGIN_MS = 500;

interface SharedLease extends HeldLease {
  renew(): void;
}

/** The leases and nodes of one database, in memory and on its clock. */
export class SharedLeases {
  readonly #time: VirtualTime;
  readonly #leases: { node: NodeId | undefined; epoch: number; expires: number }[];
  /** What each node holds, as it believes. */
  readonly #held = new Map<NodeId, Set<SharedLease>>();
  readonly #beats = new Map<NodeId, { startedAt: Date; at: number; capabilities: readonly string[] }>();
  /** Nodes that cannot reach the database. */
  readonly cutOff = new Set<NodeId>();

  constructor(time: VirtualTime, partitions: number) {
    this.#time = time;
    this.#leases = Array.from({ length: partitions }, () => ({ node: undefined, epoch: 0, expires: 0 }));
  }

  /** The holder of each partition, whatever the nodes know. */
  get holders(): (NodeId | undefined)[] {
    return this.#leases.map(({ node, expires }) => (expires > this.#time.now() ? node : undefined));
  }

  leasesOf(node: NodeId): Pick<Leases, 'acquire' | 'renewAll'> {
    return {
      acquire: async (partition) => {
        this.#reach(node);
        const lease = this.#lease(partition);
        const isFree = lease.node === undefined || lease.node === node || lease.expires <= this.#time.now();
        if (!isFree) return undefined;
        Object.assign(lease, { node, epoch: lease.epoch + 1, expires: this.#time.now() + LEASE_MS });
        return this.#hold(node, partition, lease.epoch);
      },
      renewAll: async () => {
        this.#reach(node);
        for (const held of this.#held.get(node) ?? []) held.renew();
        return this.#leases.map(({ node, epoch, expires }): LeaseHolder | undefined =>
          node === undefined || expires <= this.#time.now() ? undefined : { node, epoch },
        );
      },
    };
  }

  nodesOf(
    node: NodeId,
    capabilities: readonly string[],
  ): Pick<Nodes, 'heartbeat' | 'listLive' | 'listDead' | 'forget' | 'leave'> {
    const alive = (at: number) => this.#time.now() - at < DEAD_AFTER_MS;
    return {
      heartbeat: async () => {
        this.#reach(node);
        const known = this.#beats.get(node);
        const startedAt = known?.startedAt ?? new Date(this.#time.now());
        this.#beats.set(node, { startedAt, at: this.#time.now(), capabilities });
        return !known;
      },
      listLive: async () => {
        this.#reach(node);
        return [...this.#beats]
          .filter(([, { at }]) => alive(at))
          .sort(([, a], [, b]) => a.startedAt.getTime() - b.startedAt.getTime())
          .map(([node, { startedAt, at, capabilities }]) => ({
            node,
            startedAt,
            silentMs: this.#time.now() - at,
            capabilities,
          }));
      },
      listDead: async () => [],
      forget: async () => {},
      leave: async () => {
        this.#reach(node);
        this.#beats.delete(node);
      },
    };
  }

  #hold(node: NodeId, partition: number, epoch: number): HeldLease {
    const lease = this.#lease(partition);
    const isStill = () => lease.node === node && lease.epoch === epoch;
    let validUntil = this.#time.now() + LEASE_MS - MARGIN_MS;
    let isOver = false;
    const held: SharedLease = {
      partition,
      epoch,
      get validUntil() {
        return isOver ? Number.NEGATIVE_INFINITY : validUntil;
      },
      renew: () => {
        if (!isStill()) isOver = true;
        if (isOver) return;
        lease.expires = this.#time.now() + LEASE_MS;
        validUntil = lease.expires - MARGIN_MS;
      },
      release: async () => {
        isOver = true;
        this.#reach(node);
        if (isStill()) lease.node = undefined;
      },
    };
    const all = this.#held.get(node) ?? new Set();
    this.#held.set(node, all.add(held));
    return held;
  }

  #lease(partition: number) {
    const lease = this.#leases[partition];
    if (!lease) throw new RangeError(`there is no partition ${partition}`);
    return lease;
  }

  #reach(node: NodeId): void {
    if (this.cutOff.has(node)) throw new Error('the database is away');
  }
}
