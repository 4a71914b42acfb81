import type { RefObject } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { EndFollower } from './endFollower.js';
import type { Row } from './messageRows.js';
import { actionsOn, type Talk } from './talk.js';

interface Options {
  readonly talk: Talk;
  readonly scroller: RefObject<HTMLElement | null>;
  readonly rows: readonly Row[];
  readonly follower: EndFollower;
  /** Goes back to the field for a message. */
  readonly onLeave: () => void;
}

/** What the list draws, and how it scrolls. */
interface DrawnList {
  readonly visible: { readonly startIndex: number; readonly endIndex: number } | null;
  readonly scrollTo: (index: number) => void;
}

/** Whether the list has to scroll, or is being scrolled there. */
type Move = 'scroll there' | 'stay';

const STEPS: Readonly<Record<string, number>> = {
  ArrowUp: -1,
  ArrowDown: 1,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

const articleOf = (target: EventTarget | null): HTMLElement | null =>
  target instanceof Element ? target.closest('article') : null;

const indexOf = (article: Element): number => Number(article.closest('li')?.dataset.index);

const hasModifier = ({ altKey, ctrlKey, metaKey, shiftKey }: KeyboardEvent): boolean =>
  altKey || ctrlKey || metaKey || shiftKey;

const isWholeIn = (inner: Element, outer: Element): boolean => {
  const [{ top, bottom }, view] = [inner.getBoundingClientRect(), outer.getBoundingClientRect()];
  return top >= view.top && bottom <= view.bottom;
};

/**
 * The keyboard's way through the list. The whole list is one stop of the Tab key, which leads to the message that had
 * the focus last, or to the last one in view. Up and Down then lead to other messages, Left and Right to the links and
 * buttons in one of them.
 */
export function useMessageFocus({ talk, scroller, rows, follower, onLeave }: Options) {
  const [key, setKey] = useState<string>();
  const [isInside, setInside] = useState(false);
  const found = useMemo(() => rows.findIndex((row) => row.key === key), [rows, key]);
  /** The last known place: the row of a message that is discarded goes. */
  const place = useRef(-1);
  if (found >= 0) place.current = found;
  /** That the row of `key` is to get the focus when it is drawn, and how. */
  const wanted = useRef<Move>(undefined);
  const drawn = useRef<DrawnList>({ visible: null, scrollTo: () => {} });
  const articleAt = (index: number): HTMLElement | null =>
    scroller.current?.querySelector<HTMLElement>(`li[data-index="${index}"] article`) ?? null;
  const moveTo = (index: number, move: Move = 'scroll there'): void => {
    const row = rows[Math.max(0, Math.min(index, rows.length - 1))];
    if (!row) return;
    wanted.current = move;
    setKey(row.key);
    // The same row is not drawn again.
    if (row.key === key) focusWanted();
  };
  const focusWanted = (): void => {
    const move = wanted.current;
    const article = move && articleAt(place.current);
    if (!article || !scroller.current) return;
    wanted.current = undefined;
    article.focus({ preventScroll: true });
    if (move === 'stay') return;
    if (talk.view.isAtEnd && place.current === rows.length - 1) follower.follow();
    if (isWholeIn(article, scroller.current)) return;
    follower.leave();
    drawn.current.scrollTo(place.current);
  };
  useLayoutEffect(focusWanted, [found]);

  // A button may go while it has the focus, such as the last reaction; and so may a message.
  const hadFocus = articleOf(document.activeElement) && scroller.current?.contains(document.activeElement);
  useLayoutEffect(() => {
    if (hadFocus && document.activeElement === document.body) moveTo(place.current);
  });

  const enter = (): void => {
    const { startIndex = 0, endIndex = rows.length - 1 } = drawn.current.visible ?? {};
    const isInView = found >= startIndex && found <= endIndex;
    articleAt(isInView ? found : endIndex)?.focus({ preventScroll: true });
  };
  const openMenu = (article: HTMLElement): void => {
    const entry = rows[indexOf(article)]?.entry;
    const message = entry?.state === 'stored' ? entry.message : undefined;
    if (message && actionsOn(message, talk.view, talk.viewer).length > 0) talk.act('menu', message, article);
  };
  return {
    /** Of the element that scrolls. */
    attributes: {
      tabIndex: isInside ? -1 : 0,
      onFocusIn({ target, currentTarget }: FocusEvent): void {
        const article = articleOf(target);
        setInside(target !== currentTarget);
        if (article) setKey(rows[indexOf(article)]?.key);
        // A press of the mouse beside the messages leads to none of them.
        else if (target === scroller.current && scroller.current?.matches(':focus-visible')) enter();
      },
      onFocusOut({ relatedTarget }: FocusEvent): void {
        if (!(relatedTarget instanceof Node && scroller.current?.contains(relatedTarget))) setInside(false);
      },
      onKeyDown: (event: KeyboardEvent): void => handleKey(event, { moveTo, openMenu, onLeave }),
      onContextMenu: (event: MouseEvent): void => handleMenuKey(event, openMenu),
    },
    /** The row that stays in the page, also out of view: it may have the focus. */
    kept: found < 0 ? undefined : found,
    /** The key of the message that is the stop of the Tab key. */
    stop: isInside ? key : undefined,
    /** Takes the focus along to where the view was led, if it is among the messages. */
    follow(index: number): void {
      if (isInside) moveTo(index, 'stay');
    },
    /** To be called at each drawing. */
    see(list: DrawnList): void {
      drawn.current = list;
    },
  };
}

interface KeyActions {
  readonly moveTo: (index: number) => void;
  readonly openMenu: (article: HTMLElement) => void;
  readonly onLeave: () => void;
}

function handleKey(event: KeyboardEvent, { moveTo, openMenu, onLeave }: KeyActions): void {
  const { key, target } = event;
  const article = articleOf(target);
  if (!article || hasModifier(event)) return;
  const step = STEPS[key];
  if (step !== undefined) moveTo(indexOf(article) + step);
  else if (key === 'ArrowLeft' || key === 'ArrowRight') moveInside(article, key);
  else if (key === 'Escape') onLeave();
  else if (target === article && key === 'Enter') openMenu(article);
  else {
    // The letter goes into the field, which has the focus when the browser writes it.
    if (target === article && key.length === 1 && key !== ' ') onLeave();
    return;
  }
  event.preventDefault();
}

/** Opens the menu at the menu key. A mouse keeps the browser's own menu; that of a finger is prevented by now. */
function handleMenuKey(event: MouseEvent, openMenu: KeyActions['openMenu']): void {
  const { target, button, ctrlKey, defaultPrevented } = event;
  const article = articleOf(target);
  if (!article || article !== target || button === 2 || ctrlKey || defaultPrevented) return;
  event.preventDefault();
  openMenu(article);
}

/** Moves the focus among a message and what can be pressed in it. */
function moveInside(article: HTMLElement, pressed: 'ArrowLeft' | 'ArrowRight'): void {
  const parts = [article, ...article.querySelectorAll<HTMLElement>('a[href], button:enabled')];
  const isForward = (pressed === 'ArrowRight') === (getComputedStyle(article).direction === 'ltr');
  const at = parts.findIndex((part) => part.matches(':focus'));
  parts[at + (isForward ? 1 : -1)]?.focus();
}
