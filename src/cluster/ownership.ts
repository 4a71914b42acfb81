import { bounded, type Clock, Loop, sleep } from '../base/clock.js';
import { NotOwner } from '../base/errors.js';
import { UnknownEventType } from '../domain/codec.js';
import { AppendError, HoleError, StorageError } from '../log/log.js';
import type { NodeId } from './bus.js';
import { type Held, type Holder, LEASE_MS, type Leases } from './leases.js';
import type { Living, Nodes } from './nodes.js';

/** What a node does next for partitions to be spread evenly. */
export interface Plan {
  /** Free ones that are this node's to take. */
  readonly acquire: readonly number[];
  /** Ones it holds that are another's: to be released, so that the other can take them. */
  readonly handOver: readonly number[];
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
export function plan(
  me: NodeId,
  living: readonly Pick<Living, 'node' | 'silentMs'>[],
  holders: readonly (NodeId | undefined)[],
): Plan {
  // After so long a silence its leases have expired too, though it is not yet taken for dead.
  const ranks = living.filter(({ silentMs }) => silentMs < LEASE_MS).map(({ node }) => node);
  const rank = ranks.indexOf(me);
  const mine = partitionsOf(me, holders);
  if (rank < 0) return { acquire: [], handOver: mine };
  const lacking = ranks.map((node, i) => due(i) - partitionsOf(node, holders).length);
  // The free ones are dealt out by rank, so that two nodes seldom go for the same one.
  const before = lacking.slice(0, rank).reduce((sum, lack) => sum + Math.max(0, lack), 0);
  const lack = lacking[rank] ?? 0;
  return {
    acquire: lack > 0 ? partitionsOf(undefined, holders).slice(before, before + lack) : [],
    handOver: lack < 0 ? mine.slice(lack) : [],
  };

  function due(rank: number): number {
    return Math.ceil((holders.length - rank) / ranks.length);
  }
}

/** The partitions of this holder, in order. */
const partitionsOf = (holder: NodeId | undefined, holders: readonly (NodeId | undefined)[]): number[] =>
  holders.flatMap((each, partition) => (each === holder ? [partition] : []));

/** Between two renewals, and between two looks at who has what. */
const EVERY_MS = 1000;
/** A node that beat within this time has surely not died before. */
const ALIVE_MS = 2 * EVERY_MS;
/** Longer than what leases and nodes take to say that they have no answer: for calls that say nothing at all. */
const ANSWER_MS = 3000;
/** How long a start waits for all partitions to be served, and a stop for what is in flight. */
const START_MS = 10_000;
const STOP_MS = 2000;

/** Who owns a partition; `knows` as in `Living`, if it is seen to live. */
export interface Owner extends Holder {
  readonly knows?: readonly string[] | undefined;
}
/** By partition who owns it, as far as one node knows. */
export type Owners = readonly (Owner | undefined)[];

/** A partition's writer, as far as ownership starts and stops it; see `Writer`. */
interface OwnedWriter {
  take(lease: Held): Promise<void>;
  giveUp(): Promise<void>;
  renewed(): void;
}

/** What ownership stands on. */
export interface OwnershipDeps {
  readonly node: NodeId;
  readonly leases: Pick<Leases, 'acquire' | 'holders'>;
  readonly nodes: Pick<Nodes, 'beat' | 'living' | 'leave'>;
  /** One a partition. */
  readonly writers: readonly OwnedWriter[];
  readonly clock: Clock;
  /** They have changed. What is told as this node's, its writer takes commands for. */
  readonly onOwners: (owners: Owners) => void;
  /** This node has taken or released something: others should look. */
  readonly onMoved: () => void;
  /** This node cannot go on: `StorageError`, `HoleError`, `AppendError` or `UnknownEventType`. */
  readonly onFatal: (error: unknown) => void;
  /** Something failed and is tried again. */
  readonly report: (message: string, error: unknown) => void;
}

/** A lease of this node, until its writer has let go of all that came with it. */
interface Owned {
  readonly held: Held;
  isTaken: boolean;
  isLeaving: boolean;
}

const fatal = [StorageError, HoleError, AppendError, UnknownEventType];

/**
 * Keeps this node's share of the partitions: says that it lives, renews its leases, looks who has what, takes what is
 * free and its due, and hands over what is another's. All of it is for speed: the log's positions keep a partition
 * correct whatever is believed here.
 */
export class Ownership {
  readonly #deps: OwnershipDeps;
  readonly #owned = new Map<number, Owned>();
  readonly #beating: Loop;
  readonly #looking: Loop;
  #holders: Owners = [];
  #owners: Owners;
  #living: readonly Living[] = [];
  #knownToAll: ReadonlySet<string> = new Set();
  #isStopping = false;
  #ended: Promise<void> | undefined;
  #onChange = (): void => {};

  constructor(deps: OwnershipDeps) {
    this.#deps = deps;
    this.#owners = deps.writers.map(() => undefined);
    this.#beating = new Loop(deps.clock, EVERY_MS, () => this.#renewAll());
    this.#looking = new Loop(deps.clock, EVERY_MS, () => this.#look());
  }

  /** Begins. Resolves when every partition is served, here or by a node that lives, or after 10 s. */
  async start(): Promise<void> {
    const served = new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (this.#isServed()) resolve();
      };
    });
    // Else this node is not yet one of the living when it first looks, and takes nothing.
    await this.#beat();
    this.#beating.hurry();
    this.#looking.hurry();
    await Promise.race([served, sleep(this.#deps.clock, START_MS)]);
  }

  /** Looks now who has what. */
  look(): void {
    this.#looking.hurry();
  }

  /** Whether every living node can read events of this type. */
  isKnownToAll(type: string): boolean {
    return this.#knownToAll.has(type);
  }

  /** The writer has let go of its partition by itself. */
  deposed(partition: number): void {
    const owned = this.#owned.get(partition);
    if (owned) void this.#leave(partition, owned);
  }

  /** Hands everything over, and is not one of the nodes any more. Resolves when that is done, or after 2 s. */
  stop(): Promise<void> {
    this.#ended ??= Promise.race([this.#stop(), sleep(this.#deps.clock, STOP_MS)]);
    return this.#ended;
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([this.#beating.stop(), this.#looking.stop()]);
    // First, so that the others count on it no more when they find its partitions free.
    await this.#try('this node could not be taken off the list', () => this.#deps.nodes.leave());
    await Promise.all([...this.#owned].map(([partition, owned]) => this.#leave(partition, owned)));
  }

  async #beat(): Promise<void> {
    await this.#try('this node could not say that it lives', () => this.#deps.nodes.beat());
  }

  async #renewAll(): Promise<void> {
    const renewals = [...this.#owned].map(([partition, owned]) => this.#renew(partition, owned));
    await Promise.all([this.#beat(), ...renewals]);
  }

  async #renew(partition: number, owned: Owned): Promise<void> {
    // What is being given up may expire: then another takes over what cannot be settled here.
    if (owned.isLeaving) return;
    const what = `the lease of partition ${partition} could not be renewed`;
    const isHeld = await this.#try(what, () => owned.held.renew());
    if (isHeld) this.#deps.writers[partition]?.renewed();
    // Not known: it is ours as long as nobody else can have taken it.
    else if (isHeld === false || this.#deps.clock.now() >= owned.held.validUntil)
      void this.#leave(partition, owned);
  }

  async #look(): Promise<void> {
    const { node, nodes, leases } = this.#deps;
    const seen = await this.#try('who owns which partition could not be read', () =>
      Promise.all([nodes.living(), leases.holders()]),
    );
    if (!seen) return;
    [this.#living, this.#holders] = seen;
    this.#knownToAll = knownToAll(this.#living);
    this.#tell();
    const view = this.#holders.map((holder, partition) => this.#viewOf(partition, holder)?.node);
    const { acquire, handOver } = plan(node, this.#living, view);
    for (const partition of handOver) {
      const owned = this.#owned.get(partition);
      if (owned) void this.#leave(partition, owned);
    }
    const acquired = await Promise.all(acquire.map((partition) => this.#acquire(partition)));
    if (acquired.includes(true)) this.#deps.onMoved();
  }

  /** Who has it: of this node that is known better here. What is being given up is still its own. */
  #viewOf(partition: number, holder: Holder | undefined): Holder | undefined {
    const { node } = this.#deps;
    const owned = this.#owned.get(partition);
    if (owned && (!owned.isLeaving || holder?.node === node)) return { node, epoch: owned.held.epoch };
    return holder?.node === node ? undefined : holder;
  }

  async #acquire(partition: number): Promise<boolean> {
    if (this.#owned.has(partition)) return false;
    const what = `the lease of partition ${partition} could not be acquired`;
    const held = await this.#try(what, () => this.#deps.leases.acquire(partition));
    if (!held) return false;
    const owned: Owned = { held, isTaken: false, isLeaving: false };
    this.#owned.set(partition, owned);
    if (this.#isStopping) await this.#leave(partition, owned);
    else void this.#take(partition, owned);
    this.#tell();
    return true;
  }

  async #take(partition: number, owned: Owned): Promise<void> {
    try {
      await this.#deps.writers[partition]?.take(owned.held);
      owned.isTaken = true;
      this.#onChange();
    } catch (error) {
      if (fatal.some((kind) => error instanceof kind)) this.#deps.onFatal(error);
      else if (!(error instanceof NotOwner))
        this.#deps.report(`partition ${partition} could not be taken over`, error);
      // The next look finds it free, and takes it again if it is still this node's due.
      await this.#leave(partition, owned);
    }
  }

  async #leave(partition: number, owned: Owned): Promise<void> {
    if (owned.isLeaving) return;
    owned.isLeaving = true;
    this.#tell();
    await this.#deps.writers[partition]?.giveUp();
    const what = `the lease of partition ${partition} could not be released; it expires`;
    await this.#try(what, () => owned.held.release());
    this.#owned.delete(partition);
    this.#deps.onMoved();
  }

  #tell(): void {
    const known = new Map(this.#living.map(({ node, knows }) => [node, knows]));
    const owners = this.#owners.map((_, partition) => {
      const owned = this.#owned.get(partition);
      const holder = owned?.isLeaving ? undefined : this.#viewOf(partition, this.#holders[partition]);
      return holder && { ...holder, knows: known.get(holder.node) };
    });
    if (!owners.every((owner, partition) => isSame(owner, this.#owners[partition]))) {
      this.#owners = owners;
      this.#deps.onOwners(owners);
    }
    this.#onChange();
  }

  #isServed(): boolean {
    const { node } = this.#deps;
    const alive = new Set(this.#living.flatMap((each) => (each.silentMs < ALIVE_MS ? [each.node] : [])));
    return this.#owners.every((owner, partition) =>
      owner?.node === node ? this.#owned.get(partition)?.isTaken : owner && alive.has(owner.node),
    );
  }

  /** Undefined, and reported, when it fails. */
  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const late = () => new Error(`no answer within ${ANSWER_MS} ms: it may have happened`);
      return await bounded(this.#deps.clock, ANSWER_MS, work(), late);
    } catch (error) {
      this.#deps.report(what, error);
      return undefined;
    }
  }
}

const isSame = (a: Owner | undefined, b: Owner | undefined): boolean =>
  a?.node === b?.node && a?.epoch === b?.epoch && a?.knows?.join() === b?.knows?.join();

function knownToAll(living: readonly Living[]): ReadonlySet<string> {
  const [first, ...others] = living.map(({ knows }) => new Set(knows));
  return new Set([...(first ?? [])].filter((type) => others.every((knows) => knows.has(type))));
}
