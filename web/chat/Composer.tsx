import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Message, Room } from '../../src/client/index.js';
import { Icon } from '../ui/icons.js';

/** What was begun and not sent, by room, for as long as the window lives. */
const drafts = new Map<string, string>();

interface Props {
  readonly room: Room;
  readonly to: string;
  readonly replyTo: Message | undefined;
  readonly onReplied: () => void;
}

/** Where to write: Enter sends, Shift and Enter make a new line. It works without a connection too. */
export function Composer({ room, to, replyTo, onReplied }: Props) {
  const { roomId } = room.get();
  const [text, setText] = useState(drafts.get(roomId) ?? '');
  const area = useRef<HTMLTextAreaElement>(null);

  const write = (value: string): void => {
    drafts.set(roomId, value);
    setText(value);
    room.typing(value !== '');
  };
  const send = (): void => {
    if (text.trim() === '') return;
    room.send(text, replyTo?.messageId);
    drafts.delete(roomId);
    setText('');
    onReplied();
  };
  useLayoutEffect(() => {
    const { current } = area;
    if (!current) return;
    // As high as what is in it, up to what the style sheet allows.
    current.style.height = 'auto';
    current.style.height = `${current.scrollHeight + 2}px`;
  }, [text]);
  useEffect(() => {
    // A narrow window has just been given a keyboard's worth of room; there the first touch opens it.
    if (matchMedia('(min-width: 45rem)').matches || replyTo) area.current?.focus();
  }, [replyTo]);

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {replyTo && (
        <div class="replying">
          <p>
            <span class="hint">Reply to: </span>
            {replyTo.message}
          </p>
          <button class="button plain icon" type="button" aria-label="Do not reply to it" onClick={onReplied}>
            <Icon name="close" />
          </button>
        </div>
      )}
      <textarea
        ref={area}
        class="input"
        rows={1}
        maxLength={8192}
        aria-label={`Message to ${to}`}
        placeholder="Write a message"
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onBlur={() => room.typing(false)}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && replyTo) onReplied();
          // While an input method composes, Enter is its own.
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button class="button primary icon" type="submit" aria-label="Send" disabled={text.trim() === ''}>
        <Icon name="send" />
      </button>
    </form>
  );
}
