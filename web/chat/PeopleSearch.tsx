import type { ChatView, Snapshot, User } from '@parley/client';
import type { ComponentChildren } from 'preact';
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

/** The chats whose name contains the query, then friends and other users. Whoever has a chat is among the chats alone. */
export function PeopleSearch({ query, onOpen }: Props) {
  const page = useChatPage();
  const { store, snapshot } = page;
  const [error, setError] = useState<string>();
  const found = useFound(query, setError);
  const chats = chatsFound(snapshot, query, found);
  const partners = new Set(chats.map(({ other }) => other?.userId));
  const people = peopleNamed(snapshot, query, found).filter(({ userId }) => !partners.has(userId));

  const openChat = (user: User): void => {
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
  const person = (user: User, open: () => void) => (
    <PersonRow
      key={user.userId}
      user={user}
      label={text('search.openChat', { name: displayName(user) })}
      onPress={open}
    >
      <Friendship user={user} onAdd={() => add(user)} />
    </PersonRow>
  );
  return (
    <section class="found" aria-label={text('search.results')}>
      <p role="status" class="hint count">
        {error ?? statusOf(query, found && chats.length + people.length)}
      </p>
      <Found label={text('list.chats')} isEmpty={chats.length === 0}>
        {chats.map((chat) => {
          const open = () => onOpen(chat.roomId);
          const { other, roomId } = chat;
          return other ? person(other, open) : <GroupRow key={roomId} chat={chat} onOpen={open} />;
        })}
      </Found>
      <Found label={text('search.people')} isEmpty={people.length === 0}>
        {people.map((user) => person(user, () => openChat(user)))}
      </Found>
    </section>
  );
}

/** @param count of what is shown; undefined before the first answer */
function statusOf(query: string, count: number | undefined): string {
  if (isTooLong(query)) return text('search.tooLong', { max: SEARCH_CHARACTERS });
  if (count === undefined) return text('search.searching');
  return count === 0 ? text('search.none') : text('search.found', { count });
}

interface FoundProps {
  readonly label: string;
  readonly isEmpty: boolean;
  readonly children: ComponentChildren;
}

/** A list of what was found, under its heading. */
const Found = ({ label, isEmpty, children }: FoundProps) =>
  isEmpty ? null : (
    <>
      <h2 class="found-head">{label}</h2>
      <ul aria-label={label}>{children}</ul>
    </>
  );

/** That somebody is a friend, or what makes them one. */
function Friendship({ user, onAdd }: { readonly user: User; readonly onAdd: () => void }) {
  const { snapshot, me } = useChatPage();
  if (user.userId === me.userId || user.erased) return null;
  if (snapshot.friends.some(({ userId }) => userId === user.userId))
    return <span class="hint">{text('search.friend')}</span>;
  const label = text('search.addFriend', { name: displayName(user) });
  return (
    <button
      class="button"
      type="button"
      aria-label={label}
      onClick={({ currentTarget }) => {
        // This button is removed: without this, the focus of the keyboard would move to the start of the page.
        currentTarget.closest('li')?.querySelector<HTMLElement>('[data-row]')?.focus();
        onAdd();
      }}
    >
      {text('search.add')}
    </button>
  );
}

const isTooLong = (query: string): boolean => countCodePoints(query) > SEARCH_CHARACTERS;

/** What the server finds; of an earlier answer what has this query too; undefined before the first one. */
export function useFound(
  query: string,
  onError: (text: string | undefined) => void,
): readonly User[] | undefined {
  const { store } = useChatPage();
  const [found, setFound] = useState<{ readonly for: string; readonly users: readonly User[] }>();
  useEffect(() => {
    if (query === '' || isTooLong(query)) return;
    let isOver = false;
    const timer = setTimeout(() => {
      store.searchPeople(query).then(
        (users) => {
          if (isOver) return;
          setFound({ for: query, users });
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
  // Enter takes the first: it must not be one of an answer to something else.
  return found?.for === query
    ? found.users
    : found?.users.filter(({ username, displayName: shown }) => contains(query, username, shown));
}

export const allChats = ({ chats, requests, archived }: Snapshot): readonly ChatView[] => [
  ...chats,
  ...requests,
  ...archived,
];

/** Whether one of the names contains the query, without regard to case. */
export const contains = (query: string, ...names: readonly (string | null | undefined)[]): boolean =>
  names.some((name) => name?.toLowerCase().includes(query.toLowerCase()));

/** Chats that have the name, and those with whom the server has found, as by an old name. */
function chatsFound(snapshot: Snapshot, query: string, found: readonly User[] = []): readonly ChatView[] {
  const ids = new Set(found.map(({ userId }) => userId));
  return allChats(snapshot).filter(({ other, name }) =>
    other
      ? ids.has(other.userId) || contains(query, other.username, other.displayName)
      : contains(query, name),
  );
}

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
    hint={chat.isMember ? text('group.count', { count: chat.members ?? 0 }) : text('reason.not_member')}
    label={text('search.openChat', { name: chatName(chat) })}
    onPress={onOpen}
  />
);
