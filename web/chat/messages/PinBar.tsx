import { useState } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { type Line, useLines } from './farMessages.js';
import type { Target } from './goTo.js';
import type { Talk } from './talk.js';

interface Props {
  readonly talk: Talk;
  readonly onGoTo: (target: Target) => void;
  readonly onList: (anchor: Element) => void;
}

/** The sender and the text of a message. */
export const MessageLine = ({ line: { sender, text: shown } }: { readonly line: Line }) => (
  <span class="message-line">
    {sender !== '' && (
      <span>
        <bdi>{sender}</bdi>:{' '}
      </span>
    )}
    <bdi class="shown">{shown}</bdi>
  </span>
);

/** The pinned messages, the newest first: a press leads to it, the next press to the one before it. */
export function PinBar({ talk, onGoTo, onList }: Props) {
  const pinned = talk.view.chat?.pinnedMessages ?? [];
  const [back, setBack] = useState(0);
  const messageId = pinned.at(-1 - (back % Math.max(1, pinned.length)));
  const lineOf = useLines(talk, messageId === undefined ? [] : [messageId]);
  if (messageId === undefined) return null;
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
          <MessageLine line={lineOf(messageId)} />
        </span>
      </button>
      <button class="button plain" type="button" onClick={(event) => onList(event.currentTarget)}>
        {text('messages.allPins', { count: pinned.length })}
      </button>
    </section>
  );
}
