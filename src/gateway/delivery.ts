import type { PushedEvent } from '../cluster/bus.js';
import type { PushName } from '../domain/contract.js';
import type { ContactsPush, SealedMessage, Shown, StoredPush } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { messageTerm } from '../domain/messages.js';
import type { User } from '../domain/userMessageChat.js';
import type { Cursors, Vector } from './cursor.js';
import type { Profiles } from './membersAndProfiles.js';
import type { Hub } from './openConnections.js';
import { pushText, textFrame } from './protocol.js';
import type { Ring } from './ring.js';

/** Opens message texts. */
export interface Texts {
  messages(sealed: readonly SealedMessage[]): Promise<(string | null)[]>;
}

/** The sources of the profiles and texts in pushes. */
export interface ContentSources {
  readonly texts: Texts;
  readonly profiles: Pick<Profiles, 'known' | 'load'>;
}

/** The profiles and opened texts that pushes show, as far as they have been fetched. */
export class PushContent implements Shown {
  readonly #users = new Map<UserId, User>();
  readonly #texts = new Map<string, string | null>();
  #missingUsers: UserId[] = [];
  #missingTexts: SealedMessage[] = [];

  /** `known`: texts that need not be opened, by their sealed form. */
  constructor(
    private readonly sources: ContentSources,
    private readonly known: ReadonlyMap<string, string> = new Map(),
  ) {}

  /** Whether all wanted content is loaded. */
  get isWhole(): boolean {
    return this.#missingUsers.length + this.#missingTexts.length === 0;
  }

  /** Takes a push's profiles and text from memory, and notes those that are missing. */
  want({ users = [], message }: StoredPush): void {
    for (const user of users) {
      if (this.#users.has(user)) continue;
      const known = this.sources.profiles.known(user);
      if (known) this.#users.set(user, known);
      else this.#missingUsers.push(user);
    }
    if (!message || message.text === null) return;
    if (!this.known.has(message.text) && !this.#texts.has(message.text)) this.#missingTexts.push(message);
  }

  /** Fetches the missing content. Rejects when a store fails; content that was fetched before stays. */
  async load(): Promise<void> {
    const [users, messages] = [this.#missingUsers, this.#missingTexts];
    const [texts, profiles] = await Promise.all([
      messages.length > 0 ? this.sources.texts.messages(messages) : [],
      users.length > 0 ? this.sources.profiles.load(users) : new Map<UserId, User>(),
    ]);
    messages.forEach(({ text }, i) => {
      if (text !== null) this.#texts.set(text, texts[i] ?? null);
    });
    for (const user of users) {
      const found = profiles.get(user);
      if (!found) throw new Error(`the read models do not have user ${user} yet`);
      this.#users.set(user, found);
    }
    this.#missingUsers = [];
    this.#missingTexts = [];
  }

  readonly user = (id: UserId): User => {
    const user = this.#users.get(id);
    if (!user) throw new Error(`the profile of ${id} is shown but was not wanted`);
    return user;
  };

  readonly text = (sealed: string): string | null =>
    this.known.get(sealed) ?? this.#texts.get(sealed) ?? null;
}

/** A stored push as the frame that clients receive. */
export function pushFrame(push: StoredPush, content: Shown, cursor: string): Buffer {
  // An event's pushes are made by declarations, which have no other names.
  return textFrame(pushText(push.name as PushName, JSON.stringify(push.data(content)), cursor));
}

export interface DeliveryDeps {
  readonly hub: Hub;
  readonly ring: Ring;
  readonly cursors: Cursors;
  /** Ends a user's typing in a room, without a push of its own. */
  readonly onMessage: (room: RoomId, sender: UserId) => void;
}

/** An event, its pushes, and the content of those to users of this node. */
export interface Delivered extends PushedEvent {
  readonly content: Shown;
}

/** Hands an event's pushes to the connections they concern. A push is serialised once for all its receivers. */
export class Delivery {
  readonly #deps: DeliveryDeps;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** `vector` is the node's, including this event. */
  deliver({ event, pushes, content }: Delivered, vector: Vector): void {
    if (event.type === 'MessageDeleted') this.#deps.ring.forgetMessage(messageTerm(event.data));
    for (const push of pushes)
      if ('about' in push) this.#toContacts(event, push);
      else this.#stored(event, push, vector, content);
  }

  #toContacts({ partition, offset }: Recorded, { name, about, data }: ContactsPush): void {
    let text: string | undefined;
    for (const user of this.#deps.hub.watchers.watchersOf(about)) {
      // An event's pushes are made by declarations, which have no other names.
      text ??= pushText(name as PushName, JSON.stringify(data));
      for (const connection of this.#deps.hub.connectionsOf(user))
        if (connection.session) {
          connection.recordSeen(partition, offset + 1);
          connection.sendText(text);
        }
    }
  }

  #stored(event: Recorded, push: StoredPush, vector: Vector, content: Shown): void {
    const { hub, ring, cursors, onMessage } = this.#deps;
    const { partition, offset } = event;
    const { to, room, contacts, endsTypingOf, message, users = [], onlyNewest } = push;
    if (contacts) hub.watchers.acquaint(...contacts);
    if (endsTypingOf !== undefined && room !== undefined) onMessage(room, endsTypingOf);
    // A push that concerns no user of this node is not serialised.
    if (!to.some((user) => ring.hosts(user))) return;
    const frame = pushFrame(push, content, cursors.live(vector));
    const source = hub.sourceOf(event.commandId);
    for (const user of to)
      for (const connection of hub.connectionsOf(user)) {
        if (connection === source || !connection.isListeningTo(room)) continue;
        connection.recordSeen(partition, offset + 1);
        connection.push(frame);
      }
    const shows = message ? [...users, message.senderId] : users;
    ring.add({
      partition,
      offset,
      to,
      shows,
      frame,
      ...(message ? { message: messageTerm(message) } : {}),
      ...(onlyNewest === undefined ? {} : { mark: onlyNewest }),
    });
  }
}
