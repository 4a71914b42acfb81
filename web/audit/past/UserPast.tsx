import { sayWhy } from '../api.js';
import { Person, shortId } from '../Person.js';
import { hrefOf } from '../route.js';
import { exactly } from '../times.js';
import type { UserThen } from '../types.js';
import { usePast } from './usePast.js';

interface Props {
  readonly id: string;
  readonly at: string;
}

/** A person as they were: whether they were there, their friends and their rooms. */
export function UserPast({ id, at }: Props) {
  const answer = usePast<UserThen>(`/audit/users/${id}`, at);
  const { value } = answer;
  if (answer.state === 'failed') return <p role="alert">{sayWhy(answer.error)}</p>;
  if (!value) return <p role="status">Looking…</p>;
  const { user, friends, rooms, isOnline, lastSeen } = value;
  return (
    <section class="panel past" aria-label="The person then" aria-busy={answer.state === 'loading'}>
      <h2>{user.username ?? 'erased'}</h2>
      <p role="status">{presence(isOnline, lastSeen)}</p>
      <h3>Friends: {friends.length}</h3>
      <ul class="row">
        {friends.map(({ userId, username }) => (
          <li key={userId}>
            <a href={hrefOf('past', { user: userId, at })}>{username ?? 'erased'}</a>
          </li>
        ))}
      </ul>
      <h3>Rooms: {rooms.length}</h3>
      <ul class="rooms">
        {rooms.map(({ roomId, memberIds }) => (
          <li key={roomId}>
            <a class="mono" href={hrefOf('past', { room: roomId, at })}>
              {shortId(roomId)}
            </a>{' '}
            with{' '}
            {memberIds
              .filter((member) => member !== id)
              .map((member) => (
                <Person key={member} id={member} />
              ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

function presence(isOnline: boolean, lastSeen: string | null): string {
  if (isOnline) return 'Online.';
  return lastSeen === null ? 'Never seen yet.' : `Offline, last seen ${exactly(lastSeen)}.`;
}
