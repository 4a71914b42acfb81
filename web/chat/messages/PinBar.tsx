import { useState } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import type { Target } from './goTo.js';
import { textOf } from './messageRows.js';
import type { Talk } from './talk.js';

interface Props {
  readonly talk: Talk;
  readonly onGoTo: (target: Target) => void;
  readonly onList: (anchor: Element) => void;
}

/** The text of a message of the room; of one that is not loaded, a word for it. */
export function shownText({ find }: Talk, messageId: string): string {
  const entry = find(messageId);
  return entry ? (textOf(entry) ?? text('messages.deleted')) : text('messages.earlierMessage');
}

/** The pinned messages, the newest first: a press leads to it, the next press to the one before it. */
export function PinBar({ talk, onGoTo, onList }: Props) {
  const pinned = talk.view.chat?.pinnedMessages ?? [];
  const [back, setBack] = useState(0);
  if (pinned.length === 0) return null;
  const messageId = pinned.at(-1 - (back % pinned.length)) ?? '';
  return (
    <section class="pins" aria-label={text('messages.pins')}>
      <button
        class="pin"
        type="button"
        onClick={() => {
          onGoTo({ messageId });
          setBack(back + 1);
        }}
      >
        <Icon name="pin" />
        <span class="pin-text">
          <b>{text('messages.pinned')}</b>
          <bdi>{shownText(talk, messageId)}</bdi>
        </span>
      </button>
      <button class="button plain" type="button" onClick={(event) => onList(event.currentTarget)}>
        {text('messages.allPins', { count: pinned.length })}
      </button>
    </section>
  );
}
