import { badRequest, notFound } from '../../src/base/errors.js';
import type {
  Answer,
  Command,
  CommandKind,
  CommandOf,
  CommandRouter,
  Moment,
} from '../../src/domain/commands.js';
import { roomIdOf } from '../../src/domain/ids.js';
import type { Chat, User } from '../../src/domain/userMessageChat.js';
import type { Queries } from '../../src/projections/queries.js';

/**
 * Commands and queries of users, friends and chats over one log that is only counted. Its read model lags as far
 * as it may: it shows what a command did only to a query that asks for the command's moment, or any later one.
 */
export class FakeCore {
  readonly #users = new Map<string, { user: User; from: number }>();
  readonly #friends = new Map<string, Set<string>>();
  readonly #chats: Chat[] = [];
  #size = 0;
  #folded = 0;

  readonly commands: CommandRouter = {
    execute: async <K extends CommandKind>(command: CommandOf<K>) => {
      // The answer that belongs to the kind, which the compiler cannot follow through a switch.
      const answer = this.#execute(command) as Omit<Answer<K>, 'moment'>;
      return { ...answer, moment: { partition: 0, size: this.#size } } as Answer<K>;
    },
  };

  readonly queries: Pick<Queries, 'users' | 'self' | 'friends' | 'search' | 'activeChats'> = {
    users: async (ids, at) => {
      this.#wait(at);
      const found = ids.flatMap((id): [string, User][] => {
        const row = this.#users.get(id);
        return row && row.from <= this.#folded ? [[id, row.user]] : [];
      });
      return new Map(found);
    },
    self: async (userId, at) => (await this.queries.users([userId], at)).get(userId),
    friends: async (userId, { limit }, at) => {
      this.#wait(at);
      const friends = [...(this.#friends.get(userId) ?? [])].map((id) => this.#user(id));
      return { friends: friends.slice(0, limit) };
    },
    search: async (me, q, limit, at) => {
      this.#wait(at);
      const wanted = q.toLowerCase();
      const rank = (name: string): number => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2);
      return [...this.#users.values()]
        .filter(({ user, from }) => from <= this.#folded && user.userId !== me)
        .filter(({ user }) => !this.#friends.get(me)?.has(user.userId))
        .map(({ user }) => ({ user, name: (user.username ?? '').toLowerCase() }))
        .filter(({ name }) => name.includes(wanted))
        .sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1))
        .slice(0, limit)
        .map(({ user }) => user);
    },
    activeChats: async (userId, { limit }, at) => {
      this.#wait(at);
      const mine = this.#chats.filter((chat) => chat.participants[0]?.userId === userId);
      return { chats: mine.slice(0, limit) };
    },
  };

  /** A moment's text is its size; one ahead of the log is refused, as it is by the real one. */
  readonly parseRevision = async (text: string): Promise<Moment> => {
    const size = Number(text);
    if (!Number.isSafeInteger(size) || size > this.#size) throw badRequest('the revision is of no log here');
    return { partition: 0, size };
  };

  #wait(at: readonly Moment[]): void {
    this.#folded = Math.max(this.#folded, ...at.map(({ size }) => size));
  }

  #user(id: string): User {
    const row = this.#users.get(id);
    if (!row) throw notFound('there is no such user');
    return row.user;
  }

  #execute(command: Command): object {
    const createdAt = new Date().toISOString();
    if (command.kind === 'register user') {
      const { userId, username, backgroundColor } = command;
      const isNew = !this.#users.has(userId);
      if (isNew)
        this.#users.set(userId, {
          user: { userId, username, backgroundColor, createdAt },
          from: ++this.#size,
        });
      return { isNew };
    }
    if (command.kind === 'add friend') {
      const { actor, friendId } = command;
      this.#size++;
      this.#friends.set(actor, new Set(this.#friends.get(actor)).add(friendId));
      this.#friends.set(friendId, new Set(this.#friends.get(friendId)).add(actor));
      return { isNew: true };
    }
    if (command.kind === 'change profile') {
      const { kind: _, userId, ...change } = command;
      const user: Record<string, unknown> = { ...this.#user(userId), ...change };
      for (const [field, value] of Object.entries(user)) if (value === null) delete user[field];
      // A user with other texts is a user.
      this.#users.set(userId, { user: user as User, from: ++this.#size });
      return { changed: true };
    }
    if (command.kind !== 'init chat') throw badRequest('not here');
    const { actor, friendId } = command;
    this.#size++;
    const roomId = roomIdOf(actor, friendId);
    this.#chats.unshift({
      roomId,
      roomType: 'PRIVATE',
      participants: [this.#user(actor), this.#user(friendId)],
      lastMessage: null,
      unread: 0,
      readUpTo: { [actor]: 0, [friendId]: 0 },
      createdAt,
    });
    return { roomId, isNewActive: true };
  }
}
