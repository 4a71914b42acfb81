import type { Message, User } from '@parley/client';
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
  useChanges(talk, (message) =>
    setFetched((before) => {
      const known = before.get(message.messageId);
      return known ? new Map(before).set(message.messageId, { ...known, message }) : before;
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
    const find = async (messageId: string): Promise<void> => {
      const { message } = await store.request('get message', { roomId, messageId });
      const { senderId } = message;
      const isKnown = personOf(talk, senderId) !== undefined;
      const found = isKnown ? undefined : await rest.user(tokenOf(session), senderId).catch(() => undefined);
      if (!isOver) onFound({ message, ...(found && { sender: found.user }) });
    };
    // Until then a word stands for the message.
    if (isReady) for (const messageId of messageIds.filter(isMissing)) find(messageId).catch(() => {});
    return () => {
      isOver = true;
    };
  }, [store, roomId, messageIds.join(), isReady]);
}

/** Calls with each message of the room that is edited. */
function useChanges({ view: { roomId } }: Talk, onChange: (message: Message) => void): void {
  const { store } = useChatActions();
  useEffect(
    () =>
      store.on('edit message', ({ message }) => {
        if (message.roomId === roomId) onChange(message);
      }),
    [store, roomId],
  );
}
