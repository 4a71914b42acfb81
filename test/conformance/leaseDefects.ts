import type { NodeId } from '../../src/cluster/bus.js';
import { type HeldLease, LEASE_MS, type Leases } from '../../src/cluster/leases.js';
import type { SharedLeaseStore } from './leases.js';

type Spoil = (leases: Leases, node: NodeId, now: () => number) => Leases;

/** A lease that is as the good one, but for what is put in its place. */
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
    const holder = (await this.leases.holders())[this.partition];
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

/** What becomes of each lease that is acquired. */
const acquired =
  (change: (held: HeldLease, leases: Leases, now: () => number) => HeldLease): Spoil =>
  (leases, _node, now) => ({
    ...leases,
    acquire: async (partition) => {
      const held = await leases.acquire(partition);
      return held && change(held, leases, now);
    },
  });

/** Whoever asks is told that it holds the lease. */
const givesToAll: Spoil = (leases, node, now) => ({
  ...leases,
  acquire: async (partition) =>
    (await leases.acquire(partition)) ?? {
      partition,
      epoch: ((await leases.holders())[partition]?.epoch ?? 0) + node.length,
      validUntil: now() + LEASE_MS,
      renew: async () => true,
      release: async () => {},
    },
});

/** What it has once seen held stays another's. */
const neverExpires: Spoil = (leases, node) => {
  const seen: (NodeId | undefined)[] = [];
  return {
    ...leases,
    async acquire(partition) {
      const holder = (await leases.holders())[partition]?.node ?? seen[partition];
      if (holder !== undefined && holder !== node) seen[partition] = holder;
      return seen[partition] === undefined ? leases.acquire(partition) : undefined;
    },
  };
};

const remembersHolders: Spoil = (leases) => {
  let last: ReturnType<Leases['holders']> | undefined;
  return { ...leases, holders: () => (last ??= leases.holders()) };
};

const holdsOwnBack: Spoil = (leases, node) => ({
  ...leases,
  acquire: async (partition) =>
    (await leases.holders())[partition]?.node === node ? undefined : leases.acquire(partition),
});

/** Leases broken on purpose, and the promise that must be seen to be broken. */
export const defects: Readonly<Record<string, { readonly breaks: string; readonly spoil: Spoil }>> = {
  'two nodes hold one at once': {
    breaks: 'are given to no other node while one holds them',
    spoil: givesToAll,
  },
  'a race is won by all': { breaks: 'are given to one of those who ask at once', spoil: givesToAll },
  'an epoch repeats': {
    breaks: 'have an epoch above every earlier one, whatever came between',
    spoil: acquired((held) => new SameEpoch(held)),
  },
  'a release keeps it': {
    breaks: 'are given to another at once when they are released, with a larger epoch',
    spoil: acquired((held) => new NotReleased(held)),
  },
  'it is thought valid after its release': {
    breaks: 'are free as soon as they are released, and over for who released them',
    spoil: acquired((held) => new ReleasedTwice(held)),
  },
  'a renewal revives what another has taken': {
    breaks: 'may be taken by another when they have expired, and are lost for good then',
    spoil: acquired((held) => new AlwaysRenewed(held)),
  },
  'it never expires': {
    breaks: 'may be taken by another when they have expired, and are lost for good then',
    spoil: neverExpires,
  },
  'an expired one is given up though nobody wants it': {
    breaks: 'are held on by a renewal after they have expired when nobody has taken them',
    spoil: acquired((held, leases) => new NeverRevived(held, leases)),
  },
  'validity is counted from the answer': {
    breaks: 'are valid from before they were asked for, not from when the answer came',
    spoil: acquired((held, _leases, now) => new ValidFromAnswer(held, now)),
  },
  'a renewal of unknown outcome counts': {
    breaks: 'are neither won nor lost by a renewal whose outcome is not known',
    spoil: acquired((held) => new UnknownMeansHeld(held)),
  },
  'a renewal of unknown outcome is taken for a loss': {
    breaks: 'are neither won nor lost by a renewal whose outcome is not known',
    spoil: acquired((held) => new UnknownMeansLost(held)),
  },
  'what was acquired without an answer is not given again': {
    breaks: 'can be acquired once more by a node that was not told whether it acquired them',
    spoil: holdsOwnBack,
  },
  'the holders are those of a while ago': {
    breaks: 'give a node what is free, valid from then on, and say that it holds it',
    spoil: remembersHolders,
  },
};

/** The store, with all that is opened in it spoilt. */
export const spoilt = (store: SharedLeaseStore, spoil: Spoil): SharedLeaseStore => ({
  ...store,
  open: async (node, now = () => performance.now()) => spoil(await store.open(node, now), node, now),
});
