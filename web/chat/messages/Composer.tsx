import type { Message, Store } from '@parley/client';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { countCodePoints, MESSAGE_CODE_POINTS } from '../../../src/domain/limits.js';
import { isOfInputMethod } from '../../ui/browser.js';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { attempt } from '../notices.js';
import { CompletionList, useCompletion } from './CompletionList.js';
import { draftOf, saveDraft } from './drafts.js';
import { EmojiButton } from './EmojiButton.js';
import { mentionsIn } from './messageText.js';
import { lineOfEntry, type Talk } from './talk.js';

/** What the text of the field will be. */
export type Writing =
  | { readonly kind: 'new' }
  | { readonly kind: 'reply' | 'edit'; readonly message: Message };

interface Props {
  readonly store: Store;
  readonly talk: Talk;
  readonly field: Field;
  /** Whom the message goes to. */
  readonly to: string;
  readonly writing: Writing;
  /** Ends a reply or an edit, or begins the edit of the last message. */
  readonly onWriting: (what: 'new' | 'edit last') => void;
}

/**
 * The message field. Enter sends, Shift+Enter starts a new line; under a finger Enter starts one too. Without a connection
 * messages wait in the outbox. It is no form: Enter in a field of the boxes that it opens would send the message.
 */
export function Composer({ store, talk, field, to, writing, onWriting }: Props) {
  const { room, view } = talk;
  const [value, setValue] = useValue(talk, writing);
  const isEdit = writing.kind === 'edit';
  const write = (next: string): void => {
    setValue(next);
    if (!isEdit) room.typing(next !== '');
  };
  const completion = useCompletion({ store, view, field, value, write });
  const excess = countCodePoints(value) - MESSAGE_CODE_POINTS;
  const canSend = value.trim() !== '' && excess <= 0;
  const send = (): void => {
    if (!canSend) return;
    say(talk, writing, value, mentionsIn(value, completion.members));
    if (!isEdit) setValue('');
    onWriting('new');
  };
  useAutoHeight(field, value);
  useFocus(field, writing);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (isOfInputMethod(event) || completion.onKeyDown(event)) return;
    if (event.key === 'Escape' && writing.kind !== 'new') onWriting('new');
    const isUp =
      event.key === 'ArrowUp' && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (!isUp && (event.key !== 'Enter' || event.shiftKey || isTouched())) return;
    if (isUp && (value !== '' || writing.kind !== 'new')) return;
    event.preventDefault();
    if (isUp) onWriting('edit last');
    else send();
  };
  return (
    <div class="composer">
      {writing.kind !== 'new' && <WritingNotice {...{ talk, writing }} onCancel={() => onWriting('new')} />}
      <EmojiButton field={field} write={write} />
      <div class="composer-field">
        <CompletionList completion={completion} />
        <textarea
          ref={field}
          class="input"
          dir="auto"
          rows={1}
          enterkeyhint={isTouched() ? 'enter' : 'send'}
          {...completion.attributes}
          aria-invalid={excess > 0}
          aria-describedby={excess > 0 ? TOO_LONG_ID : undefined}
          aria-label={text('messages.to', { name: to })}
          placeholder={text('messages.write')}
          value={value}
          onInput={(event) => write(event.currentTarget.value)}
          onBlur={() => room.typing(false)}
          onKeyDown={onKeyDown}
        />
      </div>
      <SendButton isEdit={isEdit} canSend={canSend} onSend={send} />
      {excess > 0 && (
        <p class="error too-long" id={TOO_LONG_ID} role="alert">
          {text('messages.tooLong', { excess, most: MESSAGE_CODE_POINTS })}
        </p>
      )}
    </div>
  );
}

const TOO_LONG_ID = 'message-too-long';

/** Sends the message, or the edit if it changes something. */
function say({ room }: Talk, writing: Writing, value: string, mentioned: string[]): void {
  const mentions = mentioned.length > 0 ? { mentions: mentioned } : {};
  if (writing.kind === 'edit') {
    const { messageId, message } = writing.message;
    if (value !== message) attempt(text('messages.edit'), room.edit(messageId, value, mentions.mentions));
    return;
  }
  const reply = writing.kind === 'reply' ? { replyTo: writing.message.messageId } : {};
  room.send(value, { ...reply, ...mentions });
}

/** A draft is stored when the user has not typed for this time, and when the page goes. */
const DRAFT_WAIT_MS = 400;

/** The text of the field: the room's draft, or the text of the message that is edited. */
function useValue({ view, viewer }: Talk, writing: Writing): readonly [string, (value: string) => void] {
  const { roomId } = view;
  const { userId } = viewer.me;
  const [draft, setDraft] = useState(() => draftOf(userId, roomId));
  const edited = writing.kind === 'edit' ? writing.message : undefined;
  const [edit, setEdit] = useState({ of: edited, value: edited?.message ?? '' });
  if (edit.of !== edited) setEdit({ of: edited, value: edited?.message ?? '' });
  useEffect(() => {
    const save = (): void => saveDraft(userId, roomId, draft);
    // What was sent must not come back.
    if (draft === '') return save();
    const timer = setTimeout(save, DRAFT_WAIT_MS);
    return () => clearTimeout(timer);
  }, [userId, roomId, draft]);
  // Written with each letter: the page may go before it is drawn again.
  const latest = useRef(draft);
  useEffect(() => {
    const save = (): void => saveDraft(userId, roomId, latest.current);
    addEventListener('pagehide', save);
    // Before a press elsewhere signs the user out, which asks for the drafts.
    addEventListener('focusout', save);
    return () => {
      removeEventListener('pagehide', save);
      removeEventListener('focusout', save);
      save();
    };
  }, [userId, roomId]);
  const change = (value: string): void => {
    latest.current = value;
    setDraft(value);
  };
  if (!edited) return [draft, change];
  return [
    edit.of === edited ? edit.value : (edited.message ?? ''),
    (value) => setEdit({ of: edited, value }),
  ];
}

type Field = RefObject<HTMLTextAreaElement | null>;

/** Lets the field grow with its text, up to the style sheet's maximum. */
function useAutoHeight({ current }: Field, value: string): void {
  useLayoutEffect(() => {
    if (!current) return;
    current.style.height = 'auto';
    current.style.height = `${current.scrollHeight + 2}px`;
  }, [current, value]);
}

/** Puts the cursor into the field when the room is opened, or a reply or an edit begins. */
function useFocus(field: Field, writing: Writing): void {
  const place = (isFocused: boolean): void => {
    const { current } = field;
    // On a phone the focus would open the keyboard over half of the messages: there it waits for a touch.
    if (!current || (writing.kind === 'new' && !matchMedia('(min-width: 45rem)').matches)) return;
    if ((document.activeElement === current) !== isFocused) return;
    current.focus();
    current.setSelectionRange(current.value.length, current.value.length);
  };
  // With the text: later it would undo what the user has selected meanwhile.
  useLayoutEffect(() => place(true), [writing]);
  // After the drawing: a menu that closes has given the focus back by then.
  useEffect(() => place(false), [writing]);
}

/** Whether the keyboard is most likely that of the screen, which has no Shift+Enter. */
const isTouched = (): boolean => matchMedia('(pointer: coarse)').matches;

interface NoticeProps {
  readonly talk: Talk;
  readonly writing: Exclude<Writing, { kind: 'new' }>;
  readonly onCancel: () => void;
}

/** Says what is replied to, or edited. */
function WritingNotice({ talk, writing: { kind, message }, onCancel }: NoticeProps) {
  const isReply = kind === 'reply';
  const entry = talk.find(message.messageId);
  return (
    <div class="replying">
      <Icon name={isReply ? 'reply' : 'edit'} />
      <p>
        <span class="hint">{isReply ? text('messages.replyingTo') : text('messages.editing')} </span>
        <bdi class="cut">{entry ? lineOfEntry(talk, entry) : message.message}</bdi>
      </p>
      <button
        class="button plain icon"
        type="button"
        aria-label={isReply ? text('messages.cancelReply') : text('messages.cancelEdit')}
        onClick={onCancel}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

interface SendProps {
  readonly isEdit: boolean;
  readonly canSend: boolean;
  readonly onSend: () => void;
}

function SendButton({ isEdit, canSend, onSend }: SendProps) {
  return (
    <button
      class="button primary icon send"
      type="button"
      onClick={onSend}
      // The field keeps the focus, and with it the keyboard of a phone.
      onMouseDown={(event) => event.preventDefault()}
      aria-label={isEdit ? text('messages.save') : text('messages.send')}
      disabled={!canSend}
    >
      <Icon name={isEdit ? 'sent' : 'send'} />
    </button>
  );
}
