import type { Command } from '../../src/domain/commands.js';
import type { RoomId } from '../../src/domain/ids.js';
import { roomIdOf } from '../../src/domain/ids.js';
import type { World } from './world.js';

/** A message that somebody wanted to send, and the edits that its sender wanted to make. */
interface SentMessage {
  readonly id: string;
  readonly text: string;
  readonly by: string;
  readonly edits: { readonly id: string; readonly text: string }[];
}

/** What the clients of a world have wanted so far. */
export interface Wanted {
  /** All sent messages, by room. */
  readonly sent: Map<RoomId, SentMessage[]>;
  /** The groups that somebody wanted to create. */
  readonly groups: RoomId[];
}

const MOST_GROUPS = 2;
const EMOJI = ['👍', '🎉'] as const;

/** Draws the commands of one user. */
export class Wishes {
  constructor(
    private readonly user: string,
    private readonly users: readonly string[],
    private readonly world: World,
    private readonly wanted: Wanted,
  ) {}

  draw(): Command {
    const { random, faultPlan } = this.world;
    return random.chance(faultPlan.groupShare) ? this.#inGroup() : this.#inPair();
  }

  #inPair(): Command {
    const { random } = this.world;
    const { sent } = this.wanted;
    const friendId = random.one(this.users.filter((user) => user !== this.user));
    const actor = this.user;
    const roomId = roomIdOf(actor, friendId);
    const kind = random.random();
    // Often, until the room exists; nothing else can happen in a missing room.
    if (kind < 0.1 || (!sent.has(roomId) && kind < 0.6)) {
      this.#sentIn(roomId);
      return { kind: 'init chat', actor, friendId };
    }
    if (kind < 0.35) {
      const upTo = random.chance(0.5) ? {} : { upTo: random.whole(1, this.#sentIn(roomId).length + 1) };
      return { kind: 'read messages', actor, roomId, ...upTo };
    }
    if (kind < 0.55) return this.#change(roomId) ?? this.#send(roomId);
    return (kind < 0.65 && this.#sendAgain(roomId)) || this.#send(roomId);
  }

  #inGroup(): Command {
    const { random } = this.world;
    const { groups } = this.wanted;
    if (groups.length === 0 || (groups.length < MOST_GROUPS && random.chance(0.08))) return this.#create();
    const roomId = random.one(groups);
    const kind = random.random();
    if (kind < 0.3) return this.#send(roomId);
    if (kind < 0.36) return this.#sendAgain(roomId) ?? this.#send(roomId);
    if (kind < 0.75) return this.#change(roomId) ?? this.#send(roomId);
    return this.#changeMembers(roomId);
  }

  #create(): Command {
    const { random } = this.world;
    const roomId = random.uuid();
    this.wanted.groups.push(roomId);
    const memberIds = this.users.filter((user) => user !== this.user && random.chance(0.7));
    const history = random.one(['joined', 'all'] as const);
    const name = `group ${roomId}`;
    return { kind: 'create group', actor: this.user, roomId, name, memberIds, history };
  }

  #send(roomId: RoomId): Command {
    const { random } = this.world;
    const actor = this.user;
    const known = this.#sentIn(roomId);
    const replyTo = known.length > 0 && random.chance(0.3) ? { replyTo: random.one(known).id } : {};
    const messageId = random.uuid();
    const message = `text of ${messageId}`;
    known.push({ id: messageId, text: message, by: actor, edits: [] });
    return { kind: 'send message', actor, roomId, messageId, message, ...replyTo };
  }

  /** Repeats a message, or reuses its id with another text. */
  #sendAgain(roomId: RoomId): Command | undefined {
    const { random } = this.world;
    const known = this.#sentIn(roomId);
    if (known.length === 0) return undefined;
    const { id: messageId, text } = random.one(known);
    const message = random.chance(0.5) ? text : `not ${text}`;
    return { kind: 'send message', actor: this.user, roomId, messageId, message };
  }

  /** Edits or deletes a message, or reacts to it. */
  #change(roomId: RoomId): Command | undefined {
    const { random } = this.world;
    const known = this.#sentIn(roomId);
    if (known.length === 0) return undefined;
    const actor = this.user;
    const kind = random.random();
    if (kind < 0.45) {
      const on = random.chance(0.6);
      return { kind: 'react', actor, roomId, messageId: random.one(known).id, emoji: random.one(EMOJI), on };
    }
    const mine = known.filter(({ by }) => by === actor);
    // Others' messages are to be refused.
    const message = random.one(mine.length > 0 && random.chance(0.9) ? mine : known);
    if (kind < 0.6) return { kind: 'delete message', actor, roomId, messageId: message.id };
    return this.#edit(roomId, message);
  }

  /** Edits a message, or repeats an edit with the same text or another one. */
  #edit(roomId: RoomId, { id: messageId, edits }: SentMessage): Command {
    const { random } = this.world;
    const edit = { kind: 'edit message', actor: this.user, roomId, messageId } as const;
    if (edits.length > 0 && random.chance(0.3)) {
      const { id, text } = random.one(edits);
      return { ...edit, editId: id, message: random.chance(0.7) ? text : `not ${text}` };
    }
    const editId = random.uuid();
    const message = `text of ${editId}`;
    edits.push({ id: editId, text: message });
    return { ...edit, editId, message };
  }

  #changeMembers(roomId: RoomId): Command {
    const { random } = this.world;
    const [actor, userId] = [this.user, random.one(this.users)];
    const kind = random.random();
    if (kind < 0.5) return { kind: 'add members', actor, roomId, userIds: [userId, random.one(this.users)] };
    if (kind < 0.7) return { kind: 'remove member', actor, roomId, userId };
    if (kind < 0.85) return { kind: 'leave group', actor, roomId };
    return { kind: 'change role', actor, roomId, userId, role: random.one(['owner', 'admin', 'member']) };
  }

  #sentIn(roomId: RoomId): SentMessage[] {
    const known = this.wanted.sent.get(roomId) ?? [];
    this.wanted.sent.set(roomId, known);
    return known;
  }
}
