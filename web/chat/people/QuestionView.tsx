import { text } from '../../ui/texts.js';
import { type Question, useChatPage } from '../chatContext.js';
import { useAction } from './useAction.js';

/** Asks before something that cannot be undone with one click. */
export function QuestionView({ question }: { readonly question: Question }) {
  const { dialogs } = useChatPage();
  const { run, isBusy, error } = useAction();
  return (
    <>
      <p>{question.text}</p>
      <p class="error" role="alert">
        {error}
      </p>
      <div class="sheet-actions">
        <button class="button" type="button" data-focus onClick={dialogs.back}>
          {text('dialog.cancel')}
        </button>
        <button
          class="button danger"
          type="button"
          disabled={isBusy}
          onClick={() => void run(question.run, question.onDone ?? dialogs.back)}
        >
          {question.action}
        </button>
      </div>
    </>
  );
}
