import type { Preferences } from '@parley/client';
import { useState } from 'preact/hooks';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { Options } from './fields.js';
import { useAction } from './useAction.js';

const WHO_WRITES: readonly Preferences['whoWrites'][] = ['everyone', 'contacts'];
const WHO_INVITES: readonly Preferences['whoInvites'][] = ['everyone', 'contacts', 'nobody'];
const named = <T extends Preferences['whoInvites']>(
  values: readonly T[],
): readonly (readonly [T, string])[] => values.map((value) => [value, text(`privacy.${value}`)]);
const SWITCHES = ['findable', 'visible', 'receipts'] as const;

/** Who may write to the user and invite them, and what others see of them. Each change is saved at once. */
export function PrivacyView() {
  const { store, snapshot } = useChatPage();
  const { run, error } = useAction();
  const [changes, setChanges] = useState<Partial<Preferences>>({});
  const [isSaved, setSaved] = useState(false);
  if (!snapshot.preferences) return <p class="hint">{text('list.loading')}</p>;
  const shown: Preferences = { ...snapshot.preferences, ...changes };
  const change = (wanted: Partial<Preferences>): void => {
    setChanges(wanted);
    setSaved(false);
    void run(
      () => store.request('change preferences', wanted),
      () => setSaved(true),
      // The store has them; after a failure what was before is shown again.
    ).then(() => setChanges({}));
  };
  return (
    <div class="fields">
      <Options
        legend={text('privacy.whoWrites')}
        name="whoWrites"
        options={named(WHO_WRITES)}
        chosen={shown.whoWrites}
        onChoose={(whoWrites) => change({ whoWrites })}
      />
      <Options
        legend={text('privacy.whoInvites')}
        name="whoInvites"
        options={named(WHO_INVITES)}
        chosen={shown.whoInvites}
        onChoose={(whoInvites) => change({ whoInvites })}
      />
      <fieldset>
        <legend>{text('privacy.seen')}</legend>
        {SWITCHES.map((name) => (
          <label key={name} class="option">
            <input
              type="checkbox"
              checked={shown[name]}
              onChange={(event) => change({ [name]: event.currentTarget.checked })}
            />
            <span class="texts">
              {text(`privacy.${name}`)}
              <span class="hint">{text(`privacy.${name}Hint`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <p class="error" role="alert">
        {error}
      </p>
      <p role="status" class="hint">
        {isSaved ? text('dialog.saved') : ''}
      </p>
    </div>
  );
}
