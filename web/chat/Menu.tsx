import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useBackCloses } from './backStep.js';

/** One line of a menu: something to do, or a menu that takes its place. */
export type MenuItem =
  | { readonly label: string; readonly isDanger?: boolean; readonly run: () => void }
  | { readonly label: string; readonly items: readonly MenuItem[] };

interface Place {
  readonly x: number;
  readonly y: number;
}

interface MenuProps {
  readonly label: string;
  readonly items: readonly MenuItem[];
  readonly at: Place;
  readonly onClose: () => void;
}

const MARGIN_PX = 8;

/** A menu at a place of the window. Arrow keys move in it; Escape, and a press beside it, close it. */
function Menu({ label, items, at, onClose }: MenuProps) {
  const menu = useRef<HTMLDivElement>(null);
  const [inner, setInner] = useState<Extract<MenuItem, { items: unknown }>>();
  const opener = useRef<HTMLElement>(undefined);
  useBackCloses(onClose);
  useLayoutEffect(() => {
    const before = document.activeElement;
    if (before instanceof HTMLElement) opener.current = before;
    const element = menu.current;
    element?.showPopover();
    // Not the browser's own: that also takes the release of the long press for a press beside the menu.
    const closeOutside = ({ target }: Event): void => {
      if (!(target instanceof Node && element?.contains(target))) onClose();
    };
    document.addEventListener('pointerdown', closeOutside, true);
    addEventListener('resize', onClose);
    return () => {
      document.removeEventListener('pointerdown', closeOutside, true);
      removeEventListener('resize', onClose);
      // Unless something else has taken the focus, it goes back.
      const { activeElement } = document;
      const isTaken = activeElement !== document.body && !element?.contains(activeElement);
      if (!isTaken && before instanceof HTMLElement) before.focus();
    };
  }, []);
  useLayoutEffect(() => {
    const { current } = menu;
    if (!current) return;
    const { width, height } = current.getBoundingClientRect();
    const within = (wanted: number, size: number, room: number): number =>
      Math.max(MARGIN_PX, Math.min(wanted, room - size - MARGIN_PX));
    current.style.left = `${within(at.x, width, innerWidth)}px`;
    current.style.top = `${within(at.y, height, innerHeight)}px`;
    current.querySelector('button')?.focus();
  }, [inner, at]);
  const choose = (item: MenuItem): void => {
    if ('items' in item) return setInner(item);
    onClose();
    // A dialog leads the focus back to where it was when the dialog opened: not to a line of this menu.
    opener.current?.focus();
    item.run();
  };
  return (
    <div
      ref={menu}
      class="menu"
      role="menu"
      tabIndex={-1}
      popover="manual"
      aria-label={inner ? titleOf(inner) : label}
      onKeyDown={(event) => {
        moveFocus(event, 'button');
        if (event.key === 'Tab' || event.key === 'Escape') onClose();
        // A dialog around the menu stays open.
        if (event.key === 'Escape') event.preventDefault();
        event.stopPropagation();
      }}
      onContextMenu={(event) => event.preventDefault()}
    >
      {inner && (
        <p class="menu-head" aria-hidden="true">
          {titleOf(inner)}
        </p>
      )}
      {(inner?.items ?? items).map((item) => (
        <button
          key={item.label}
          class={'isDanger' in item && item.isDanger ? 'danger' : ''}
          type="button"
          role="menuitem"
          aria-haspopup={'items' in item ? 'menu' : undefined}
          onPointerMove={({ currentTarget }) => currentTarget.focus({ preventScroll: true })}
          onClick={() => choose(item)}
        >
          {item.label}
        </button>
      ))}
    </div>
  );
}

/** The label of what opens a menu, as the title of this menu. */
const titleOf = ({ label }: MenuItem): string => label.replace(/[….]+$/u, '');

const LONG_PRESS_MS = 500;
/** A finger that has moved further than this scrolls. */
const STILL_PX = 10;

/**
 * A menu of this element: opened by the secondary mouse button, by the menu key, by a long press, or by `open`. Put
 * `menu` beside the element, and `handlers` on it.
 */
export function useMenu(label: string, items: () => readonly MenuItem[]) {
  const [at, setAt] = useState<Place>();
  const press = useRef<{ readonly x: number; readonly y: number; readonly timer: number }>(undefined);
  const endPress = (): void => clearTimeout(press.current?.timer);
  useEffect(() => endPress, []);
  const handlers = {
    onContextMenu(event: MouseEvent & { readonly currentTarget: HTMLElement }) {
      event.preventDefault();
      endPress();
      const { left, bottom } = event.currentTarget.getBoundingClientRect();
      // The menu key has no place.
      const isOfKey = event.clientX === 0 && event.clientY === 0;
      setAt(isOfKey ? { x: left + 2 * MARGIN_PX, y: bottom } : { x: event.clientX, y: event.clientY });
    },
    onPointerDown({ pointerType, clientX: x, clientY: y }: PointerEvent) {
      if (pointerType === 'mouse') return;
      endPress();
      press.current = { x, y, timer: window.setTimeout(() => setAt({ x, y }), LONG_PRESS_MS) };
    },
    onPointerMove({ clientX, clientY }: PointerEvent) {
      const { current } = press;
      if (current && Math.hypot(clientX - current.x, clientY - current.y) > STILL_PX) endPress();
    },
    onPointerUp: endPress,
    onPointerCancel: endPress,
    // The release of a long press is no click.
    onClickCapture(event: Event) {
      if (!at) return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  return {
    handlers,
    isOpen: at !== undefined,
    open: (place: Place): void => setAt(place),
    menu: at && <Menu label={label} items={items()} at={at} onClose={() => setAt(undefined)} />,
  };
}

interface MenuButtonProps {
  readonly label: string;
  readonly class?: string;
  /** -1: the keyboard reaches it otherwise than by Tab. */
  readonly tabIndex?: number;
  readonly items: () => readonly MenuItem[];
  readonly children: ComponentChildren;
}

/** A button that opens a menu below itself. */
export function MenuButton({ label, class: more = '', tabIndex = 0, items, children }: MenuButtonProps) {
  const { menu, isOpen, open } = useMenu(label, items);
  return (
    <>
      <button
        class={`button plain icon ${more}`}
        type="button"
        tabIndex={tabIndex}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={(event) => {
          const { left, bottom } = event.currentTarget.getBoundingClientRect();
          open({ x: left, y: bottom });
        }}
      >
        {children}
      </button>
      {menu}
    </>
  );
}

/** Arrow keys, Home and End move the focus among the elements that match. In a field only the down key does. */
export function moveFocus(
  event: KeyboardEvent & { readonly currentTarget: HTMLElement },
  selector: string,
): void {
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>(selector)];
  const { activeElement } = document;
  const isInField = activeElement instanceof HTMLInputElement;
  const index = all.findIndex((element) => element.matches(':focus'));
  const next = nextIndex(event.key, index, all.length, isInField);
  if (next === undefined || event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  all[next]?.focus();
}

function nextIndex(key: string, index: number, count: number, isInField: boolean): number | undefined {
  if (key === 'ArrowDown') return Math.min(index + 1, count - 1);
  if (isInField) return undefined;
  if (key === 'ArrowUp') return Math.max(index - 1, 0);
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : undefined;
}
