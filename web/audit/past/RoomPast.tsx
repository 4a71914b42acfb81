import type { Message, User } from '../../../src/client/index.js';
import { sayWhy } from '../api.js';
import { hrefOf } from '../route.js';
import { counted, momentOf } from '../times.js';
import type { RoomThen } from '../types.js';
import { usePast } from './usePast.js';

interface Props {
  readonly id: string;
  readonly at: string;
}

/** Messages that are drawn; there may be any number. */
const MOST = 200;

/** A room as it was: its members, its messages, and how far each had read. */
export function RoomPast({ id, at }: Props) {
  const answer = usePast<RoomThen>(`/audit/rooms/${id}`, at);
  const { value } = answer;
  if (answer.state === 'failed') return <p role="alert">{sayWhy(answer.error)}</p>;
  if (!value) return <p role="status">Looking…</p>;
  const { members, messages, readUpTo } = value;
  const drawn = messages.slice(-MOST);
  const nameOf = (user: User | undefined): string => user?.username ?? 'erased';
  const last = messages.at(-1)?.seq ?? 0;
  return (
    <section class="panel past" aria-label="The room then" aria-busy={answer.state === 'loading'}>
      <p role="status">
        {counted(messages.length, 'message')}
        {last > 0 ? `, the last has seq ${last}` : ''}.
      </p>
      <ul class="row">
        {members.map((member) => (
          <li key={member.userId}>
            <a href={hrefOf('past', { user: member.userId, at })}>{nameOf(member)}</a>{' '}
            <span class="quiet">has read up to {readUpTo[member.userId] ?? 0}</span>
          </li>
        ))}
      </ul>
      {drawn.length < messages.length ? (
        <p class="quiet">{messages.length - drawn.length} earlier ones are not drawn.</p>
      ) : null}
      <ol class="messages">
        {drawn.map((message) => (
          <li key={message.messageId} data-new={message.seq === last}>
            <span class="seq mono">{message.seq}</span>
            <span class="from">{nameOf(members.find(({ userId }) => userId === message.senderId))}</span>
            <span class="text">{textOf(message)}</span>
            <time dateTime={message.sentAt}>{momentOf(message.sentAt)}</time>
          </li>
        ))}
      </ol>
    </section>
  );
}

const textOf = ({ message }: Message) => message ?? <em>erased</em>;
