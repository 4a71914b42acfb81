import type { Message } from '@parley/client';
import { text } from '../../ui/texts.js';
import { attempt } from '../notices.js';
import { canReact, nameOf, useTalk } from './talk.js';

/** The reactions to a message. A press adds this user's, or takes it back. */
export function Reactions({ message }: { readonly message: Message }) {
  const talk = useTalk();
  const { room, view, viewer } = talk;
  const { messageId, reactions = [] } = message;
  return (
    <ul class="reactions" aria-label={text('messages.reactions')}>
      {reactions.map(({ emoji, userIds, count }) => {
        const isMine = userIds.includes(viewer.me.userId);
        const names = userIds.map((userId) => nameOf(talk, userId));
        const who = text('messages.reacted', {
          ...{ emoji, count, names: names.join(', '), others: count - names.length },
        });
        return (
          <li key={emoji}>
            <button
              class="reaction"
              type="button"
              tabIndex={-1}
              aria-pressed={isMine}
              aria-label={who}
              title={who}
              disabled={!canReact(message, view)}
              onClick={() => attempt(text('messages.react'), room.react(messageId, emoji, !isMine))}
            >
              {emoji} <span>{count}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
