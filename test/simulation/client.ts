import type { Command } from '../../src/domain/commands.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { isPassing } from '../support/passing.js';
import type { Attempt } from './history.js';
import type { Node } from './node.js';
import { type Wanted, Wishes } from './wishes.js';
import type { World } from './world.js';

/** The parts of the world that a client uses. */
export interface ClientWorld {
  readonly world: World;
  readonly attempts: Attempt[];
  /** All users, this client included. */
  readonly users: readonly string[];
  readonly wanted: Wanted;
  /** Any process that serves now. */
  readonly anyNode: () => Node | undefined;
}

/** Delay before a retry. */
const AGAIN_MS = 1500;
/** The duration of the rush. */
const RUSH_MS = 2;

/**
 * A user with one device. Sends requests without waiting for earlier ones. Repeats a request until it has a
 * final answer. When its process dies, connects to another.
 */
export class Client {
  readonly #user: string;
  readonly #surroundings: ClientWorld;
  #node: Node | undefined;
  #connection = '';
  #connections = 0;
  #open = 0;

  constructor(user: string, surroundings: ClientWorld) {
    this.#user = user;
    this.#surroundings = surroundings;
    const { world, users, wanted } = surroundings;
    const { timeline, faultPlan } = world;
    const wishes = new Wishes(user, users, world, wanted);
    this.#open = faultPlan.requests;
    for (let i = 0; i < faultPlan.requests; i++)
      timeline.after(timeOfRequest(world), () => this.#attempt(wishes.draw()));
  }

  /** The number of requests without a final answer. */
  get open(): number {
    return this.#open;
  }

  #attempt(command: Command): void {
    const { world, attempts } = this.#surroundings;
    const node = this.#connected();
    if (!node) return this.#later(command);
    const attempt: Attempt = {
      connection: this.#connection,
      node: node.name,
      commandId: world.random.uuid(),
      command,
      askedAt: world.now,
    };
    attempts.push(attempt);
    const short = attempt.commandId.slice(0, 8);
    world.trace(this.#connection, `asks ${node.name} ${short}: ${describe(command)}`);
    node.execute(attempt, (outcome) => {
      attempt.outcome = outcome;
      attempt.answeredAt = world.now;
      world.trace(attempt.connection, `is told ${short}: ${JSON.stringify(outcome)}`);
      const isFinal = outcome !== 'lost' && !('code' in outcome && isPassing(outcome.code));
      if (isFinal) this.#open--;
      else this.#later(command);
    });
  }

  #later(command: Command): void {
    const { random, timeline } = this.#surroundings.world;
    timeline.after(random.between(50, AGAIN_MS), () => this.#attempt(command));
  }

  /** The process it is connected to; sometimes it reconnects elsewhere without a reason. */
  #connected(): Node | undefined {
    const { world, anyNode } = this.#surroundings;
    if (this.#node?.isServing && !world.random.chance(0.05)) return this.#node;
    this.#node = anyNode();
    this.#connection = `${this.#user.slice(0, 4)}/${++this.#connections}`;
    return this.#node;
  }
}

/** Any time, but often in the rush or near the end of a fault. */
function timeOfRequest({ random, faultPlan }: World): number {
  const { calmAt, faults, rush } = faultPlan;
  if (random.chance(rush.share)) return rush.at + random.between(0, RUSH_MS);
  if (faults.length === 0 || random.chance(0.3)) return random.between(0, calmAt);
  const { at, ms } = random.one(faults);
  return at + ms + random.between(-1500, 300);
}

function describe(command: Command): string {
  switch (command.kind) {
    case 'send message':
      return `send ${command.messageId.slice(0, 8)} to ${command.roomId.slice(0, 8)}`;
    case 'read messages':
      return `read ${command.roomId.slice(0, 8)} up to ${command.upTo ?? 'the end'}`;
    case 'init chat':
      return `open ${roomIdOf(command.actor, command.friendId).slice(0, 8)}`;
    default:
      return 'roomId' in command ? `${command.kind} in ${command.roomId.slice(0, 8)}` : command.kind;
  }
}
