import type { ChatView, RequestInput } from '@parley/client';
import { useState } from 'preact/hooks';
import { ABOUT_CODE_POINTS, GROUP_NAME_CODE_POINTS } from '../../../src/domain/limits.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { allChats } from '../PeopleSearch.js';
import { isTooLong, Options, TextField } from '../people/fields.js';
import { useAction } from '../people/useAction.js';

type Settings = Required<Omit<RequestInput<'change group'>, 'roomId'>>;

const MEMBERS_OR_ADMINS = ['members', 'admins'] as const;
const HISTORY = ['joined', 'all'] as const;
type Value = (typeof MEMBERS_OR_ADMINS | typeof HISTORY)[number];

const named = <T extends Value>(values: readonly T[]): readonly (readonly [T, string])[] =>
  values.map((value) => [value, text(`group.${value}`)]);

const settingsOf = ({ name, about, history, whoAdds, whoSends }: ChatView): Settings => ({
  name: name ?? '',
  about: about ?? '',
  history: history ?? 'joined',
  whoAdds: whoAdds ?? 'members',
  whoSends: whoSends ?? 'members',
});

/** The settings of a group, for its admins. */
export function GroupSettingsView({ roomId }: { readonly roomId: string }) {
  const { snapshot } = useChatPage();
  const chat = allChats(snapshot).find((one) => one.roomId === roomId);
  return chat ? <SettingsForm chat={chat} /> : null;
}

function SettingsForm({ chat }: { readonly chat: ChatView }) {
  const { store, dialogs } = useChatPage();
  const { run, isBusy, error } = useAction();
  const [before] = useState(() => settingsOf(chat));
  const [settings, setSettings] = useState(before);
  const set = (changes: Partial<Settings>): void => setSettings({ ...settings, ...changes });
  // What another admin has changed meanwhile stays as it is.
  const changed: Partial<Settings> = Object.fromEntries(
    Object.entries({ ...settings, name: settings.name.trim(), about: settings.about.trim() }).filter(
      ([field, value]) => value !== new Map<string, string>(Object.entries(before)).get(field),
    ),
  );
  const isWrong =
    settings.name.trim() === '' ||
    isTooLong(settings.name, GROUP_NAME_CODE_POINTS) ||
    isTooLong(settings.about, ABOUT_CODE_POINTS);
  const save = (): Promise<unknown> => store.request('change group', { roomId: chat.roomId, ...changed });
  return (
    <form
      class="fields"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isWrong && !isBusy) void run(save, dialogs.back);
      }}
    >
      <TextField
        id="settings-name"
        label={text('group.name')}
        max={GROUP_NAME_CODE_POINTS}
        value={settings.name}
        onWrite={(name) => set({ name })}
      />
      <TextField
        id="settings-about"
        label={text('group.about')}
        max={ABOUT_CODE_POINTS}
        rows={3}
        value={settings.about}
        onWrite={(about) => set({ about })}
      />
      <Options
        legend={text('group.whoAdds')}
        name="whoAdds"
        options={named(MEMBERS_OR_ADMINS)}
        chosen={settings.whoAdds}
        onChoose={(whoAdds) => set({ whoAdds })}
      />
      <Options
        legend={text('group.whoSends')}
        name="whoSends"
        options={named(MEMBERS_OR_ADMINS)}
        chosen={settings.whoSends}
        onChoose={(whoSends) => set({ whoSends })}
      />
      <Options
        legend={text('group.history')}
        name="history"
        options={named(HISTORY)}
        chosen={settings.history}
        onChoose={(history) => set({ history })}
      />
      <p class="error" role="alert">
        {error}
      </p>
      <div class="sheet-actions">
        <button class="button" type="button" onClick={dialogs.back}>
          {text('dialog.cancel')}
        </button>
        <button class="button primary" type="submit" disabled={isBusy || isWrong}>
          {text('dialog.save')}
        </button>
      </div>
    </form>
  );
}
