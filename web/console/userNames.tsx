import type { User } from '@parley/client';
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { displayName } from '../ui/displayName.js';
import type { ConsoleApi } from './consoleApi.js';

const MAX_CACHED_USERS = 2000;
/** The page asks for an older answer again when it next shows the user, who may have been renamed or erased. */
const MAX_AGE_MS = 60_000;

interface Cached {
  readonly request: Promise<User | undefined>;
  readonly askedAt: number;
  /** The last answer. */
  readonly user?: User | undefined;
}

/** Users by id, each requested once a minute at most; removes the oldest entries first. */
export class UserCache {
  readonly #users = new Map<string, Cached>();
  readonly #erased = new Set<string>();
  readonly #listeners = new Set<(userId: string, isErased: boolean) => void>();

  constructor(private readonly api: ConsoleApi) {}

  /** The user with this id; `undefined` if the request fails. */
  get(userId: string): Promise<User | undefined> {
    const cached = this.#users.get(userId);
    if (cached && performance.now() - cached.askedAt < MAX_AGE_MS) return cached.request;
    const request = this.api.json<{ user: User }>(`/user/${encodeURIComponent(userId)}`).then(
      ({ user }) => {
        this.learn([user]);
        return this.known(userId);
      },
      () => {
        // Not cached, so that the next component that shows this user asks again.
        this.#users.delete(userId);
        return undefined;
      },
    );
    this.#keep(userId, { request, user: cached?.user });
    return request;
  }

  /** The last answer about a user. */
  known(userId: string): User | undefined {
    return this.#users.get(userId)?.user;
  }

  /** Takes users from a fresh answer in the place of those before. */
  learn(users: readonly User[]): void {
    for (const given of users) {
      const { userId } = given;
      // A read model may follow an erasure late.
      const user = this.#erased.has(userId) ? withoutName(given) : given;
      const before = this.known(userId);
      this.#keep(userId, { request: Promise.resolve(user), user });
      if (before && displayName(before) !== displayName(user)) this.#tell(userId, user.username === null);
    }
  }

  /** An event says that this user is erased. */
  learnErased(userId: string): void {
    if (this.#erased.has(userId)) return;
    this.#erased.add(userId);
    dropOldest(this.#erased, this.#erased.size);
    const before = this.known(userId);
    if (before) this.learn([before]);
    else this.#tell(userId, true);
  }

  /** Calls `listener` when a name changes, until the function that it returns is called. */
  subscribe(listener: (userId: string, isErased: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #keep(userId: string, entry: Omit<Cached, 'askedAt'>): void {
    this.#users.set(userId, { ...entry, askedAt: performance.now() });
    dropOldest(this.#users, this.#users.size);
  }

  #tell(userId: string, isErased: boolean): void {
    for (const listener of this.#listeners) listener(userId, isErased);
  }
}

function withoutName({ displayName: _, ...user }: User): User {
  return { ...user, username: null, erased: true };
}

function dropOldest(entries: Pick<Map<string, unknown>, 'keys' | 'delete'>, size: number): void {
  const [oldest] = entries.keys();
  if (size > MAX_CACHED_USERS && oldest !== undefined) entries.delete(oldest);
}

/** The users that the names around it come from. */
export const UsersContext = createContext<UserCache | undefined>(undefined);

/** Takes the users of a fresh answer in the place of those before. */
export function useFreshUsers(fresh: readonly User[] | undefined): void {
  const users = useContext(UsersContext);
  useEffect(() => {
    if (fresh) users?.learn(fresh);
  }, [fresh, users]);
}

/** The first eight characters of an id. */
export const shortId = (id: string): string => id.slice(0, 8);

/** The user's name; undefined until it is loaded. */
function useUserName(id: string): string | undefined {
  const users = useContext(UsersContext);
  const [name, setName] = useState<string>();
  useEffect(() => {
    let isOver = false;
    const show = (user: User | undefined): void => {
      if (!isOver && user) setName(displayName(user));
    };
    setName(undefined);
    show(users?.known(id));
    if (id !== 'system') void users?.get(id).then(show);
    const unsubscribe = users?.subscribe((userId) => {
      if (userId === id) show(users.known(id));
    });
    return () => {
      isOver = true;
      unsubscribe?.();
    };
  }, [id, users]);
  return name;
}

/** A user's name; the short id until the name is loaded. */
export function UserName({ id }: { readonly id: string }) {
  const name = useUserName(id);
  if (id === 'system') return <span>system</span>;
  return <span title={id}>{name ?? <span class="mono">{shortId(id)}</span>}</span>;
}

/** The names of several users. */
export const UserNames = ({ ids }: { readonly ids: readonly string[] }) => (
  <>
    {ids.map((id, i) => (
      <span key={id}>
        {i === 0 ? '' : ' and '}
        <UserName id={id} />
      </span>
    ))}
  </>
);
