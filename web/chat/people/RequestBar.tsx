import type { User } from '@parley/client';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import { askToBlock } from '../chatActions.js';
import { useChatPage } from '../chatContext.js';
import { useAction } from './useAction.js';

interface Props {
  readonly roomId: string;
  readonly other: User;
}

/** What can be done about a chat that somebody opened who is no contact. Stands in the place of the message field. */
export function RequestBar({ roomId, other }: Props) {
  const page = useChatPage();
  const { store, dialogs } = page;
  const { run, isBusy, error } = useAction();
  const name = displayName(other);
  return (
    <section class="request" aria-label={text('request.label')}>
      <p>{text('request.text', { name })}</p>
      <p class="error" role="alert">
        {error}
      </p>
      <div class="request-actions">
        <button
          class="button danger"
          type="button"
          onClick={() => dialogs.open({ name: 'report', about: { roomId, userId: other.userId }, who: name })}
        >
          {text('report.action')}
        </button>
        <button class="button danger" type="button" onClick={() => askToBlock(page, other.userId, name)}>
          {text('block.action')}
        </button>
        <button
          class="button primary"
          type="button"
          disabled={isBusy}
          onClick={() => void run(() => store.request('accept chat', { roomId }))}
        >
          {text('request.accept')}
        </button>
      </div>
    </section>
  );
}
