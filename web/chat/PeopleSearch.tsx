import type { ChatView, Snapshot, User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { countCodePoints, SEARCH_CHARACTERS } from '../../src/domain/limits.js';
import { chatName, displayName } from '../ui/displayName.js';
import { text } from '../ui/texts.js';
import { ChatAvatar } from './ChatRow.js';
import { addFriend } from './chatActions.js';
import { useChatPage } from './chatContext.js';
import { failureText } from './people/failureText.js';
import { PersonRow, Row } from './people/PersonRow.js';

/** Searches when the user has not typed for this time. */
const TYPING_PAUSE_MS = 200;

interface Props {
  readonly query: string;
  readonly onOpen: (roomId: string) => void;
}

/** Groups, friends and other users whose name contains the query. */
export function PeopleSearch({ query, onOpen }: Props) {
  const page = useChatPage();
  const { store, snapshot } = page;
  const [error, setError] = useState<string>();
  const found = useFound(query, setError);
  const groups = groupsNamed(snapshot, query);
  const people = peopleNamed(snapshot, query, found);
  const isFriend = ({ userId }: User): boolean => snapshot.friends.some((friend) => friend.userId === userId);

  const openChat = (user: User): void => {
    const known = allChats(snapshot).find(({ other }) => other?.userId === user.userId);
    if (known) return onOpen(known.roomId);
    store.openChat(user.userId).then(
      (chat) => onOpen(chat.roomId),
      (reason) => setError(text('search.notOpened', { name: displayName(user), why: failureText(reason) })),
    );
  };
  const add = (user: User): void => {
    addFriend(page, user).catch((reason) =>
      setError(text('search.notAdded', { name: displayName(user), why: failureText(reason) })),
    );
  };
  const count = groups.length + people.length;
  const status = isTooLong(query)
    ? text('search.tooLong', { max: SEARCH_CHARACTERS })
    : (error ?? (found ? text('search.found', { count }) : text('search.searching')));
  return (
    <section class="found" aria-label={text('search.results')}>
      <p role="status" class="hint count">
        {status}
      </p>
      {groups.length > 0 && (
        <ul aria-label={text('search.groups')}>
          {groups.map((chat) => (
            <GroupRow key={chat.roomId} chat={chat} onOpen={() => onOpen(chat.roomId)} />
          ))}
        </ul>
      )}
      <ul aria-label={text('search.people')}>
        {people.map((user) => (
          <PersonRow
            key={user.userId}
            user={user}
            label={text('search.openChat', { name: displayName(user) })}
            onPress={() => openChat(user)}
          >
            {isFriend(user) ? (
              <span class="hint">{text('search.friend')}</span>
            ) : (
              <button
                class="button"
                type="button"
                aria-label={text('search.addFriend', { name: displayName(user) })}
                onClick={() => add(user)}
              >
                {text('search.add')}
              </button>
            )}
          </PersonRow>
        ))}
      </ul>
    </section>
  );
}

const isTooLong = (query: string): boolean => countCodePoints(query) > SEARCH_CHARACTERS;

/** What the server finds; undefined before its first answer. */
export function useFound(
  query: string,
  onError: (text: string | undefined) => void,
): readonly User[] | undefined {
  const { store } = useChatPage();
  const [found, setFound] = useState<readonly User[]>();
  useEffect(() => {
    if (query === '' || isTooLong(query)) return;
    let isOver = false;
    const timer = setTimeout(() => {
      store.searchPeople(query).then(
        (users) => {
          if (isOver) return;
          setFound(users);
          onError(undefined);
        },
        (reason) => {
          if (!isOver) onError(text('search.failed', { why: failureText(reason) }));
        },
      );
    }, TYPING_PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [store, query]);
  return found;
}

export const allChats = ({ chats, requests, archived }: Snapshot): readonly ChatView[] => [
  ...chats,
  ...requests,
  ...archived,
];

/** Whether one of the names contains the query, without regard to case. */
export const contains = (query: string, ...names: readonly (string | null | undefined)[]): boolean =>
  names.some((name) => name?.toLowerCase().includes(query.toLowerCase()));

const groupsNamed = (snapshot: Snapshot, query: string): readonly ChatView[] =>
  allChats(snapshot).filter(({ other, name }) => !other && contains(query, name));

/** More names are not looked through: the search makes them fewer. */
const MOST_PEOPLE = 100;

/** Partners of chats and friends, then what the server has found, each once. */
export function peopleNamed(snapshot: Snapshot, query: string, found: readonly User[] = []): readonly User[] {
  const partners = allChats(snapshot).flatMap(({ other }) => other ?? []);
  const known = [...partners, ...snapshot.friends].filter(({ username, displayName: shown }) =>
    contains(query, username, shown),
  );
  return [...new Map([...known, ...found].map((user) => [user.userId, user])).values()].slice(0, MOST_PEOPLE);
}

const GroupRow = ({ chat, onOpen }: { readonly chat: ChatView; readonly onOpen: () => void }) => (
  <Row
    avatar={<ChatAvatar chat={chat} />}
    name={chatName(chat)}
    hint={text('group.count', { count: chat.members ?? 0 })}
    label={text('search.openChat', { name: chatName(chat) })}
    onPress={onOpen}
  />
);
