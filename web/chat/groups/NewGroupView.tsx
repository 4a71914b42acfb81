import { newUuid, type RequestAnswer, type User } from '@parley/client';
import { useRef, useState } from 'preact/hooks';
import { ADDED_MEMBERS, GROUP_NAME_CODE_POINTS } from '../../../src/domain/limits.js';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { refusalText } from '../people/failureText.js';
import { isTooLong, TextField } from '../people/fields.js';
import { useAction } from '../people/useAction.js';
import { PeoplePicker } from './PeoplePicker.js';

type Created = RequestAnswer<'create group'>;
const NOBODY: ReadonlySet<string> = new Set();

/** Makes a group: its name, and who is in it. */
export function NewGroupView() {
  const { store, openRoom, dialogs } = useChatPage();
  const { run, isBusy, error } = useAction();
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<readonly User[]>([]);
  const [created, setCreated] = useState<Created>();
  /** The same group is created once, however often it is tried. */
  const tried = useRef({ body: '', roomId: '' });

  const goTo = ({ room: { roomId } }: Created): void => {
    dialogs.close();
    openRoom(roomId);
  };
  const create = async (): Promise<void> => {
    const data = { name: name.trim(), memberIds: chosen.map(({ userId }) => userId) };
    const body = JSON.stringify(data);
    if (tried.current.body !== body) tried.current = { body, roomId: newUuid() };
    const answer = await store.request('create group', { roomId: tried.current.roomId, ...data });
    if (answer.refused.length === 0) goTo(answer);
    else setCreated(answer);
  };
  if (created) return <Refusals refused={created.refused} known={chosen} onDone={() => goTo(created)} />;
  const isNamed = name.trim() !== '' && !isTooLong(name, GROUP_NAME_CODE_POINTS);
  const isReady = isNamed && chosen.length <= ADDED_MEMBERS;
  return (
    <form
      class="fields"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !isBusy) void run(create);
      }}
    >
      <TextField
        id="group-name"
        label={text('group.name')}
        max={GROUP_NAME_CODE_POINTS}
        isFirst
        value={name}
        onWrite={setName}
      />
      <PeoplePicker chosen={chosen} onChange={setChosen} without={NOBODY} />
      <div class="sheet-foot">
        <p class="error" role="alert">
          {chosen.length > ADDED_MEMBERS ? text('picker.tooMany', { max: ADDED_MEMBERS }) : error}
        </p>
        <button class="button primary" type="submit" disabled={isBusy || !isReady}>
          {text('group.create')}
        </button>
      </div>
    </form>
  );
}

interface RefusalsProps {
  readonly refused: RequestAnswer<'add members'>['refused'];
  /** Users by whose names they are shown. */
  readonly known: readonly User[];
  readonly onDone: () => void;
}

/** Who could not be added, and why. */
export function Refusals({ refused, known, onDone }: RefusalsProps) {
  const nameOf = (userId: string): string => {
    const user = known.find((one) => one.userId === userId);
    return user ? displayName(user) : '';
  };
  return (
    <>
      <p role="status">{text('group.refused', { count: refused.length })}</p>
      <ul class="reasons">
        {refused.map(({ userId, reason }) => (
          <li key={userId}>
            <bdi>{refusalText(nameOf(userId), reason)}</bdi>
          </li>
        ))}
      </ul>
      <div class="sheet-actions">
        <button class="button primary" type="button" data-focus onClick={onDone}>
          {text('dialog.done')}
        </button>
      </div>
    </>
  );
}
