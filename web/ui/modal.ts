import { useLayoutEffect, useRef } from 'preact/hooks';

/**
 * A `<dialog>` that is open, and keeps the rest of the page out of reach, as long as its component is there. Spread
 * `attributes` into it. The focus goes back to where it was.
 *
 * Escape calls `onEscape` at once, which is `close` if it is not given. The browser's own way closes the box at once and
 * tells it in a later task: the user may have opened the next box by then, which would be closed too.
 */
export function useModal(onClose: () => void, onEscape?: () => void) {
  const dialog = useRef<HTMLDialogElement>(null);
  /** Whoever has closed it knows. */
  const isClosed = useRef(false);
  // Its hooks come first: what is in the box may take the focus when it is open.
  useLayoutEffect(() => {
    const { current } = dialog;
    current?.showModal();
    return () => {
      isClosed.current = true;
      // A dialog that is only removed gives the focus back to nobody.
      current?.close();
    };
  }, []);
  /** Closes the box before `onClose`, which may lead the focus elsewhere than back. */
  const close = (): void => {
    isClosed.current = true;
    dialog.current?.close();
    onClose();
  };
  return {
    close,
    dialog,
    attributes: {
      ref: dialog,
      onClose(): void {
        if (!isClosed.current) onClose();
      },
      onKeyDown(event: KeyboardEvent): void {
        if (event.key !== 'Escape' || event.isComposing || event.defaultPrevented) return;
        event.preventDefault();
        (onEscape ?? close)();
      },
    },
  };
}
