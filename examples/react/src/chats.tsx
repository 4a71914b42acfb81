import type { ChatView, Entry, User } from '@parley/client';
import { useChats, usePresence, useRoom, useSend, useStore } from '@parley/react';
import { useEffect, useState } from 'react';

const nameOf = (user: User | undefined) => user?.displayName ?? user?.username ?? 'somebody';
const titleOf = ({ name, other }: ChatView) => name ?? nameOf(other);

/** A field with a button; calls `onText` with what was written. */
export function Ask({ label, onText }: { label: string; onText: (text: string) => void }) {
  const [text, setText] = useState('');
  const submit = () => {
    if (text !== '') onText(text);
    setText('');
  };
  return (
    <form action={submit}>
      <input aria-label={label} value={text} onChange={(event) => setText(event.target.value)} />
      <button type="submit">{label}</button>
    </form>
  );
}

const idOf = (entry: Entry) => (entry.state === 'stored' ? entry.message : entry).messageId;

function Line({ entry }: { entry: Entry }) {
  if (entry.state !== 'stored') return <li>{`${entry.message} (${entry.state})`}</li>;
  const { message, sender, isRead } = entry;
  return <li>{`${nameOf(sender)}: ${message.message ?? 'deleted'}${isRead ? ' ✓' : ''}`}</li>;
}

function Conversation({ chat: { roomId, other } }: { chat: ChatView }) {
  const { view, room } = useRoom(roomId);
  const send = useSend(roomId);
  const presence = usePresence(other?.userId ?? '');
  const newest = view?.entries.findLast((entry) => entry.state === 'stored')?.message.seq ?? 0;
  useEffect(() => room?.read(newest), [room, newest]);
  return (
    <section>
      <p role="status">{presence.state}</p>
      <ol>
        {view?.entries.map((entry) => (
          <Line key={idOf(entry)} entry={entry} />
        ))}
      </ol>
      <Ask label="Send" onText={send} />
    </section>
  );
}

export function Chats() {
  const store = useStore();
  const { isLoaded, chats, requests, unread } = useChats();
  const [shown, setShown] = useState<string>();
  const all = [...requests, ...chats];
  const find = async (name: string) => {
    const person = (await store.searchPeople(name)).find(({ username }) => username === name);
    if (person) setShown((await store.openChat(person.userId)).roomId);
  };
  const chat = all.find(({ roomId }) => roomId === shown);
  if (!isLoaded) return <p>Connecting…</p>;
  return (
    <>
      <h1>{`${unread} unread`}</h1>
      <Ask label="Find" onText={find} />
      {all.map((one) => (
        <button
          type="button"
          key={one.roomId}
          onClick={() => setShown(one.roomId)}
        >{`${titleOf(one)} (${one.unread})`}</button>
      ))}
      {chat && <Conversation key={chat.roomId} chat={chat} />}
    </>
  );
}
