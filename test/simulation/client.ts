import type { Command } from '../../src/domain/commands.js';
import { roomIdOf } from '../../src/domain/ids.js';
import type { Attempt } from './history.js';
import type { Node } from './node.js';
import type { World } from './world.js';

/** What a client has to go on with. */
export interface Surroundings {
  readonly world: World;
  readonly attempts: Attempt[];
  /** Everybody, the client too. */
  readonly users: readonly string[];
  /** The ids of messages that were sent by anybody, by room. */
  readonly sent: Map<string, { readonly id: string; readonly text: string; readonly by: string }[]>;
  /** A process that serves now. */
  readonly anyNode: () => Node | undefined;
}

/** Before something is tried again. */
const AGAIN_MS = 1500;

/**
 * A user at a device: has some wishes, does not wait for one to be granted before it utters the next, and repeats
 * what was not taken, or may not have been, until it has an answer. When its process dies it connects to another.
 */
export class Client {
  readonly #user: string;
  readonly #surroundings: Surroundings;
  #node: Node | undefined;
  #connection = '';
  #connections = 0;
  #open = 0;

  constructor(user: string, surroundings: Surroundings) {
    this.#user = user;
    this.#surroundings = surroundings;
    const { timeline, weather } = surroundings.world;
    this.#open = weather.wishes;
    for (let i = 0; i < weather.wishes; i++)
      timeline.after(timeOfWish(surroundings.world), () => this.#attempt(this.#wish()));
  }

  /** How many wishes have no final answer. */
  get open(): number {
    return this.#open;
  }

  #wish(): Command {
    const { draw } = this.#surroundings.world;
    const { users, sent } = this.#surroundings;
    const friendId = draw.one(users.filter((user) => user !== this.#user));
    const actor = this.#user;
    const roomId = roomIdOf(actor, friendId);
    const known = sent.get(roomId) ?? [];
    const kind = draw.random();
    // Until somebody has, often: nothing else happens in a room that is not there.
    if (kind < 0.1 || (!sent.has(roomId) && kind < 0.6)) {
      sent.set(roomId, known);
      return { kind: 'init chat', actor, friendId };
    }
    if (kind < 0.35) {
      const upTo = draw.chance(0.5) ? {} : { upTo: draw.whole(1, known.length + 1) };
      return { kind: 'read messages', actor, roomId, ...upTo };
    }
    const earlier = known.length > 0 ? draw.one(known) : undefined;
    const replyTo = earlier && draw.chance(0.3) ? { replyTo: earlier.id } : {};
    if (earlier && kind < 0.5) {
      // The same again, or the id with another text.
      const message = draw.chance(0.5) ? earlier.text : `not ${earlier.text}`;
      return { kind: 'send message', actor, roomId, messageId: earlier.id, message };
    }
    const messageId = draw.uuid();
    const message = `text of ${messageId}`;
    sent.set(roomId, [...known, { id: messageId, text: message, by: actor }]);
    return { kind: 'send message', actor, roomId, messageId, message, ...replyTo };
  }

  #attempt(command: Command): void {
    const { world, attempts } = this.#surroundings;
    const node = this.#connected();
    if (!node) return this.#later(command);
    const attempt: Attempt = {
      connection: this.#connection,
      node: node.name,
      commandId: world.draw.uuid(),
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
    const { draw, timeline } = this.#surroundings.world;
    timeline.after(draw.between(50, AGAIN_MS), () => this.#attempt(command));
  }

  /** The process it is connected to; now and then it goes to another by itself. */
  #connected(): Node | undefined {
    const { world, anyNode } = this.#surroundings;
    if (this.#node?.isServing && !world.draw.chance(0.05)) return this.#node;
    this.#node = anyNode();
    this.#connection = `${this.#user.slice(0, 4)}/${++this.#connections}`;
    return this.#node;
  }
}

/** Any time, but often about the time when something that goes wrong is coming to its end. */
function timeOfWish({ draw, weather }: World): number {
  const { calmAt, mishaps } = weather;
  if (mishaps.length === 0 || draw.chance(0.3)) return draw.between(0, calmAt);
  const { at, ms } = draw.one(mishaps);
  return at + ms + draw.between(-1500, 300);
}

const isPassing = (code: string): boolean => code === 'overloaded' || code === 'unknown';

function describe(command: Command): string {
  switch (command.kind) {
    case 'send message':
      return `send ${command.messageId.slice(0, 8)} to ${command.roomId.slice(0, 8)}`;
    case 'read messages':
      return `read ${command.roomId.slice(0, 8)} up to ${command.upTo ?? 'the end'}`;
    case 'init chat':
      return `open ${roomIdOf(command.actor, command.friendId).slice(0, 8)}`;
    default:
      return command.kind;
  }
}
