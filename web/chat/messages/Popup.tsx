import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useModal } from '../../ui/modal.js';
import { useBackCloses } from '../backStep.js';

/** The distance of a popup from the edges of the window. */
const MARGIN_PX = 8;

interface Props {
  readonly label: string;
  /** The element that it belongs to; a narrow window shows it at the bottom instead. */
  readonly anchor: Element | undefined;
  readonly kind?: 'menu' | 'dialog';
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A box above the page that closes by Escape or a press beside it. The focus goes back to where it was. */
export function Popup({ label, anchor, kind = 'dialog', onClose, children }: Props) {
  const { dialog, close, attributes } = useModal(onClose);
  /** Where the last press in the box began. */
  const pressed = useRef<EventTarget>(null);
  useLayoutEffect(() => {
    const { current } = dialog;
    if (!current) return;
    // The focus on a field would open the keyboard of a phone over it.
    if (matchMedia('(hover: none)').matches) current.focus();
    if (!anchor) return;
    place(current, anchor);
    // What it shows, such as the emoji, may come later.
    const sizes = new ResizeObserver(() => place(current, anchor));
    sizes.observe(current);
    return () => sizes.disconnect();
  }, []);
  useBackCloses(close);
  return (
    <dialog
      {...attributes}
      tabIndex={-1}
      class={anchor ? `popup ${kind === 'menu' ? 'of-message' : ''}` : 'dialog'}
      aria-label={label}
      onPointerDown={(event) => {
        pressed.current = event.target;
      }}
      onClickCapture={(event) => {
        // The finger whose long press opened the box may leave the screen over one of its buttons.
        if (event.detail > 0 && pressed.current === null) event.stopPropagation();
      }}
      onClick={(event) => {
        // The backdrop is part of the dialog; everything in it is in a child.
        const { currentTarget } = event;
        if (event.target === currentTarget && pressed.current === currentTarget) close();
      }}
      onKeyDown={(event) => {
        if (kind === 'menu') moveFocus(event);
        attributes.onKeyDown(event);
      }}
    >
      <div class="popup-content">{children}</div>
    </dialog>
  );
}

/** Puts the box below its anchor, or above it where there is more room, and always inside of the window. */
function place(box: HTMLElement, anchor: Element): void {
  const { width, height } = box.getBoundingClientRect();
  const { top, bottom, left, right } = anchor.getBoundingClientRect();
  const isRtl = getComputedStyle(box).direction === 'rtl';
  const below = bottom + height + MARGIN_PX <= innerHeight;
  const y = below ? bottom : top - height;
  const x = (left + right) / 2 > innerWidth / 2 !== isRtl ? right - width : left;
  box.style.setProperty('--x', `${within(x, innerWidth - width)}px`);
  box.style.setProperty('--y', `${within(y, innerHeight - height)}px`);
}

const within = (value: number, most: number): number =>
  Math.max(MARGIN_PX, Math.min(value, most - MARGIN_PX));

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity } as const;

/** Moves the focus between the buttons of a menu. */
function moveFocus(event: KeyboardEvent & { readonly currentTarget: HTMLElement }): void {
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const buttons = [...event.currentTarget.querySelectorAll('button')];
  const at = buttons.findIndex((button) => button.matches(':focus'));
  // The key is one of the table, as asked above.
  const to = at + STEPS[event.key as keyof typeof STEPS];
  buttons[Math.max(0, Math.min(to, buttons.length - 1))]?.focus();
}
