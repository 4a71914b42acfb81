import { useState } from 'preact/hooks';
import { PROFILE_CODE_POINTS } from '../../../src/domain/limits.js';
import { displayName } from '../../ui/displayName.js';
import { Avatar } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { isTooLong, TextField } from './fields.js';
import { UserName } from './PersonRow.js';
import { useAction } from './useAction.js';

type Field = keyof typeof PROFILE_CODE_POINTS;
const FIELDS: readonly Field[] = ['displayName', 'status', 'about'];

/** The user's own profile, to be changed. */
export function MyProfileView() {
  const { me, store } = useChatPage();
  const { run, isBusy, error } = useAction();
  const [isSaved, setSaved] = useState(false);
  const [values, setValues] = useState<Readonly<Record<Field, string>>>({
    displayName: me.displayName ?? '',
    status: me.status ?? '',
    about: me.about ?? '',
  });
  const isWrong = FIELDS.some((field) => isTooLong(values[field], PROFILE_CODE_POINTS[field]));
  const save = (): void => {
    // An empty text removes it.
    const changes = Object.fromEntries(FIELDS.map((field) => [field, values[field].trim() || null]));
    void run(
      () => store.changeProfile(changes),
      () => setSaved(true),
    );
  };
  return (
    <form
      class="fields"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isWrong && !isBusy) save();
      }}
    >
      <div class="card">
        <Avatar user={me} />
        <p class="big">
          <bdi>{displayName(me)}</bdi>
        </p>
        <UserName name={me.username ?? ''} />
      </div>
      {FIELDS.map((field) => (
        <TextField
          key={field}
          id={`profile-${field}`}
          label={text(`profile.${field}`)}
          max={PROFILE_CODE_POINTS[field]}
          value={values[field]}
          {...(field === 'about' && { rows: 4 })}
          onWrite={(value) => {
            setSaved(false);
            setValues({ ...values, [field]: value });
          }}
        />
      ))}
      <p class="hint">{text('profile.whoSees')}</p>
      <p class="error" role="alert">
        {error}
      </p>
      <div class="sheet-actions">
        <p role="status" class="hint saved">
          {isSaved ? text('dialog.saved') : ''}
        </p>
        <button class="button primary" type="submit" disabled={isBusy || isWrong}>
          {text('dialog.save')}
        </button>
      </div>
    </form>
  );
}
