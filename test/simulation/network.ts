import type { Bus, CommitFrame, NodeId, Note, Reply } from '../../src/cluster/bus.js';
import type { Machine } from './machine.js';
import type { World } from './world.js';

/** The longest delay of a late frame. */
const LATE_MS = 4000;
/** The longest time until a cut is noticed. */
const NOTICED_MS = 3000;

/** The network between the simulated processes. Loses, repeats and delays messages as the port allows. */
export class Network {
  readonly #world: World;
  readonly #ports = new Map<NodeId, Port>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Creates the bus of a new process. */
  join(node: NodeId, machine: Machine): Port {
    const port = new Port(node, machine, this.#world, this.#ports);
    this.#ports.set(node, port);
    return port;
  }
}

/** One process's bus. */
export class Port implements Bus {
  isConnected = true;
  #isCut = false;
  readonly #frames = new Set<(frame: CommitFrame) => void>();
  readonly #notes = new Set<(note: Note, from: NodeId) => void>();
  readonly #changes = new Set<(isConnected: boolean) => void>();
  readonly #inFlight = new Set<(reply: Reply) => void>();
  /** By sender: requests arrive in the order sent. */
  readonly #requests = new Map<NodeId, (deliver: () => void) => void>();
  #handler: ((body: unknown, from: NodeId) => Promise<unknown>) | undefined;

  constructor(
    readonly node: NodeId,
    readonly machine: Machine,
    private readonly world: World,
    private readonly ports: ReadonlyMap<NodeId, Port>,
  ) {}

  publish(frame: CommitFrame): void {
    for (const handler of this.#frames) handler(frame);
    this.#toAll('a frame', (port) => {
      for (const handler of port.#frames) handler(frame);
    });
  }

  subscribe(handler: (frame: CommitFrame) => void): () => void {
    this.#frames.add(handler);
    return () => this.#frames.delete(handler);
  }

  broadcast(note: Note): void {
    this.#toAll(`a note of ${note.kind}`, (port) => {
      for (const handler of port.#notes) handler(note, this.node);
    });
  }

  onNote(handler: (note: Note, from: NodeId) => void): () => void {
    this.#notes.add(handler);
    return () => this.#notes.delete(handler);
  }

  request(to: NodeId, body: unknown, timeoutMs: number): Promise<Reply> {
    const port = this.ports.get(to);
    const { world, machine } = this;
    if (!this.isConnected) return Promise.resolve('undelivered');
    const text = JSON.stringify(body);
    return new Promise((resolve) => {
      const settle = (reply: Reply) => {
        cancelTimer();
        this.#inFlight.delete(settle);
        resolve(reply);
      };
      const cancelTimer = machine.clock.setTimer(() => settle('unanswered'), timeoutMs);
      this.#inFlight.add(settle);
      if (this.#isLost('a request', port)) return;
      if (!port || port.machine.isDead) return this.#travel(machine, () => settle('undelivered'));
      const arrive = () => {
        const answer = port.#handler?.(JSON.parse(text), this.node);
        answer?.then(
          (reply) => {
            const said = JSON.stringify(reply);
            if (!this.#isLost('a reply', port))
              this.#travel(machine, () => settle({ reply: JSON.parse(said) }));
          },
          () => {}, // As on the real bus, the requester gets no answer.
        );
      };
      const channel = port.#channelFrom(this.node);
      channel(arrive);
      if (world.fault(world.faultPlan.bus.repeated)) channel(arrive);
    });
  }

  serve(handler: (body: unknown, from: NodeId) => Promise<unknown>): () => void {
    this.#handler = handler;
    return () => {
      this.#handler = undefined;
    };
  }

  onConnectionChange(handler: (isConnected: boolean) => void): () => void {
    this.#changes.add(handler);
    return () => this.#changes.delete(handler);
  }

  async close(): Promise<void> {
    this.#handler = undefined;
    this.#frames.clear();
    this.#notes.clear();
  }

  /** Cuts the process off from all others; it notices that later, or never. */
  cut(ms: number): void {
    this.#isCut = true;
    const { random, timeline } = this.world;
    const unnotice = this.machine.after(random.between(0, NOTICED_MS), () => this.#change(false));
    timeline.after(ms, () => {
      unnotice();
      this.#isCut = false;
      this.machine.after(random.between(0, NOTICED_MS), () => this.#change(true));
    });
  }

  #change(isConnected: boolean): void {
    if (this.isConnected === isConnected) return;
    this.isConnected = isConnected;
    if (!isConnected) for (const settle of this.#inFlight) settle('unanswered');
    for (const handler of this.#changes) handler(isConnected);
  }

  #toAll(what: string, deliver: (port: Port) => void): void {
    const { world } = this;
    for (const port of this.ports.values()) {
      if (port === this || port.machine.isDead) continue;
      const times = world.fault(world.faultPlan.bus.repeated) ? 2 : 1;
      for (let i = 0; i < times; i++)
        if (!this.#isLost(what, port)) this.#travel(port.machine, () => deliver(port));
    }
  }

  #travel(machine: Machine, arrive: () => void): void {
    const { random, faultPlan } = this.world;
    const late = this.world.fault(faultPlan.bus.late) ? random.between(0, LATE_MS) : 0;
    machine.after(late + random.between(0.1, faultPlan.bus.travelMs), arrive);
  }

  #isLost(what: string, port: Port | undefined): boolean {
    const isApart = this.#isCut || (port ? port.#isCut : false);
    const isLost = isApart || this.world.fault(this.world.faultPlan.bus.lost);
    if (isLost) this.world.trace('network', `${what} is lost`);
    return isLost;
  }

  #channelFrom(node: NodeId): (deliver: () => void) => void {
    const channel = this.#requests.get(node) ?? this.machine.channel(this.world.faultPlan.bus.travelMs);
    this.#requests.set(node, channel);
    return channel;
  }
}
