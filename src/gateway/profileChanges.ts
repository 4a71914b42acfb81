import type { Logger } from 'pino';
import type { Moment } from '../domain/commands.js';
import type { UserId } from '../domain/ids.js';
import { changeUserPush } from '../domain/people/profiles.js';
import type { User } from '../domain/userMessageChat.js';
import type { Queries } from '../projections/queries.js';
import type { Vector } from './cursor.js';
import type { GroupIndex } from './groupIndex.js';
import type { Profiles } from './membersAndProfiles.js';
import type { Hub } from './openConnections.js';
import { pushText } from './protocol.js';

/** Users whose changed profiles wait to be pushed. More are not pushed: the push is not stored, and queries show it. */
const MAX_WAITING = 10_000;
/** How often the push of one profile is tried. */
const MAX_TRIES = 3;

type ProfileQueries = Pick<Queries, 'peers' | 'self'> & {
  readonly groups: Pick<Queries['groups'], 'memberships'>;
};

export interface ProfileChangesDeps {
  readonly queries: ProfileQueries;
  readonly profiles: Pick<Profiles, 'expire' | 'load'>;
  readonly live: {
    readonly hub: Pick<Hub, 'connectionsOf'>;
    readonly groups: Pick<GroupIndex, 'membersNow'>;
  };
  /** The node's present vector. */
  readonly vector: () => Vector;
  readonly logger: Logger;
}

/**
 * Pushes changed profiles to those who share a chat or a friendship with their users and are connected to this node.
 * One is pushed at a time, as it is then. So changes that follow each other closely may be pushed as one, and an older
 * profile never comes after a newer one.
 */
export class ProfileChanges {
  readonly #deps: ProfileChangesDeps;
  readonly #waiting = new Set<UserId>();
  #isPushing = false;
  #isStopped = false;

  constructor(deps: ProfileChangesDeps) {
    this.#deps = deps;
  }

  /** The event has changed the user's profile. */
  note(user: UserId, { partition, offset }: { readonly partition: number; readonly offset: number }): void {
    this.#deps.profiles.expire(user, { partition, size: offset + 1 });
    if (this.#isStopped || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.add(user);
    if (!this.#isPushing) void this.#pushAll();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting.clear();
  }

  async #pushAll(): Promise<void> {
    this.#isPushing = true;
    for (const user of this.#waiting) {
      this.#waiting.delete(user);
      await this.#push(user);
    }
    this.#isPushing = false;
  }

  async #push(user: UserId): Promise<void> {
    const { logger } = this.#deps;
    for (let tries = 1; tries <= MAX_TRIES && !this.#isStopped; tries++)
      try {
        return await this.#pushNow(user);
      } catch (err) {
        logger.debug({ err, user, tries }, 'a changed profile could not be pushed');
      }
  }

  async #pushNow(user: UserId): Promise<void> {
    const { queries, profiles, live, vector } = this.#deps;
    const present: Moment[] = vector().map((size, partition) => ({ partition, size }));
    const others = await queries.peers(user, present);
    for (const { roomId, isMember } of await queries.groups.memberships(user, present))
      if (isMember) for (const member of live.groups.membersNow(roomId)) others.add(member);
    others.delete(user);
    const shown = (await profiles.load([user])).get(user);
    if (shown) this.#send(others, shown);
    if (live.hub.connectionsOf(user).length === 0) return;
    const self = await queries.self(user, present);
    if (self) this.#send([user], self);
  }

  #send(users: Iterable<UserId>, user: User): void {
    // An erasure is pushed by itself.
    if (user.erased || this.#isStopped) return;
    let text: string | undefined;
    for (const to of users)
      for (const connection of this.#deps.live.hub.connectionsOf(to))
        if (connection.session) {
          text ??= pushText(changeUserPush.name, JSON.stringify({ user }));
          connection.sendText(text);
        }
  }
}
