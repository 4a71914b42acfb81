import type { Entry, Message, Room, User } from '@parley/client';
import { displayName } from '../../ui/displayName.js';
import { errorText } from '../../ui/errorText.js';
import { formatClock } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { idOf, textOf, timeOf } from './messageRows.js';

const DELETED = 'Message deleted';

interface Props {
  readonly entry: Entry;
  readonly me: User;
  readonly other: User | undefined;
  /** The message that this one replies to; without an entry while that message is not loaded. */
  readonly quoted: { readonly id: string; readonly entry: Entry | undefined } | undefined;
  readonly room: Room;
  readonly onReply: ((message: Message) => void) | undefined;
  readonly onGoTo: (messageId: string) => void;
}

/** One message with its delivery state. */
export function MessageBubble({ entry, me, other, quoted, room, onReply, onGoTo }: Props) {
  const isMine = isFrom(me, entry);
  const senderOf = (of: Entry): string => {
    if (isFrom(me, of)) return 'You';
    return other ? displayName(other) : '';
  };
  const text = textOf(entry);
  return (
    <article class={`bubble ${isMine ? 'mine' : 'theirs'} ${entry.state}`}>
      <h2 class="hidden-visually">{senderOf(entry)}</h2>
      {quoted && (
        <button class="quote" type="button" disabled={!quoted.entry} onClick={() => onGoTo(quoted.id)}>
          {quoted.entry ? (
            <>
              <b>{senderOf(quoted.entry)}</b> <bdi>{textOf(quoted.entry) ?? DELETED}</bdi>
            </>
          ) : (
            'An earlier message'
          )}
        </button>
      )}
      {text === null ? (
        <p class="text erased">{DELETED}</p>
      ) : (
        <p class="text" dir="auto">
          {text}
        </p>
      )}
      <footer>
        {entry.state === 'stored' && text !== null && onReply && (
          <button
            class="button plain icon reply"
            type="button"
            aria-label="Reply"
            onClick={() => onReply(entry.message)}
          >
            <Icon name="reply" />
          </button>
        )}
        <time dateTime={timeOf(entry)}>{formatClock(timeOf(entry))}</time>
        {isMine && <DeliveryMark entry={entry} />}
      </footer>
      {entry.state === 'refused' && (
        <div class="refusal">
          <p class="error">Not sent: {errorText(entry.error)}</p>
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

/** Entries that are not stored yet are always the user's own. */
const isFrom = (me: User, entry: Entry): boolean =>
  entry.state !== 'stored' || entry.message.senderId === me.userId;

const marks = {
  sending: { icon: 'waiting', text: 'sending' },
  refused: { icon: 'refused', text: 'not sent' },
  stored: { icon: 'sent', text: 'sent' },
  read: { icon: 'read', text: 'read' },
} as const;

function DeliveryMark({ entry }: { readonly entry: Entry }) {
  const state = entry.state === 'stored' && entry.isRead ? 'read' : entry.state;
  const { icon, text } = marks[state];
  return (
    <span class={`mark ${state}`} title={text}>
      <Icon name={icon} />
      <span class="hidden-visually">{text}</span>
    </span>
  );
}
