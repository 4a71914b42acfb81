import type { User } from '@parley/client';
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { displayName } from '../ui/displayName.js';
import type { ConsoleApi } from './consoleApi.js';

const MAX_CACHED_USERS = 2000;

/** Users by id, each requested once; removes the oldest entries first. */
export class UserCache {
  readonly #users = new Map<string, Promise<User | undefined>>();

  constructor(private readonly api: ConsoleApi) {}

  /** The user with this id; `undefined` if the request fails. */
  get(userId: string): Promise<User | undefined> {
    const cached = this.#users.get(userId);
    if (cached) return cached;
    const request = this.api.json<{ user: User }>(`/user/${encodeURIComponent(userId)}`).then(
      ({ user }) => user,
      () => {
        // Not cached, so that the next component that shows this user asks again.
        this.#users.delete(userId);
        return undefined;
      },
    );
    this.#users.set(userId, request);
    const [oldest] = this.#users.keys();
    if (this.#users.size > MAX_CACHED_USERS && oldest !== undefined) this.#users.delete(oldest);
    return request;
  }
}

/** The users that the names around it come from. */
export const UsersContext = createContext<UserCache | undefined>(undefined);

/** The first eight characters of an id. */
export const shortId = (id: string): string => id.slice(0, 8);

/** The user's name; undefined until it is loaded. */
function useUserName(id: string): string | undefined {
  const users = useContext(UsersContext);
  const [name, setName] = useState<string>();
  useEffect(() => {
    let isOver = false;
    setName(undefined);
    if (id !== 'system')
      void users?.get(id).then((user) => {
        if (!isOver && user) setName(displayName(user));
      });
    return () => {
      isOver = true;
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
