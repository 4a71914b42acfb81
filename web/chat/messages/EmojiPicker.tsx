import { useEffect, useRef, useState } from 'preact/hooks';
import { isOfInputMethod } from '../../ui/browser.js';
import { readJson, writeText } from '../../ui/browserStore.js';
import { text } from '../../ui/texts.js';
import { EMOJI_GROUPS, findEmoji, loadEmoji } from './emojiData.js';
import type { Emoji } from './emojiSearch.js';

const RECENT = 'parley.recentEmoji';
const MOST_RECENT = 24;
const MOST_FOUND = 120;

/** The emoji that were picked last in this browser, the newest first. */
function recentEmoji(): readonly string[] {
  const stored = readJson(RECENT);
  return Array.isArray(stored) ? stored.filter((one) => typeof one === 'string').slice(0, MOST_RECENT) : [];
}

const remember = (emoji: string): void =>
  writeText(
    RECENT,
    JSON.stringify([emoji, ...recentEmoji().filter((one) => one !== emoji)].slice(0, MOST_RECENT)),
  );

const ICON_OF_GROUP = {
  0: '😀',
  1: '👋',
  3: '🐻',
  4: '🍎',
  5: '✈️',
  6: '⚽',
  7: '💡',
  8: '❤️',
  9: '🏁',
} as const;

interface Props {
  readonly onPick: (emoji: string) => void;
}

/** Emoji by groups, those picked last, and a search by their names. */
export function EmojiPicker({ onPick }: Props) {
  const [all, setAll] = useState<readonly Emoji[]>();
  const [hasFailed, setFailed] = useState(false);
  const [query, setQuery] = useState('');
  const [group, setGroup] = useState<(typeof EMOJI_GROUPS)[number]>(0);
  const [recent] = useState(recentEmoji);
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // The box around it was opened before this code was loaded. On a phone the keyboard would cover the emoji.
    if (matchMedia('(hover: hover)').matches) search.current?.focus();
  }, []);
  useEffect(() => {
    loadEmoji().then(setAll, () => setFailed(true));
  }, []);
  const pick = (emoji: string): void => {
    remember(emoji);
    onPick(emoji);
  };
  const wanted = query.trim();
  const shown = !all
    ? []
    : wanted
      ? findEmoji(all, wanted, MOST_FOUND)
      : all.filter((one) => one.group === group);
  return (
    <div class="emoji-picker">
      <input
        ref={search}
        class="input"
        type="search"
        aria-label={text('messages.findEmoji')}
        placeholder={text('messages.findEmoji')}
        value={query}
        onInput={(event) => setQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          const [first] = shown;
          if (event.key !== 'Enter' || isOfInputMethod(event) || !first || !wanted) return;
          event.preventDefault();
          pick(first.emoji);
        }}
      />
      {hasFailed && <p class="error">{text('messages.emojiFailed')}</p>}
      {!wanted && (
        <fieldset class="emoji-groups" aria-label={text('messages.emojiGroups')}>
          {EMOJI_GROUPS.map((one) => (
            <button
              key={one}
              class="button plain icon emoji"
              type="button"
              aria-pressed={one === group}
              aria-label={text('messages.emojiGroup', { group: `g${one}` })}
              onClick={() => setGroup(one)}
            >
              {ICON_OF_GROUP[one]}
            </button>
          ))}
        </fieldset>
      )}
      {!wanted && group === 0 && recent.length > 0 && (
        <EmojiGrid
          label={text('messages.recentEmoji')}
          emoji={recent.map((emoji) => all?.find((one) => one.emoji === emoji) ?? { emoji, name: emoji })}
          onPick={pick}
        />
      )}
      <EmojiGrid
        label={wanted ? text('messages.foundEmoji') : text('messages.emojiGroup', { group: `g${group}` })}
        emoji={shown}
        onPick={pick}
      />
      {all && shown.length === 0 && <p class="hint">{text('messages.noEmoji')}</p>}
    </div>
  );
}

interface GridProps {
  readonly label: string;
  readonly emoji: readonly (Emoji | { readonly emoji: string; readonly name: string })[];
  readonly onPick: (emoji: string) => void;
}

/** Emoji in lines. One of them is in the order of Tab; arrow keys lead to the others. */
function EmojiGrid({ label, emoji, onPick }: GridProps) {
  const grid = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const buttons = [...(grid.current?.querySelectorAll('button') ?? [])];
    const at = buttons.findIndex((button) => button.matches(':focus'));
    const perLine = Math.max(
      1,
      buttons.filter(({ offsetTop }) => offsetTop === buttons[0]?.offsetTop).length,
    );
    const forward = getComputedStyle(event.currentTarget as Element).direction === 'rtl' ? -1 : 1;
    const step = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: perLine, ArrowUp: -perLine }[
      event.key
    ];
    if (step === undefined || at < 0) return;
    event.preventDefault();
    buttons[at + step]?.focus();
  };
  return (
    <>
      <h2 class="hint">{label}</h2>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the keys are those of its buttons */}
      <div ref={grid} class="emoji-grid" onKeyDown={move}>
        {emoji.map(({ emoji: one, name }, i) => (
          <button
            key={one}
            class="emoji"
            type="button"
            tabIndex={i === 0 ? 0 : -1}
            aria-label={name}
            title={name}
            onClick={() => onPick(one)}
          >
            {one}
          </button>
        ))}
      </div>
    </>
  );
}
