import { useEffect, useRef } from 'preact/hooks';

/** As long as on phones themselves. */
const LONG_PRESS_MS = 500;
/** A finger that moves further than this scrolls. */
const MOVED_PX = 10;

interface Press {
  readonly timer: ReturnType<typeof setTimeout>;
  readonly x: number;
  readonly y: number;
}

/**
 * Calls `onPress` with the element that a finger rests on. Android tells it by a context menu and cancels the touch; an
 * iPhone tells nothing.
 */
export function useLongPress(onPress: (element: HTMLElement) => void) {
  const press = useRef<Press>(undefined);
  const isTouch = useRef(false);
  const end = (): void => {
    clearTimeout(press.current?.timer);
    press.current = undefined;
  };
  useEffect(() => end, []);
  return {
    onPointerDown(event: PointerEvent & { readonly currentTarget: HTMLElement }): void {
      end();
      isTouch.current = event.pointerType === 'touch';
      if (!isTouch.current) return;
      const { currentTarget: element, clientX: x, clientY: y } = event;
      const timer = setTimeout(() => {
        end();
        onPress(element);
      }, LONG_PRESS_MS);
      press.current = { x, y, timer };
    },
    onPointerMove({ clientX, clientY }: PointerEvent): void {
      const { x = 0, y = 0 } = press.current ?? {};
      if (press.current && Math.hypot(clientX - x, clientY - y) > MOVED_PX) end();
    },
    onPointerUp: end,
    onPointerCancel: end,
    onContextMenu(event: MouseEvent & { readonly currentTarget: HTMLElement }): void {
      // The browser's own menu would cover this one. A mouse keeps it: it copies and opens links.
      if (!isTouch.current) return;
      event.preventDefault();
      const isPressed = press.current !== undefined;
      end();
      if (isPressed) onPress(event.currentTarget);
    },
  };
}
