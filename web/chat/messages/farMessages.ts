import type { Message, Store, User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { tokenOf } from '../../ui/session.js';
import { text } from '../../ui/texts.js';
import { useChatActions, useChatPage } from '../chatContext.js';
import { rest } from '../device.js';
import { lineOf, nameOf, personOf, type Talk } from './talk.js';

/** A message with its sender, whom the room may not name any more. */
interface Found {
  readonly message: Message;
  readonly sender?: User;
}

/** A message in one line: who has sent it, and its text. */
export interface Line {
  readonly sender: string;
  readonly text: string;
}

/** Quotes of the same message, or one that is scrolled away and back, ask once. The oldest go. */
const MOST_KEPT = 200;
const answers = new WeakMap<Store, Map<string, Promise<Found>>>();

/** The answers of this connection, without those that have changed since. */
function answersOf(store: Store): Map<string, Promise<Found>> {
  const known = answers.get(store);
  if (known) return known;
  const kept = new Map<string, Promise<Found>>();
  answers.set(store, kept);
  store.on('edit message', ({ message }) => void kept.delete(message.messageId));
  store.on('delete message', ({ messageId }) => void kept.delete(messageId));
  // Changes may be missed from here on.
  store.subscribe(() => store.get().connection.state !== 'live' && kept.clear());
  return kept;
}

function askOnce(store: Store, messageId: string, ask: () => Promise<Found>): Promise<Found> {
  const kept = answersOf(store);
  const known = kept.get(messageId);
  if (known) return known;
  const asked = ask();
  kept.set(messageId, asked);
  asked.catch(() => kept.delete(messageId));
  const [oldest] = kept.keys();
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
  return asked;
}

/** Lines of messages by their ids. Those that the room has not loaded are asked for, one by one. */
export function useLines(talk: Talk, messageIds: readonly string[]): (messageId: string) => Line {
  const { blocked } = useChatPage().snapshot;
  const [fetched, setFetched] = useState<ReadonlyMap<string, Found>>(new Map());
  const loaded = (messageId: string): Message | undefined => {
    const entry = talk.find(messageId);
    return entry?.state === 'stored' ? entry.message : undefined;
  };
  useFetched(
    talk,
    messageIds,
    (id) => !loaded(id) && !fetched.has(id),
    (found) => setFetched((before) => new Map(before).set(found.message.messageId, found)),
  );
  useChanges(talk, (messageId, change) =>
    setFetched((before) => {
      const known = before.get(messageId);
      return known
        ? new Map(before).set(messageId, { ...known, message: { ...known.message, ...change } })
        : before;
    }),
  );
  return (messageId) => {
    const far = fetched.get(messageId);
    const message = loaded(messageId) ?? far?.message;
    if (!message) return { sender: '', text: text('messages.earlierMessage') };
    const { senderId } = message;
    // As in the list of messages.
    if (blocked.some(({ userId }) => userId === senderId))
      return { sender: '', text: text('messages.ofBlocked') };
    const stranger = personOf(talk, senderId) ? undefined : far?.sender;
    return {
      sender: stranger ? displayName(stranger) : nameOf(talk, senderId),
      text: lineOf(talk, message),
    };
  };
}

/** Asks for those messages that are missing when the room is loaded, and again on the next connection. */
function useFetched(
  talk: Talk,
  messageIds: readonly string[],
  isMissing: (messageId: string) => boolean,
  onFound: (found: Found) => void,
): void {
  const { store, session } = useChatActions();
  const { roomId, entries } = talk.view;
  const isReady = entries.length > 0 && store.get().connection.state === 'live';
  useEffect(() => {
    let isOver = false;
    const ask = async (messageId: string): Promise<Found> => {
      const { message } = await store.request('get message', { roomId, messageId });
      const { senderId } = message;
      const isKnown = personOf(talk, senderId) !== undefined;
      const found = isKnown ? undefined : await rest.user(tokenOf(session), senderId).catch(() => undefined);
      return { message, ...(found && { sender: found.user }) };
    };
    const find = async (messageId: string): Promise<void> => {
      const found = await askOnce(store, messageId, () => ask(messageId));
      if (!isOver) onFound(found);
    };
    // Until then a word stands for the message.
    if (isReady) for (const messageId of messageIds.filter(isMissing)) find(messageId).catch(() => {});
    return () => {
      isOver = true;
    };
  }, [store, roomId, messageIds.join(), isReady]);
}

/** Calls with each message of the room that is edited or deleted. */
function useChanges(
  { view: { roomId } }: Talk,
  onChange: (messageId: string, change: Partial<Message>) => void,
): void {
  const { store } = useChatActions();
  useEffect(() => {
    const ends = [
      store.on('edit message', ({ message }) => {
        if (message.roomId === roomId) onChange(message.messageId, message);
      }),
      store.on('delete message', ({ roomId: at, messageId, by }) => {
        if (at === roomId) onChange(messageId, { message: null, deleted: { by } });
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [store, roomId]);
}
