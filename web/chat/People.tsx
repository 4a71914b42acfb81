import { useEffect, useState } from 'preact/hooks';
import type { Store, User } from '../../src/client/index.js';
import { Avatar } from '../ui/Avatar.js';
import { nameOf } from './names.js';

/** A pause in typing after which the server is asked. */
const PAUSE_MS = 200;

interface Props {
  readonly store: Store;
  readonly friends: readonly User[];
  readonly query: string;
  readonly onOpen: (roomId: string) => void;
}

/** Friends and other people by any part of their name. */
export function People({ store, friends, query, onOpen }: Props) {
  const [found, setFound] = useState<readonly User[]>();
  const [failed, setFailed] = useState<string>();
  useEffect(() => {
    let isOver = false;
    const timer = setTimeout(() => {
      store.searchPeople(query).then(
        (users) => {
          if (!isOver) setFound(users);
        },
        () => {
          if (!isOver) setFailed('People cannot be searched now.');
        },
      );
    }, PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [store, query]);

  const talk = (user: User): void => {
    store.openChat(user.userId).then(
      (chat) => onOpen(chat.roomId),
      () => setFailed(`The chat with ${nameOf(user)} cannot be opened now.`),
    );
  };
  const befriend = (user: User): void => {
    store.addFriend(user.userId).then(
      () => setFound((users) => users?.filter(({ userId }) => userId !== user.userId)),
      () => setFailed(`${nameOf(user)} cannot be added now.`),
    );
  };
  const known = friends.filter((user) => user.username?.toLowerCase().includes(query.toLowerCase()));
  const others = found?.filter((user) => !known.some(({ userId }) => userId === user.userId)) ?? [];

  return (
    <section class="list" aria-label="People">
      <p role="status" class="hint count">
        {failed ?? (found ? `${known.length + others.length} found` : 'Searching…')}
      </p>
      <ul>
        {[...known, ...others].map((user, i) => (
          <li key={user.userId} class="person">
            <button
              class="chat"
              type="button"
              aria-label={`${nameOf(user)}: open chat`}
              onClick={() => talk(user)}
            >
              <Avatar user={user} />
              <b class="name">{nameOf(user)}</b>
            </button>
            {i >= known.length ? (
              <button
                class="button"
                type="button"
                aria-label={`Add ${nameOf(user)} as a friend`}
                onClick={() => befriend(user)}
              >
                Add
              </button>
            ) : (
              <span class="hint">Friend</span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
