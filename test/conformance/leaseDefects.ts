import type { NodeId } from '../../src/cluster/bus.js';
import { type HeldLease, LEASE_MS, type Leases } from '../../src/cluster/leases.js';
import type { SharedLeaseStore } from './leases.js';

type Spoil = (leases: Leases, node: NodeId, now: () => number) => Leases;

/** A good lease, except for the replaced parts. */
class Spoilt implements HeldLease {
  constructor(protected readonly good: HeldLease) {}
  get partition(): number {
    return this.good.partition;
  }
  get epoch(): number {
    return this.good.epoch;
  }
  get validUntil(): number {
    return this.good.validUntil;
  }
  renew(): Promise<boolean> {
    return this.good.renew();
  }
  release(): Promise<void> {
    return this.good.release();
  }
}

class NotReleased extends Spoilt {
  override async release(): Promise<void> {}
}

class ReleasedTwice extends Spoilt {
  override get validUntil(): number {
    return Number.POSITIVE_INFINITY;
  }
}

class AlwaysRenewed extends Spoilt {
  override async renew(): Promise<boolean> {
    return (await super.renew()) || true;
  }
}

class NeverRevived extends Spoilt {
  constructor(
    good: HeldLease,
    private readonly leases: Leases,
  ) {
    super(good);
  }
  override async renew(): Promise<boolean> {
    const holder = (await this.leases.listHolders())[this.partition];
    return holder !== undefined && super.renew();
  }
}

class UnknownMeansLost extends Spoilt {
  override renew(): Promise<boolean> {
    return super.renew().catch(() => false);
  }
}

class ValidFromAnswer extends Spoilt {
  #until: number;
  constructor(
    good: HeldLease,
    private readonly now: () => number,
  ) {
    super(good);
    this.#until = now() + LEASE_MS - 500;
  }
  override get validUntil(): number {
    return Math.min(this.#until, this.good.validUntil + LEASE_MS);
  }
  override async renew(): Promise<boolean> {
    const isHeld = await super.renew();
    if (isHeld) this.#until = this.now() + LEASE_MS - 500;
    return isHeld;
  }
}

class UnknownMeansHeld extends Spoilt {
  #more = 0;
  override get validUntil(): number {
    return this.good.validUntil + this.#more;
  }
  override async renew(): Promise<boolean> {
    try {
      return await super.renew();
    } catch (error) {
      this.#more = LEASE_MS;
      throw error;
    }
  }
}

class SameEpoch extends Spoilt {
  override get epoch(): number {
    return 1;
  }
}

/** Transforms each acquired lease. */
const acquired =
  (change: (held: HeldLease, leases: Leases, now: () => number) => HeldLease): Spoil =>
  (leases, _node, now) => ({
    ...leases,
    acquire: async (partition) => {
      const held = await leases.acquire(partition);
      return held && change(held, leases, now);
    },
  });

/** Tells every caller that it holds the lease. */
const givesToAll: Spoil = (leases, node, now) => ({
  ...leases,
  acquire: async (partition) =>
    (await leases.acquire(partition)) ?? {
      partition,
      epoch: ((await leases.listHolders())[partition]?.epoch ?? 0) + node.length,
      validUntil: now() + LEASE_MS,
      renew: async () => true,
      release: async () => {},
    },
});

/** Treats a lease once seen held as always held. */
const neverExpires: Spoil = (leases, node) => {
  const seen: (NodeId | undefined)[] = [];
  return {
    ...leases,
    async acquire(partition) {
      const holder = (await leases.listHolders())[partition]?.node ?? seen[partition];
      if (holder !== undefined && holder !== node) seen[partition] = holder;
      return seen[partition] === undefined ? leases.acquire(partition) : undefined;
    },
  };
};

const remembersHolders: Spoil = (leases) => {
  let last: ReturnType<Leases['listHolders']> | undefined;
  return { ...leases, listHolders: () => (last ??= leases.listHolders()) };
};

const holdsOwnBack: Spoil = (leases, node) => ({
  ...leases,
  acquire: async (partition) =>
    (await leases.listHolders())[partition]?.node === node ? undefined : leases.acquire(partition),
});

/** Leases broken on purpose, and the promise that each must break. */
export const defects: Readonly<Record<string, { readonly breaks: string; readonly spoil: Spoil }>> = {
  'two nodes hold a lease at once': {
    breaks: 'are held by one node at a time',
    spoil: givesToAll,
  },
  'all concurrent callers win': { breaks: 'go to one of several concurrent callers', spoil: givesToAll },
  'an epoch repeats': {
    breaks: 'have an epoch above every earlier one',
    spoil: acquired((held) => new SameEpoch(held)),
  },
  'a release keeps the lease': {
    breaks: 'pass to another node at once when released, with a larger epoch',
    spoil: acquired((held) => new NotReleased(held)),
  },
  'a lease counts as valid after its release': {
    breaks: 'are free as soon as they are released, and lost to the node that released them',
    spoil: acquired((held) => new ReleasedTwice(held)),
  },
  'a renewal revives a lease that another node has taken': {
    breaks: 'pass to another node after they expired, and are then lost for good',
    spoil: acquired((held) => new AlwaysRenewed(held)),
  },
  'a lease never expires': {
    breaks: 'pass to another node after they expired, and are then lost for good',
    spoil: neverExpires,
  },
  'an expired lease is lost although no node took it': {
    breaks: 'are kept by a renewal after they expired if no node took them',
    spoil: acquired((held, leases) => new NeverRevived(held, leases)),
  },
  'validity is counted from the answer': {
    breaks: 'are valid from before the request, not from the answer',
    spoil: acquired((held, _leases, now) => new ValidFromAnswer(held, now)),
  },
  'a renewal of unknown outcome counts': {
    breaks: 'are neither won nor lost by a renewal of unknown outcome',
    spoil: acquired((held) => new UnknownMeansHeld(held)),
  },
  'a renewal of unknown outcome counts as a loss': {
    breaks: 'are neither won nor lost by a renewal of unknown outcome',
    spoil: acquired((held) => new UnknownMeansLost(held)),
  },
  'a lease acquired without an answer cannot be acquired again': {
    breaks: 'can be acquired again after an acquisition of unknown outcome',
    spoil: holdsOwnBack,
  },
  'the holders are outdated': {
    breaks: 'give a free lease to a node, valid at once, and list it as holder',
    spoil: remembersHolders,
  },
};

/** Applies the defect to all leases opened in the store. */
export const spoilt = (store: SharedLeaseStore, spoil: Spoil): SharedLeaseStore => ({
  ...store,
  open: async (node, now = () => performance.now()) => spoil(await store.open(node, now), node, now),
});
