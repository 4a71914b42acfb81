import type { ContactRule } from '../domain/defineCommand.js';
import type { Tie } from '../domain/defineEvent.js';
import type { UserId } from '../domain/ids.js';
import { isContact } from '../domain/safety.js';
import type { Ties } from '../domain/streams.js';
import { DEFAULT_PREFERENCES, type Preferences } from '../domain/userMessageChat.js';

/** What is loaded of a user who connects. */
export interface LoadedRelations {
  readonly ties: Iterable<readonly [UserId, Pick<Ties, 'contacts' | 'blocks'>]>;
  readonly preferences: Preferences;
}

const nobody: readonly UserId[] = [];

/** Who blocks whom, of a connected user and another one: bits. */
const MINE = 1;
const THEIRS = 2;

/** What is known of a connected user. Most have neither blocks nor preferences of their own, so it is kept small. */
interface Known {
  /** Those whose presence this user is shown. */
  shown: Set<UserId> | undefined;
  blocks: Map<UserId, number> | undefined;
  preferences: Preferences;
  /** What changed while the rest was being loaded; undefined: it is loaded. */
  changes: (Tie | Preferences)[] | undefined;
}

/**
 * What the connected users are to others, and their preferences. It is loaded at or after the node's vector, and
 * changed by what is fanned out: changes during the load are applied to what was loaded once more, in their order.
 */
export class Relations {
  readonly #rule: ContactRule;
  readonly #load: (user: UserId) => Promise<LoadedRelations>;
  readonly #users = new Map<UserId, Known>();
  /** By subject: the connected users who are shown the subject's presence. */
  readonly #watchers = new Map<UserId, Set<UserId>>();

  constructor(rule: ContactRule, load: (user: UserId) => Promise<LoadedRelations>) {
    this.#rule = rule;
    this.#load = load;
  }

  /** Adds a connected user. Resolves when the user's relations are known; rejects if they cannot be loaded. */
  async add(user: UserId): Promise<void> {
    const known: Known = {
      shown: undefined,
      blocks: undefined,
      preferences: DEFAULT_PREFERENCES,
      changes: [],
    };
    this.#users.set(user, known);
    const { ties, preferences } = await this.#load(user);
    const changes = known.changes ?? [];
    known.changes = undefined;
    // The user has gone meanwhile.
    if (this.#users.get(user) !== known) return;
    for (const [other, { contacts, blocks }] of ties) {
      // Under `consent` a user is shown those who have them as a contact.
      if (isContact(contacts, other, this.#rule)) this.#watch(user, other);
      if (blocks.includes(user)) this.#block(user, other, MINE);
      if (blocks.includes(other)) this.#block(user, other, THEIRS);
    }
    known.preferences = preferences;
    for (const change of changes)
      if ('is' in change) this.apply(change);
      else known.preferences = change;
  }

  /** Removes the user, whose last connection has closed. */
  remove(user: UserId): void {
    for (const contact of this.#users.get(user)?.shown ?? []) this.#unwatch(user, contact);
    this.#users.delete(user);
  }

  /** The connected users who are shown the subject's presence; not those who are invisible themselves. */
  *watchersOf(subject: UserId): Iterable<UserId> {
    for (const user of this.#watchers.get(subject) ?? [])
      if (this.#users.get(user)?.preferences.visible) yield user;
  }

  /** Whether any connected user is shown the subject's presence. */
  isWatched(subject: UserId): boolean {
    return this.#watchers.has(subject);
  }

  /** Whether the connected user is shown the other's presence, as far as the other is visible. */
  isShown(user: UserId, other: UserId): boolean {
    return this.#users.get(user)?.shown?.has(other) ?? false;
  }

  /** Whether the connected user is told what the other types and reads. */
  isTold(user: UserId, other: UserId): boolean {
    const known = this.#users.get(user);
    if (known === undefined || known.blocks?.has(other)) return false;
    return this.#rule === 'open' || known.shown?.has(other) === true;
  }

  /** Whether the connected user is told of the other's read marks, as far as the other permits it. */
  readonly isToldReads = (user: UserId, reader: UserId): boolean =>
    user === reader || (this.isTold(user, reader) && this.preferencesOf(user).receipts);

  /** The preferences of a connected user. */
  preferencesOf(user: UserId): Preferences {
    return this.#users.get(user)?.preferences ?? DEFAULT_PREFERENCES;
  }

  hasBlocked(user: UserId, other: UserId): boolean {
    return ((this.#users.get(user)?.blocks?.get(other) ?? 0) & MINE) !== 0;
  }

  /** The number of users whom the connected user has blocked. */
  blockCount(user: UserId): number {
    let count = 0;
    for (const bits of this.#users.get(user)?.blocks?.values() ?? []) count += bits & MINE;
    return count;
  }

  /**
   * Two users have become something else to each other. Returns those of the two who, by a block, are no longer shown
   * the presence of the other.
   */
  apply(tie: Tie): readonly UserId[] {
    const { by, other, is } = tie;
    const [mine, theirs] = [this.#users.get(by), this.#users.get(other)];
    if (mine === undefined && theirs === undefined) return nobody;
    mine?.changes?.push(tie);
    theirs?.changes?.push(tie);
    if (is === 'contact') {
      this.#watch(other, by);
      if (this.#rule === 'open') this.#watch(by, other);
      return nobody;
    }
    if (is === 'unblocked') {
      this.#unblock(by, other, MINE);
      this.#unblock(other, by, THEIRS);
      return nobody;
    }
    const isVisible = this.preferencesOf(by).visible && this.preferencesOf(other).visible;
    const shown = [by, other].filter((user) => isVisible && this.isShown(user, user === by ? other : by));
    this.#unwatch(by, other);
    this.#unwatch(other, by);
    // The two are told of it by a push.
    if (is === 'parted') return nobody;
    this.#block(by, other, MINE);
    this.#block(other, by, THEIRS);
    return shown;
  }

  /** The user has changed their preferences. */
  prefer(user: UserId, preferences: Preferences): void {
    const known = this.#users.get(user);
    if (known === undefined) return;
    known.changes?.push(preferences);
    known.preferences = preferences;
  }

  #watch(user: UserId, contact: UserId): void {
    const known = this.#users.get(user);
    // Each message comes here, and nearly always the two are contacts already.
    if (known === undefined || known.shown?.has(contact)) return;
    if (known.shown) known.shown.add(contact);
    else known.shown = new Set([contact]);
    const watchers = this.#watchers.get(contact);
    if (watchers) watchers.add(user);
    else this.#watchers.set(contact, new Set([user]));
  }

  #unwatch(user: UserId, contact: UserId): void {
    this.#users.get(user)?.shown?.delete(contact);
    const watchers = this.#watchers.get(contact);
    watchers?.delete(user);
    if (watchers?.size === 0) this.#watchers.delete(contact);
  }

  #block(user: UserId, other: UserId, bit: number): void {
    const known = this.#users.get(user);
    if (known === undefined) return;
    known.blocks ??= new Map();
    known.blocks.set(other, (known.blocks.get(other) ?? 0) | bit);
  }

  #unblock(user: UserId, other: UserId, bit: number): void {
    const blocks = this.#users.get(user)?.blocks;
    const left = (blocks?.get(other) ?? 0) & ~bit;
    if (left === 0) blocks?.delete(other);
    else blocks?.set(other, left);
  }
}
