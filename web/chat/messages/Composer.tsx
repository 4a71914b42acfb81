import type { Message, Room } from '@parley/client';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { countCodePoints, MESSAGE_CODE_POINTS } from '../../../src/domain/limits.js';
import { Icon } from '../../ui/icons.js';

/** Unsent text by room id, kept until the page is closed. */
const drafts = new Map<string, string>();

interface Props {
  readonly room: Room;
  readonly to: string;
  readonly replyTo: Message | undefined;
  readonly onReplyDone: () => void;
}

/** The message field. Enter sends, Shift+Enter starts a new line. Without a connection messages wait in the outbox. */
export function Composer({ room, to, replyTo, onReplyDone }: Props) {
  const { roomId } = room.get();
  const [text, setText] = useState(drafts.get(roomId) ?? '');
  const textarea = useRef<HTMLTextAreaElement>(null);

  const write = (value: string): void => {
    drafts.set(roomId, value);
    setText(value);
    room.typing(value !== '');
  };
  const excess = countCodePoints(text) - MESSAGE_CODE_POINTS;
  const canSend = text.trim() !== '' && excess <= 0;
  const send = (): void => {
    if (!canSend) return;
    room.send(text, replyTo && { replyTo: replyTo.messageId });
    drafts.delete(roomId);
    setText('');
    onReplyDone();
  };
  useLayoutEffect(() => {
    const { current } = textarea;
    if (!current) return;
    // Grows with the text, up to the style sheet's maximum.
    current.style.height = 'auto';
    current.style.height = `${current.scrollHeight + 2}px`;
  }, [text]);
  useEffect(() => {
    // On a phone the focus would open the keyboard over half of the messages: there it waits for a touch.
    if (matchMedia('(min-width: 45rem)').matches || replyTo) textarea.current?.focus();
  }, [replyTo]);

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {replyTo && <ReplyPreview message={replyTo} onCancel={onReplyDone} />}
      <textarea
        ref={textarea}
        class="input"
        dir="auto"
        rows={1}
        aria-invalid={excess > 0}
        aria-describedby={excess > 0 ? TOO_LONG_ID : undefined}
        aria-label={`Message to ${to}`}
        placeholder="Write a message"
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onBlur={() => room.typing(false)}
        onKeyDown={(event) => {
          if (isOfInputMethod(event)) return;
          if (event.key === 'Escape' && replyTo) onReplyDone();
          if (event.key !== 'Enter' || event.shiftKey) return;
          event.preventDefault();
          send();
        }}
      />
      <button class="button primary icon" type="submit" aria-label="Send" disabled={!canSend}>
        <Icon name="send" />
      </button>
      {excess > 0 && (
        <p class="error too-long" id={TOO_LONG_ID} role="alert">
          {tooLongText(excess)}
        </p>
      )}
    </form>
  );
}

const TOO_LONG_ID = 'message-too-long';
const numbers = new Intl.NumberFormat('en');
const tooLongText = (excess: number): string =>
  `${numbers.format(excess)} ${excess === 1 ? 'character' : 'characters'} too long. A message has at most ${numbers.format(MESSAGE_CODE_POINTS)}.`;

/** The key code of any key that an input method handles. */
const COMPOSING_KEY_CODE = 229;

/**
 * Whether an input method that composes text gets this key: Enter and Escape end a composition. Safari ends it before
 * it tells of the key, so that only the deprecated code shows it.
 */
const isOfInputMethod = ({ isComposing, keyCode }: KeyboardEvent): boolean =>
  isComposing || keyCode === COMPOSING_KEY_CODE;

interface ReplyPreviewProps {
  readonly message: Message;
  readonly onCancel: () => void;
}

function ReplyPreview({ message, onCancel }: ReplyPreviewProps) {
  return (
    <div class="replying">
      <p>
        <span class="hint">Replying to: </span>
        <bdi>{message.message}</bdi>
      </p>
      <button class="button plain icon" type="button" aria-label="Cancel reply" onClick={onCancel}>
        <Icon name="close" />
      </button>
    </div>
  );
}
