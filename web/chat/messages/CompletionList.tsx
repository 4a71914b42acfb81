import type { RoomView, Store, User } from '@parley/client';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { text } from '../../ui/texts.js';
import {
  type Completion,
  completeEmoji,
  completeMention,
  type Unfinished,
  unfinishedAt,
} from './completion.js';
import { writeAt } from './EmojiButton.js';
import { membersOf } from './members.js';

const LIST_ID = 'completions';
const MOST_EMOJI = 8;

interface Source {
  readonly store: Store;
  readonly view: RoomView;
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly value: string;
  readonly write: (value: string) => void;
}

/** The completions of the word at the cursor, and what the field needs for them. */
export interface CompletionState {
  readonly options: readonly Completion[];
  readonly chosen: number;
  readonly choose: (option: Completion) => void;
  /** The members of the room who can be mentioned. */
  readonly members: readonly User[];
  /** True if the key was used. */
  readonly onKeyDown: (event: KeyboardEvent) => boolean;
  /** For screen readers, which are told what is chosen while the cursor stays in the field. */
  readonly attributes: Readonly<Record<string, string | undefined>>;
}

/** Completes `@` to members of a group, and `:` to emoji. */
export function useCompletion({ store, view, field, value, write }: Source): CompletionState {
  const [chosen, setChosen] = useState(0);
  const [closedAt, setClosedAt] = useState<string>();
  const cursor = field.current?.selectionStart ?? value.length;
  const isGroup = view.chat?.roomType === 'GROUP';
  const before = value.slice(0, Math.min(cursor, value.length));
  const unfinished = closedAt === value ? undefined : unfinishedAt(before, isGroup);
  const members = useMembers(store, view, unfinished?.kind === 'mention');
  const emoji = useEmoji(unfinished);
  const options = !unfinished
    ? []
    : unfinished.kind === 'mention'
      ? completeMention(members, unfinished.word)
      : emoji;
  // Before the next key, which may choose one.
  useLayoutEffect(() => setChosen(0), [unfinished?.kind, unfinished?.word]);
  const choose = ({ insert }: Completion): void => {
    const { current } = field;
    if (!current || !unfinished) return;
    writeAt(current, { start: unfinished.start, end: before.length, insert }, write);
    current.focus();
  };
  const onKeyDown = (event: KeyboardEvent): boolean => {
    const option = options[chosen];
    if (!option) return false;
    if (event.key === 'Escape') setClosedAt(value);
    else if (event.key === 'ArrowDown') setChosen((chosen + 1) % options.length);
    else if (event.key === 'ArrowUp') setChosen((chosen + options.length - 1) % options.length);
    else if (event.key === 'Tab' || (event.key === 'Enter' && !event.shiftKey)) choose(option);
    else return false;
    event.preventDefault();
    return true;
  };
  const isOpen = options.length > 0;
  const attributes = {
    'aria-autocomplete': 'list',
    'aria-controls': isOpen ? LIST_ID : undefined,
    'aria-activedescendant': isOpen ? `${LIST_ID}-${chosen}` : undefined,
  };
  return { options, chosen, choose, members, onKeyDown, attributes };
}

/** The members of a group beside this user; those of a large one are asked for when they are first needed. */
function useMembers(store: Store, view: RoomView, isNeeded: boolean): readonly User[] {
  const [all, setAll] = useState<readonly User[]>();
  const { chat, participants } = view;
  const isLarge = (chat?.members ?? 0) > participants.length;
  useEffect(() => {
    // Without an answer the first members can be mentioned.
    if (isNeeded && isLarge && !all) membersOf(store, view).then(setAll, () => {});
  }, [isNeeded, isLarge]);
  const myId = store.get().me?.userId;
  return (isLarge ? (all ?? participants) : participants).filter(({ userId }) => userId !== myId);
}

/** Emoji for the unfinished word. Their list is loaded with the first one. */
function useEmoji(unfinished: Unfinished | undefined): readonly Completion[] {
  const [found, setFound] = useState<readonly Completion[]>([]);
  const word = unfinished?.kind === 'emoji' ? unfinished.word : undefined;
  useLayoutEffect(() => {
    setFound([]); // Before the next key, which may choose one of the word before.
    if (word === undefined) return;
    let isOver = false;
    const find = async (): Promise<void> => {
      const { findEmoji, loadEmoji } = await import('./emojiData.js');
      const all = await loadEmoji();
      if (!isOver) setFound(completeEmoji(findEmoji(all, word, MOST_EMOJI), word));
    };
    // Without the list the text stays as it is typed.
    find().catch(() => {});
    return () => {
      isOver = true;
    };
  }, [word]);
  return word === undefined ? [] : found;
}

/** The completions above the field. */
export function CompletionList({ completion }: { readonly completion: CompletionState }) {
  const { options, chosen, choose } = completion;
  if (options.length === 0) return null;
  return (
    <div class="completions" id={LIST_ID} role="listbox" aria-label={text('messages.completions')}>
      {options.map((option, i) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys
        // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field
        <div
          key={option.key}
          id={`${LIST_ID}-${i}`}
          role="option"
          aria-selected={i === chosen}
          // The field keeps the focus, and with it the keyboard of a phone.
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => choose(option)}
        >
          <bdi class="name">{option.shown}</bdi> <bdi class="hint">{option.hint}</bdi>
        </div>
      ))}
    </div>
  );
}
