import type { UserId } from '../domain/ids.js';

/**
 * The connected users, and the contacts whose presence they are shown. A user's contacts only grow, so new ones that
 * are reported during the load are added.
 */
export class PresenceWatchers {
  readonly #loadContacts: (user: UserId) => Promise<Iterable<UserId>>;
  /** By connected user; undefined for one without contacts. */
  readonly #contacts = new Map<UserId, Set<UserId> | undefined>();
  /** By subject: the connected users who have the subject as a contact. */
  readonly #watchers = new Map<UserId, Set<UserId>>();

  constructor(loadContacts: (user: UserId) => Promise<Iterable<UserId>>) {
    this.#loadContacts = loadContacts;
  }

  /** Adds a connected user. Resolves when the user's contacts are known; rejects if they cannot be loaded. */
  async add(user: UserId): Promise<void> {
    this.#contacts.set(user, undefined);
    for (const contact of await this.#loadContacts(user)) this.#watch(user, contact);
  }

  /** Removes the user, whose last connection has closed. */
  remove(user: UserId): void {
    for (const contact of this.#contacts.get(user) ?? []) {
      const watchers = this.#watchers.get(contact);
      watchers?.delete(user);
      if (watchers?.size === 0) this.#watchers.delete(contact);
    }
    this.#contacts.delete(user);
  }

  /** The connected users who are shown the subject's presence. */
  watchersOf(subject: UserId): Iterable<UserId> {
    return this.#watchers.get(subject) ?? [];
  }

  /** Whether any connected user is shown the subject's presence. */
  isWatched(subject: UserId): boolean {
    return this.#watchers.has(subject);
  }

  isContact(user: UserId, other: UserId): boolean {
    return this.#contacts.get(user)?.has(other) ?? false;
  }

  /** The two have become contacts of each other. */
  acquaint(a: UserId, b: UserId): void {
    this.#watch(a, b);
    this.#watch(b, a);
  }

  #watch(user: UserId, contact: UserId): void {
    if (!this.#contacts.has(user)) return;
    const contacts = this.#contacts.get(user);
    if (contacts) contacts.add(contact);
    else this.#contacts.set(user, new Set([contact]));
    const watchers = this.#watchers.get(contact);
    if (watchers) watchers.add(user);
    else this.#watchers.set(contact, new Set([user]));
  }
}
