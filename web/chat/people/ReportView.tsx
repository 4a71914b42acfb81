import type { ReportInput } from '@parley/client';
import { useRef, useState } from 'preact/hooks';
import { NOTE_CODE_POINTS } from '../../../src/domain/limits.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { isTooLong, Options, TextField } from './fields.js';
import { useAction } from './useAction.js';

const CATEGORIES: readonly ReportInput['category'][] = [
  'spam',
  'harassment',
  'violence',
  'sexual',
  'illegal',
  'other',
];

interface Props {
  readonly about: Omit<ReportInput, 'category' | 'note'>;
  readonly quote: string | undefined;
}

/** Reports a person, messages or a group to the moderators; a person may be blocked with it. */
export function ReportView({ about, quote }: Props) {
  const { store, snapshot, dialogs } = useChatPage();
  const { userId } = about;
  const { run, isBusy, error } = useAction();
  const [category, setCategory] = useState<ReportInput['category']>();
  const [note, setNote] = useState('');
  const [doesBlock, setBlocks] = useState(false);
  const [isSent, setSent] = useState(false);
  const isReported = useRef(false);
  const isWrong = !category || isTooLong(note, NOTE_CODE_POINTS);
  const canBlock = userId !== undefined && !snapshot.blocked.some((user) => user.userId === userId);
  const send = async (): Promise<void> => {
    if (!category) return;
    // A second try, after the block failed, reports nothing again.
    if (!isReported.current)
      await store.report({ ...about, category, ...(note.trim() !== '' && { note: note.trim() }) });
    isReported.current = true;
    if (doesBlock && userId !== undefined) await store.request('block user', { userId, block: true });
  };
  if (isSent)
    return (
      <>
        <p role="status">{text('report.sent')}</p>
        <div class="sheet-actions">
          <button class="button primary" type="button" data-focus onClick={dialogs.back}>
            {text('dialog.done')}
          </button>
        </div>
      </>
    );
  return (
    <form
      class="fields"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isWrong && !isBusy) void run(send, () => setSent(true));
      }}
    >
      {quote !== undefined && (
        <blockquote class="reported" dir="auto">
          {quote}
        </blockquote>
      )}
      <Options
        legend={text('report.why')}
        name="category"
        options={CATEGORIES.map((one) => [one, text(`report.${one}`)])}
        chosen={category}
        onChoose={setCategory}
      />
      <TextField
        id="report-note"
        label={text('report.note')}
        max={NOTE_CODE_POINTS}
        rows={3}
        value={note}
        onWrite={setNote}
      />
      {canBlock && (
        <label class="option">
          <input
            type="checkbox"
            checked={doesBlock}
            onChange={(event) => setBlocks(event.currentTarget.checked)}
          />
          <span class="texts">{text('report.block')}</span>
        </label>
      )}
      <p class="hint">{text('report.hint')}</p>
      <p class="error" role="alert">
        {error}
      </p>
      <div class="sheet-actions">
        <button class="button" type="button" onClick={dialogs.back}>
          {text('dialog.cancel')}
        </button>
        <button class="button primary" type="submit" disabled={isBusy || isWrong}>
          {text('report.send')}
        </button>
      </div>
    </form>
  );
}
