import type { RefObject } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';
import { lazily } from '../../ui/lazily.js';
import { text } from '../../ui/texts.js';
import { Popup } from './Popup.js';

const EmojiPicker = lazily(async () => (await import('./EmojiPicker.js')).EmojiPicker);

interface Props {
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly write: (value: string) => void;
}

/** Opens the emoji. What is picked is written at the cursor. */
export function EmojiButton({ field, write }: Props) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const insert = (emoji: string): void => {
    const { current } = field;
    if (!current) return;
    const { selectionStart, selectionEnd } = current;
    writeAt(current, { start: selectionStart, end: selectionEnd, insert: emoji }, write);
  };
  return (
    <>
      <button
        ref={button}
        class="button plain icon"
        type="button"
        aria-label={text('messages.emoji')}
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <Icon name="react" />
      </button>
      {isOpen && (
        <Popup
          label={text('messages.emoji')}
          anchor={button.current ?? undefined}
          onClose={() => {
            setOpen(false);
            field.current?.focus();
          }}
        >
          <EmojiPicker onPick={insert} />
        </Popup>
      )}
    </>
  );
}

interface Insertion {
  readonly start: number;
  readonly end: number;
  readonly insert: string;
}

/** Writes a text in place of a part of the field's, and puts the cursor behind it. */
export function writeAt(
  field: HTMLTextAreaElement,
  { start, end, insert }: Insertion,
  write: (value: string) => void,
): void {
  const { value } = field;
  // The cursor goes to the end when the value is set otherwise.
  field.setRangeText(insert, start, end, 'end');
  write(value.slice(0, start) + insert + value.slice(end));
}
