import type { RequestAnswer, User } from '@parley/client';
import { useMemo, useState } from 'preact/hooks';
import { ADDED_MEMBERS } from '../../../src/domain/limits.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { useAction } from '../people/useAction.js';
import { useMembers } from './members.js';
import { Refusals } from './NewGroupView.js';
import { PeoplePicker } from './PeoplePicker.js';

/** Adds people to a group. */
export function AddMembersView({ roomId }: { readonly roomId: string }) {
  const { store, dialogs } = useChatPage();
  const { members } = useMembers(roomId);
  const { run, isBusy, error } = useAction();
  const [chosen, setChosen] = useState<readonly User[]>([]);
  const [refused, setRefused] = useState<RequestAnswer<'add members'>['refused']>([]);
  const without = useMemo(() => new Set(members?.map(({ user }) => user.userId)), [members]);
  const add = async (): Promise<void> => {
    const userIds = chosen.map(({ userId }) => userId);
    const answer = await store.request('add members', { roomId, userIds });
    if (answer.refused.length === 0) dialogs.back();
    else setRefused(answer.refused);
  };
  if (refused.length > 0) return <Refusals refused={refused} known={chosen} onDone={dialogs.back} />;
  const isReady = chosen.length > 0 && chosen.length <= ADDED_MEMBERS;
  return (
    <form
      class="fields"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !isBusy) void run(add);
      }}
    >
      <PeoplePicker chosen={chosen} onChange={setChosen} without={without} />
      <div class="sheet-foot">
        <p class="error" role="alert">
          {chosen.length > ADDED_MEMBERS ? text('picker.tooMany', { max: ADDED_MEMBERS }) : error}
        </p>
        <button class="button primary" type="submit" disabled={isBusy || !isReady}>
          {text('group.add', { count: chosen.length })}
        </button>
      </div>
    </form>
  );
}
