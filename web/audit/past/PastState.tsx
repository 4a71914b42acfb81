import type { User } from '@parley/client';
import { useContext, useEffect, useMemo, useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { UserName, UsersContext } from '../../console/userNames.js';
import { displayName } from '../../ui/displayName.js';
import { formatUtc, formatUtcMs, pluralize } from '../../ui/format.js';
import { type RequestState, useRequest } from '../../ui/hooks.js';
import type { PastRoom, PastUser } from '../auditTypes.js';
import { useConsole } from '../consoleContext.js';
import { ExportButtons } from '../ExportButtons.js';
import type { ExportSource } from '../exportNames.js';
import { RoomName } from '../RoomName.js';
import { hrefOf } from '../route.js';

/** The server records every query in the log, so this waits until the slider rests. */
const SLIDER_REST_MS = 200;
const MAX_MESSAGES = 200;
/** Who comes back to the page after this time sees a fresh answer. */
const MAX_LOOK_MS = 60_000;

/** The answer of `path` for a point in time. It is asked for again after an erasure, which changes the past. */
function usePast<T>(path: string, at: string): RequestState<T> {
  const { api } = useConsole();
  const look = useLook(`${path}@${at}`);
  return useRequest(`${path}@${at} ${look}`, (signal) => api.json<T>(path, { at }, signal), SLIDER_REST_MS);
}

/** Takes from an answer who is erased. Other names in it are of that time. */
function useErasedUsers(users: readonly User[] | undefined): void {
  const cache = useContext(UsersContext);
  useEffect(() => {
    cache?.learn(users?.filter(({ username }) => username === null) ?? []);
  }, [users, cache]);
}

/** Counts the looks at one answer: another begins when a user was erased, or when somebody comes back to the page. */
function useLook(key: string): number {
  const users = useContext(UsersContext);
  const [look, setLook] = useState(0);
  useEffect(() => {
    let askedAt = performance.now();
    const again = (): void => {
      askedAt = performance.now();
      setLook((before) => before + 1);
    };
    const unsubscribe = users?.subscribe((_, isErased) => isErased && again());
    const onVisible = (): void => {
      if (document.visibilityState === 'visible' && performance.now() - askedAt > MAX_LOOK_MS) again();
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      unsubscribe?.();
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [key, users]);
  return look;
}

/** A room's members, messages and read marks at a point in time. */
export function RoomState({ roomId, at }: { readonly roomId: string; readonly at: string }) {
  const request = usePast<PastRoom>(`/audit/rooms/${roomId}`, at);
  const { value } = request;
  useErasedUsers(value?.members);
  if (request.state === 'failed') return <p role="alert">{describeError(request.error)}</p>;
  if (!value) return <p role="status">Loading…</p>;
  const { members, messages, readUpTo } = value;
  const shown = messages.slice(-MAX_MESSAGES);
  const newest = messages.at(-1)?.seq ?? 0;
  return (
    <section class="panel past" aria-label="Room at this time" aria-busy={request.state === 'loading'}>
      <h2>
        <RoomName id={roomId} />
      </h2>
      <p role="status">
        {messages.length === 0 ? 'No message yet.' : `${pluralize(messages.length, 'message')}.`}
        {newest > 0 ? ` The newest has seq ${newest}.` : ''}
      </p>
      <ul class="row">
        {members.map((member) => (
          <li key={member.userId}>
            <a href={hrefOf('past', { user: member.userId, at })}>
              <UserName id={member.userId} />
            </a>{' '}
            <span class="quiet">{readText(readUpTo[member.userId] ?? 0)}</span>
          </li>
        ))}
      </ul>
      {shown.length < messages.length ? (
        <p class="quiet">Not shown: {pluralize(messages.length - shown.length, 'earlier message')}.</p>
      ) : null}
      <ol class="messages">
        {shown.map((message) => (
          <li key={message.messageId} data-newest={message.seq === newest}>
            <span class="seq mono">{message.seq}</span>
            <span class="from">
              <UserName id={message.senderId} />
            </span>
            <span class="text" dir="auto">
              {message.message ?? <em>{message.deleted ? 'deleted' : 'erased'}</em>}
              {message.rev === undefined ? null : (
                <span class="quiet"> edited {pluralize(message.rev, 'time')}</span>
              )}
            </span>
            <span class="when">
              <time dateTime={message.sentAt}>{formatUtc(message.sentAt)}</time>{' '}
              <a href={hrefOf('message', { room: roomId, seq: String(message.seq), since: message.sentAt })}>
                History<span class="hidden-visually"> of message {message.seq}</span>
              </a>
            </span>
          </li>
        ))}
      </ol>
      <ExportButtons
        of={['room', { stream: `room:${roomId}` }, 'at', at]}
        rows={shown.map((message) => ({
          ...{ time: message.sentAt, userId: message.senderId, roomId, text: message.message ?? '' },
          row: { ...message },
        }))}
      />
    </section>
  );
}

const readText = (upTo: number): string =>
  upTo === 0 ? 'has read nothing yet' : `has read up to seq ${upTo}`;

/** A user's presence, friends and rooms at a point in time. */
export function UserState({ userId, at }: { readonly userId: string; readonly at: string }) {
  const request = usePast<PastUser>(`/audit/users/${userId}`, at);
  const { value } = request;
  useErasedUsers(useMemo(() => value && [value.user, ...value.friends], [value]));
  if (request.state === 'failed') return <p role="alert">{describeError(request.error)}</p>;
  if (!value) return <p role="status">Loading…</p>;
  const { user, friends, rooms, isOnline, lastSeen } = value;
  return (
    <section class="panel past" aria-label="User at this time" aria-busy={request.state === 'loading'}>
      <h2>{displayName(user)}</h2>
      <p role="status">{presenceText(isOnline, lastSeen)}</p>
      <h3>Friends: {friends.length}</h3>
      <ul class="row" hidden={friends.length === 0}>
        {friends.map((friend) => (
          <li key={friend.userId}>
            <a href={hrefOf('past', { user: friend.userId, at })}>
              <UserName id={friend.userId} />
            </a>
          </li>
        ))}
      </ul>
      <h3>Rooms: {rooms.length}</h3>
      <ul class="rooms">
        {rooms.map(({ roomId, roomType, memberIds, createdAt, name }) => (
          <li key={roomId}>
            <a href={hrefOf('past', { room: roomId, at })}>
              {roomType === 'GROUP' ? (
                <>Group {name ?? 'whose name is erased'}</>
              ) : (
                <>
                  Chat with{' '}
                  {memberIds
                    .filter((memberId) => memberId !== userId)
                    .map((memberId, i) => (
                      <span key={memberId}>
                        {i === 0 ? '' : ' and '}
                        <UserName id={memberId} />
                      </span>
                    ))}
                </>
              )}
            </a>{' '}
            <span class="quiet">
              {pluralize(memberIds.length, 'member')}, since {formatUtc(createdAt)}
            </span>
          </li>
        ))}
      </ul>
      <ExportButtons of={['user', { stream: `user:${userId}` }]} rows={rowsOf(value, at)} />
    </section>
  );
}

/** A row for the user, each friend and each room. */
const rowsOf = (
  { user, friends, rooms, isOnline, lastSeen }: PastUser,
  time: string,
): readonly ExportSource[] => [
  { time, userId: user.userId, text: 'user', row: { kind: 'user', ...user, isOnline, lastSeen } },
  ...friends.map((friend) => ({
    ...{ time, userId: friend.userId, text: 'friend' },
    row: { kind: 'friend', ...friend },
  })),
  ...rooms.map((room) => ({ time, roomId: room.roomId, text: 'room', row: { kind: 'room', ...room } })),
];

function presenceText(isOnline: boolean, lastSeen: string | null): string {
  if (isOnline) return 'Online.';
  return lastSeen === null ? 'Not connected until then.' : `Offline. Last seen ${formatUtcMs(lastSeen)}.`;
}
