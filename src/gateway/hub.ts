import type { UserId } from '../domain/ids.js';
import type { Connection } from './connection.js';

interface Present {
  readonly connections: Connection[];
  /** Undefined while it has none. */
  contacts: Set<UserId> | undefined;
  /** Settles when the contacts of before the first connection are in. */
  loaded: Promise<void>;
}

const nobody: readonly Connection[] = [];

/** Keeps what comes for the users who are connected. */
export interface Hosting {
  /** Somebody's first connection: at the moment from which on their contacts are read, or before. */
  enter(user: UserId): void;
  /** Their last one has gone. */
  leave(user: UserId): void;
}

/**
 * Who is connected to this node, whose presence concerns them, and which connection a command came from. A user's
 * contacts only grow, so those that the fan-out reports while the first load is under way are simply added.
 */
export class Hub {
  readonly #loadContacts: (user: UserId) => Promise<Iterable<UserId>>;
  readonly #hosting: Hosting;
  readonly #users = new Map<UserId, Present>();
  /** By subject: the connected users who have it among their contacts. */
  readonly #watchers = new Map<UserId, Set<UserId>>();
  readonly #commands = new Map<string, Connection>();

  constructor(loadContacts: (user: UserId) => Promise<Iterable<UserId>>, hosting: Hosting) {
    this.#loadContacts = loadContacts;
    this.#hosting = hosting;
  }

  /** Adds a connection; resolves when the user's contacts are known. Rejects, and adds nothing, if they cannot be had. */
  async enter(user: UserId, connection: Connection): Promise<void> {
    let present = this.#users.get(user);
    if (!present) {
      present = { connections: [], contacts: undefined, loaded: Promise.resolve() };
      this.#users.set(user, present);
      this.#hosting.enter(user);
      present.loaded = this.#loadContacts(user).then((contacts) => {
        for (const contact of contacts) this.#watch(user, contact);
      });
    }
    present.connections.push(connection);
    try {
      await present.loaded;
    } catch (error) {
      this.leave(user, connection);
      throw error;
    }
  }

  leave(user: UserId, connection: Connection): void {
    const present = this.#users.get(user);
    const index = present?.connections.indexOf(connection) ?? -1;
    if (!present || index < 0) return;
    present.connections.splice(index, 1);
    if (present.connections.length > 0) return;
    this.#users.delete(user);
    this.#hosting.leave(user);
    for (const contact of present.contacts ?? []) {
      const watchers = this.#watchers.get(contact);
      watchers?.delete(user);
      if (watchers?.size === 0) this.#watchers.delete(contact);
    }
  }

  connectionsOf(user: UserId): readonly Connection[] {
    return this.#users.get(user)?.connections ?? nobody;
  }

  /** The connected users who are told of the subject's presence. */
  watchersOf(subject: UserId): Iterable<UserId> {
    return this.#watchers.get(subject) ?? [];
  }

  /** Whether anybody connected is told of the subject's presence. */
  isWatched(subject: UserId): boolean {
    return this.#watchers.has(subject);
  }

  isContact(user: UserId, other: UserId): boolean {
    return this.#users.get(user)?.contacts?.has(other) ?? false;
  }

  /** They have become contacts of each other. */
  acquaint(a: UserId, b: UserId): void {
    this.#watch(a, b);
    this.#watch(b, a);
  }

  /** A command of a connection begins: its own pushes leave that connection out. Returns what forgets it. */
  command(id: string, connection: Connection): () => void {
    this.#commands.set(id, connection);
    return () => this.#commands.delete(id);
  }

  /** The connection on this node whose command this was, until its pushes have gone out. */
  sourceOf(commandId: string): Connection | undefined {
    return this.#commands.get(commandId);
  }

  #watch(user: UserId, contact: UserId): void {
    const present = this.#users.get(user);
    if (!present) return;
    present.contacts ??= new Set();
    present.contacts.add(contact);
    const watchers = this.#watchers.get(contact);
    if (watchers) watchers.add(user);
    else this.#watchers.set(contact, new Set([user]));
  }
}
