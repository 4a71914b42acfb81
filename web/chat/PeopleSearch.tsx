import type { Store, User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { countCodePoints, SEARCH_CHARACTERS } from '../../src/domain/limits.js';
import { displayName } from '../ui/displayName.js';
import { Avatar } from '../ui/icons.js';

/** Searches when the user has not typed for this time. */
const TYPING_PAUSE_MS = 200;

interface Props {
  readonly store: Store;
  readonly friends: readonly User[];
  readonly query: string;
  readonly onOpen: (roomId: string) => void;
}

/** Friends and other users whose name contains the query. */
export function PeopleSearch({ store, friends, query, onOpen }: Props) {
  const [found, setFound] = useState<readonly User[]>();
  const [error, setError] = useState<string>();
  const isTooLong = countCodePoints(query) > SEARCH_CHARACTERS;
  useEffect(() => {
    if (isTooLong) return;
    let isOver = false;
    const timer = setTimeout(() => {
      store.searchPeople(query).then(
        (users) => {
          if (isOver) return;
          setFound(users);
          setError(undefined);
        },
        () => {
          if (!isOver) setError('The search failed. Try again later.');
        },
      );
    }, TYPING_PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [store, query, isTooLong]);

  const openChat = (user: User): void => {
    store.openChat(user.userId).then(
      (chat) => onOpen(chat.roomId),
      () => setError(`The chat with ${displayName(user)} could not be opened. Try again.`),
    );
  };
  const addFriend = (user: User): void => {
    store.addFriend(user.userId).then(
      () => setFound((users) => users?.filter(({ userId }) => userId !== user.userId)),
      () => setError(`${displayName(user)} could not be added. Try again.`),
    );
  };
  const matching = friends.filter((user) => user.username?.toLowerCase().includes(query.toLowerCase()));
  const others = found?.filter((user) => !matching.some(({ userId }) => userId === user.userId)) ?? [];

  if (isTooLong)
    return (
      <section class="list" aria-label="People">
        <p role="status" class="hint count">
          A user name has at most {SEARCH_CHARACTERS} characters.
        </p>
      </section>
    );
  return (
    <section class="list" aria-label="People">
      <p role="status" class="hint count">
        {error ?? (found ? `${matching.length + others.length} found` : 'Searching…')}
      </p>
      <ul>
        {matching.map((user) => (
          <PersonRow key={user.userId} user={user} onOpen={() => openChat(user)} />
        ))}
        {others.map((user) => (
          <PersonRow
            key={user.userId}
            user={user}
            onOpen={() => openChat(user)}
            onAdd={() => addFriend(user)}
          />
        ))}
      </ul>
    </section>
  );
}

interface PersonRowProps {
  readonly user: User;
  readonly onOpen: () => void;
  /** Absent for friends. */
  readonly onAdd?: () => void;
}

function PersonRow({ user, onOpen, onAdd }: PersonRowProps) {
  const name = displayName(user);
  return (
    <li class="person">
      <button class="chat" type="button" aria-label={`${name}: open chat`} onClick={onOpen}>
        <Avatar user={user} />
        <b class="name">{name}</b>
      </button>
      {onAdd ? (
        <button class="button" type="button" aria-label={`Add ${name} as a friend`} onClick={onAdd}>
          Add
        </button>
      ) : (
        <span class="hint">Friend</span>
      )}
    </li>
  );
}
