import { useEffect, useState } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import type { Target } from './goTo.js';
import { newestSeq, type Row } from './messageRows.js';
import type { Talk } from './talk.js';
import type { UnreadLine } from './unread.js';

interface Props {
  readonly talk: Talk;
  readonly unread: UnreadLine;
  /** How many messages this user has not read. */
  readonly unseen: number;
  /** The newest `seq` in view; `undefined` at the end of the list. */
  readonly seen: number | undefined;
  /** The first row in view. */
  readonly firstSeen: Row | undefined;
  readonly onGoTo: (target: Target) => void;
  readonly onNewest: () => void;
}

/** The buttons over the list: to the first new message, to the next mention of this user, to the newest message. */
export function JumpButtons({ talk, unread, unseen, seen, firstSeen, onGoTo, onNewest }: Props) {
  const { view } = talk;
  const mention = (view.chat?.mentions ?? []).find((seq) => seq > view.myMark);
  const { after, count } = unread;
  const isLineAbove = useIsAbove(after, firstSeen);
  const isFar = seen !== undefined;
  return (
    <>
      {isLineAbove && after !== undefined && (
        <button class="button to-unread" type="button" onClick={() => onGoTo({ seq: after + 1 })}>
          <Icon name="up" />
          {text('messages.toUnread', { count })}
        </button>
      )}
      <div class="jumps">
        {mention !== undefined && isFar && (
          <button
            class="button icon"
            type="button"
            aria-label={text('messages.toMention')}
            onClick={() => onGoTo({ seq: mention })}
          >
            @
          </button>
        )}
        {isFar && (
          <button
            class="button icon newest"
            type="button"
            aria-label={text('messages.toNewest')}
            onClick={onNewest}
          >
            <Icon name="down" />
            {unseen > 0 && <span class="unread">{unseen}</span>}
          </button>
        )}
      </div>
    </>
  );
}

/** Whether the line of new messages is above the view. Once it was in view, the user need not be led there again. */
function useIsAbove(after: number | undefined, firstSeen: Row | undefined): boolean {
  const [visited, setVisited] = useState<number>();
  const first = firstSeen ? newestSeq([firstSeen], 0) : 0;
  const isAbove = after !== undefined && first > after + 1;
  useEffect(() => {
    if (after !== undefined && first > 0 && !isAbove) setVisited(after);
  }, [after, first > 0 && !isAbove]);
  return isAbove && visited !== after;
}
