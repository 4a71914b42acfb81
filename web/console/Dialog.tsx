import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { useModal } from '../ui/modal.js';
import { describeError } from './consoleApi.js';

interface Props {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly onClose: () => void;
}

/** A modal window. Escape closes it, and the focus goes back to where it was. */
export function Dialog({ title, children, onClose }: Props) {
  const { attributes } = useModal(onClose);
  const heading = useId();
  return (
    <dialog {...attributes} class="dialog" aria-labelledby={heading}>
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}

interface QuestionProps extends Props {
  /** What the button says that does it. */
  readonly action: string;
  readonly isDangerous?: boolean;
  readonly isDisabled?: boolean;
  /** The action shows what it has brought in the place of this dialog. */
  readonly staysOpen?: boolean;
  /** Rejects if it cannot be done: the dialog then says why, and stays. */
  readonly onConfirm: (fields: FormData) => Promise<void>;
}

/** A dialog with a form, which closes when the action is done. */
export function Question(props: QuestionProps) {
  const { title, children, onClose, action, isDangerous, isDisabled, staysOpen, onConfirm } = props;
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const confirm = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm(new FormData(event.currentTarget));
      if (!staysOpen) onClose();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => void confirm(event)}>
        {children}
        {error === undefined ? null : (
          <p class="error" role="alert">
            {describeError(error)}
          </p>
        )}
        <div class="row end">
          <button class="button" type="button" onClick={onClose}>
            Cancel
          </button>
          <button
            class={`button ${isDangerous ? 'danger' : 'primary'}`}
            type="submit"
            disabled={isBusy || isDisabled}
          >
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
