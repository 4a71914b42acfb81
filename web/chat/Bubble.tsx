import type { Entry, Message, Room, User } from '../../src/client/index.js';
import { Icon } from '../ui/icons.js';
import { nameOf } from './names.js';
import { idOf, timeOf } from './rows.js';
import { clockOf } from './times.js';

interface Props {
  readonly entry: Entry;
  readonly me: User;
  readonly other: User | undefined;
  /** What it answers; without its entry where that has not been loaded. */
  readonly quoted: { readonly id: string; readonly entry: Entry | undefined } | undefined;
  readonly room: Room;
  readonly onReply: ((message: Message) => void) | undefined;
  readonly onGoTo: (messageId: string) => void;
}

const textOf = (entry: Entry): string | null =>
  entry.state === 'stored' ? entry.message.message : entry.message;

/** One message, with what became of it. */
export function Bubble({ entry, me, other, quoted, room, onReply, onGoTo }: Props) {
  const isMine = entry.state !== 'stored' || entry.message.senderId === me.userId;
  const sender = (of: Entry): string => {
    const theirs = of.state === 'stored' && of.message.senderId !== me.userId;
    return theirs ? (other ? nameOf(other) : '') : 'You';
  };
  const text = textOf(entry);
  return (
    <article class={`bubble ${isMine ? 'mine' : 'theirs'} ${entry.state}`}>
      <h2 class="hidden-visually">{sender(entry)}</h2>
      {quoted && (
        <button class="quote" type="button" disabled={!quoted.entry} onClick={() => onGoTo(quoted.id)}>
          {quoted.entry ? (
            <>
              <b>{sender(quoted.entry)}</b> {textOf(quoted.entry) ?? 'Message erased'}
            </>
          ) : (
            'An earlier message'
          )}
        </button>
      )}
      {text === null ? <p class="text erased">Message erased</p> : <p class="text">{text}</p>}
      <footer>
        {entry.state === 'stored' && text !== null && onReply && (
          <button
            class="button plain icon answer"
            type="button"
            aria-label="Reply"
            onClick={() => onReply(entry.message)}
          >
            <Icon name="reply" />
          </button>
        )}
        <time dateTime={timeOf(entry)}>{clockOf(timeOf(entry))}</time>
        {isMine && <Mark entry={entry} />}
      </footer>
      {entry.state === 'refused' && (
        <div class="refusal">
          <p class="error">Not sent: {entry.error.message}</p>
          <button class="button" type="button" onClick={() => room.retry(idOf(entry))}>
            Try again
          </button>
          <button class="button" type="button" onClick={() => room.discard(idOf(entry))}>
            Discard
          </button>
        </div>
      )}
    </article>
  );
}

const marks = {
  sending: { icon: 'waiting', text: 'sending' },
  refused: { icon: 'refused', text: 'not sent' },
  stored: { icon: 'sent', text: 'stored' },
  read: { icon: 'read', text: 'read' },
} as const;

function Mark({ entry }: { readonly entry: Entry }) {
  const state = entry.state === 'stored' && entry.isRead ? 'read' : entry.state;
  const { icon, text } = marks[state];
  return (
    <span class={`mark ${state}`} title={text}>
      <Icon name={icon} />
      <span class="hidden-visually">{text}</span>
    </span>
  );
}
