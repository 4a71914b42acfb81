import type { NodeId } from '../../src/cluster/bus.js';
import { type HeldLease, LEASE_MS, type Leases } from '../../src/cluster/leases.js';
import type { SharedLeaseStore } from './leases.js';

type Holders = Awaited<ReturnType<Leases['renewAll']>>;

/** Breaks the leases of a node. `look` returns the present holders without a renewal. */
type Spoil = (leases: Leases, look: () => Promise<Holders>, node: NodeId, now: () => number) => Leases;

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
  /** Called after each renewal; `outcome` is undefined if it is unknown. */
  handleRenewal(_outcome: Holders | undefined): void {}
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
  #until = this.good.validUntil;
  override get validUntil(): number {
    return this.#until;
  }
  override handleRenewal(): void {
    this.#until += LEASE_MS;
  }
}

class UnknownMeansLost extends Spoilt {
  #isLost = false;
  override get validUntil(): number {
    return this.#isLost ? Number.NEGATIVE_INFINITY : super.validUntil;
  }
  override handleRenewal(outcome: Holders | undefined): void {
    if (!outcome) this.#isLost = true;
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
  override handleRenewal(): void {
    this.#until = this.now() + LEASE_MS - 500;
  }
}

class UnknownMeansHeld extends Spoilt {
  #more = 0;
  override get validUntil(): number {
    return this.good.validUntil + this.#more;
  }
  override handleRenewal(outcome: Holders | undefined): void {
    if (!outcome) this.#more = LEASE_MS;
  }
}

class SameEpoch extends Spoilt {
  override get epoch(): number {
    return 1;
  }
}

/** Transforms each acquired lease. */
const acquired =
  (change: (held: HeldLease, now: () => number) => Spoilt): Spoil =>
  (leases, _look, _node, now) => {
    const all: Spoilt[] = [];
    const told = (outcome: Holders | undefined) => {
      for (const each of all) each.handleRenewal(outcome);
    };
    return {
      acquire: async (partition) => {
        const held = await leases.acquire(partition);
        const spoilt = held && change(held, now);
        if (spoilt) all.push(spoilt);
        return spoilt;
      },
      async renewAll() {
        try {
          const holders = await leases.renewAll();
          told(holders);
          return holders;
        } catch (error) {
          told(undefined);
          throw error;
        }
      },
      freeAllOf: (ended) => leases.freeAllOf(ended),
    };
  };

/** Acquires as usual, and collects all leases that were acquired. */
function collected(leases: Leases): { readonly all: readonly HeldLease[]; acquire: Leases['acquire'] } {
  const all: HeldLease[] = [];
  const acquire: Leases['acquire'] = async (partition) => {
    const held = await leases.acquire(partition);
    if (held) all.push(held);
    return held;
  };
  return { all, acquire };
}

/** Gives up a lease that has expired instead of renewing it. */
const neverRevives: Spoil = (leases, look, node) => {
  const { all, acquire } = collected(leases);
  return {
    ...leases,
    acquire,
    async renewAll() {
      const holders = await look();
      await Promise.all(
        all.flatMap((held) => (holders[held.partition]?.node === node ? [] : [held.release()])),
      );
      return leases.renewAll();
    },
  };
};

/** Tells every caller that it holds the lease. */
const givesToAll: Spoil = (leases, look, node, now) => ({
  ...leases,
  acquire: async (partition) =>
    (await leases.acquire(partition)) ?? {
      partition,
      epoch: ((await look())[partition]?.epoch ?? 0) + node.length,
      validUntil: now() + LEASE_MS,
      release: async () => {},
    },
});

/** Treats a lease once seen held as always held. */
const neverExpires: Spoil = (leases, look, node) => {
  const seen: (NodeId | undefined)[] = [];
  return {
    ...leases,
    async acquire(partition) {
      const holder = (await look())[partition]?.node ?? seen[partition];
      if (holder !== undefined && holder !== node) seen[partition] = holder;
      return seen[partition] === undefined ? leases.acquire(partition) : undefined;
    },
  };
};

const remembersHolders: Spoil = (leases) => {
  let last: ReturnType<Leases['renewAll']> | undefined;
  return { ...leases, renewAll: () => (last ??= leases.renewAll()) };
};

const holdsOwnBack: Spoil = (leases, look, node) => ({
  ...leases,
  acquire: async (partition) =>
    (await look())[partition]?.node === node ? undefined : leases.acquire(partition),
});

const losesAll: Spoil = (leases, look, node) => {
  const { all, acquire } = collected(leases);
  return {
    ...leases,
    acquire,
    async renewAll() {
      const holders = await leases.renewAll();
      if (all.some(({ partition }) => holders[partition]?.node !== node))
        await Promise.all(all.map((held) => held.release()));
      return look();
    },
  };
};

/** Renews every lease that the store says is this node's, asked for or not. */
const acquiresAgain: Spoil = (leases, look) => {
  const known = new Set<number>();
  return {
    ...leases,
    acquire(partition) {
      known.add(partition);
      return leases.acquire(partition);
    },
    async renewAll() {
      for (const partition of known) await leases.acquire(partition);
      return look();
    },
  };
};

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
    spoil: neverRevives,
  },
  'validity is counted from the answer': {
    breaks: 'are valid from before the request, not from the answer',
    spoil: acquired((held, now) => new ValidFromAnswer(held, now)),
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
  'all leases of a node end with the first one that is lost': {
    breaks: 'of one node are renewed and lost one by one',
    spoil: losesAll,
  },
  'a node keeps whatever the store says is its own': {
    breaks: 'of an acquisition without an answer expire, although the node renews its others',
    spoil: acquiresAgain,
  },
  'the holders are outdated': {
    breaks: 'give a free lease to a node, valid at once, and list it as holder',
    spoil: remembersHolders,
  },
};

/** Applies the defect to all leases opened in the store. */
export const spoilt = (store: SharedLeaseStore, spoil: Spoil): SharedLeaseStore => ({
  ...store,
  async open(node, now = () => performance.now()) {
    const [leases, onlooker] = [await store.open(node, now), await store.open('onlooker')];
    const bound: Leases = {
      acquire: (partition) => leases.acquire(partition),
      renewAll: () => leases.renewAll(),
      freeAllOf: (ended) => leases.freeAllOf(ended),
    };
    // An onlooker holds nothing, so its renewal only reads.
    return spoil(bound, () => onlooker.renewAll(), node, now);
  },
});
