import type { ComponentType } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { loadDialogTexts, text } from '../ui/texts.js';
import { type Dialogs, type DialogView, useChatActions } from './chatContext.js';

/** The open views of the dialog, the shown one last, and what opens and closes them. */
export function useDialogs(): { readonly dialogs: Dialogs; readonly views: readonly DialogView[] } {
  const [views, setViews] = useState<readonly DialogView[]>([]);
  const dialogs = useMemo<Dialogs>(
    () => ({
      open: (view) => setViews((before) => [...before, view]),
      back: () => setViews((before) => before.slice(0, -1)),
      close: () => setViews([]),
    }),
    [],
  );
  return { dialogs, views };
}

export interface DialogProps {
  readonly views: readonly DialogView[];
}

/** Apart from what follows it: a failure that is handled at the import itself is none for the page. */
const loadDialog = async () => {
  const [{ ChatDialog }] = await Promise.all([import('./people/ChatDialog.js'), loadDialogTexts()]);
  return ChatDialog;
};

type State = ComponentType<DialogProps> | 'loading' | 'failed';

/** The dialog, whose code is loaded when it is first opened. */
export function DialogLayer({ views }: DialogProps) {
  const { dialogs } = useChatActions();
  const [Dialog, setDialog] = useState<State>('loading');
  const isOpen = views.length > 0;
  useEffect(() => {
    if (!isOpen || typeof Dialog === 'function') return;
    loadDialog().then(
      (loaded) => setDialog(() => loaded),
      () => setDialog('failed'),
    );
  }, [isOpen, Dialog === 'failed' ? views : Dialog]);
  if (!isOpen) return null;
  if (typeof Dialog === 'function') return <Dialog views={views} />;
  return Dialog === 'failed' ? (
    <div class="toast" role="alert">
      {text('dialog.failed')}
      <button class="button" type="button" onClick={dialogs.close}>
        {text('dialog.close')}
      </button>
    </div>
  ) : null;
}
