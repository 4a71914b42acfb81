import type { Bus, CommitFrame, NodeId, Note, Reply } from '../../src/cluster/bus.js';
import type { Machine } from './machine.js';
import type { World } from './world.js';

/** A frame that is late arrives at most so much later. */
const LATE_MS = 4000;
/** A cut is noticed after so long at most. */
const NOTICED_MS = 3000;

/** What connects the processes of a simulated world: loses, repeats and delays, as the port allows. */
export class Network {
  readonly #world: World;
  readonly #ports = new Map<NodeId, Port>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The bus of a new process. */
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
  /** By sender: requests arrive in the order in which they were sent. */
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
          () => {}, // As on the real bus: the asker hears nothing.
        );
      };
      const channel = port.#channelFrom(this.node);
      channel(arrive);
      if (world.mishap(world.weather.bus.repeated)) channel(arrive);
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

  /** Cuts it off from all others; it notices that some time later, if at all. */
  cut(ms: number): void {
    this.#isCut = true;
    const { draw, timeline } = this.world;
    const unnotice = this.machine.after(draw.between(0, NOTICED_MS), () => this.#change(false));
    timeline.after(ms, () => {
      unnotice();
      this.#isCut = false;
      this.machine.after(draw.between(0, NOTICED_MS), () => this.#change(true));
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
      const times = world.mishap(world.weather.bus.repeated) ? 2 : 1;
      for (let i = 0; i < times; i++)
        if (!this.#isLost(what, port)) this.#travel(port.machine, () => deliver(port));
    }
  }

  #travel(machine: Machine, arrive: () => void): void {
    const { draw, weather } = this.world;
    const late = this.world.mishap(weather.bus.late) ? draw.between(0, LATE_MS) : 0;
    machine.after(late + draw.between(0.1, weather.bus.travelMs), arrive);
  }

  #isLost(what: string, port: Port | undefined): boolean {
    const isApart = this.#isCut || (port ? port.#isCut : false);
    const isLost = isApart || this.world.mishap(this.world.weather.bus.lost);
    if (isLost) this.world.trace('network', `${what} is lost`);
    return isLost;
  }

  #channelFrom(node: NodeId): (deliver: () => void) => void {
    const channel = this.#requests.get(node) ?? this.machine.channel(this.world.weather.bus.travelMs);
    this.#requests.set(node, channel);
    return channel;
  }
}
