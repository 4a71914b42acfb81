import type { User } from '@parley/client';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import { unblock } from '../chatActions.js';
import { useChatPage } from '../chatContext.js';
import { PersonRow } from './PersonRow.js';
import { useAction } from './useAction.js';

/** The people whom the user has blocked, to be unblocked. */
export function BlockedView() {
  const { blocked } = useChatPage().snapshot;
  const { run, isBusy, error } = useAction();
  return (
    <>
      <p class="hint">{text(blocked.length === 0 ? 'blocked.none' : 'blocked.hint')}</p>
      <p class="error" role="alert">
        {error}
      </p>
      <ul class="people">
        {blocked.map((user) => (
          <BlockedRow key={user.userId} user={user} isBusy={isBusy} onRun={run} />
        ))}
      </ul>
    </>
  );
}

interface BlockedRowProps {
  readonly user: User;
  readonly isBusy: boolean;
  readonly onRun: (action: () => Promise<unknown>) => Promise<void>;
}

function BlockedRow({ user, isBusy, onRun }: BlockedRowProps) {
  const { store, dialogs } = useChatPage();
  const name = displayName(user);
  return (
    <PersonRow
      user={user}
      label={text('friends.profile', { name })}
      onPress={() => dialogs.open({ name: 'profile', user })}
    >
      <button
        class="button"
        type="button"
        disabled={isBusy}
        aria-label={text('blocked.unblock', { name })}
        onClick={() => void onRun(() => unblock(store, user.userId))}
      >
        {text('block.undo')}
      </button>
    </PersonRow>
  );
}
