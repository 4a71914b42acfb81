import { z } from 'zod';
import { completedCommand, type Decision, request } from '../defineCommand.js';
import { event, push } from '../defineEvent.js';
import { Empty, Revision } from '../fields.js';
import { tellContacts } from '../onlineStatus.js';
import { existingUser, userStream } from '../streams.js';
import { DEFAULT_PREFERENCES, Preferences } from '../userMessageChat.js';

/** What a user permits others: to write, to invite, to find them, and to be told of their presence and read marks. */

export const changePreferencesPush = push('change preferences', {
  isStored: true,
  data: z.strictObject({ preferences: Preferences }),
  note: 'I have changed my preferences on another device.',
});

/** All preferences as they are from here on. `shownOnline`: what the change of `visible` shows to contacts, if anything. */
export const PreferencesChanged = event('PreferencesChanged', userStream, {
  data: z.strictObject({
    userId: z.string(),
    ...Preferences.shape,
    shownOnline: z.boolean().exactOptional(),
  }),
  evolve: (state, { data }) => ({ ...state, preferences: preferencesIn(data) }),
  push: ({ data }) => [
    changePreferencesPush.of({ to: [data.userId], data: () => ({ preferences: preferencesIn(data) }) }),
    ...(data.shownOnline === undefined ? [] : tellContacts(data.userId, data.shownOnline, null)),
  ],
  line: ({ data }, { who, quoted }) =>
    `${who(data.userId)} changed their preferences to ${quoted(preferencesIn(data))}`,
});

/** The preferences that an event records. */
export const preferencesIn = (data: Preferences): Preferences => ({
  whoWrites: data.whoWrites,
  whoInvites: data.whoInvites,
  findable: data.findable,
  visible: data.visible,
  receipts: data.receipts,
});

const { whoWrites, whoInvites, findable, visible, receipts } = Preferences.shape;

export const changePreferences = completedCommand('change preferences', userStream, {
  data: {
    whoWrites: whoWrites.exactOptional(),
    whoInvites: whoInvites.exactOptional(),
    findable: findable.exactOptional(),
    visible: visible.exactOptional(),
    receipts: receipts.exactOptional(),
  },
  answer: z.strictObject({ preferences: Preferences, revision: Revision }),
  note: 'Changes those that are named.',
  streamId: ({ actor }) => actor,
  decide: (command, state, facts): Decision<{ readonly preferences: Preferences }> =>
    existingUser<{ readonly userId: string }, { readonly preferences: Preferences }>(({ userId }) => {
      const before = state.preferences ?? DEFAULT_PREFERENCES;
      const preferences = preferencesIn({ ...before, ...command });
      const answer = { preferences };
      if (names.every((name) => preferences[name] === before[name])) return { events: [], answer };
      // Contacts were told that a hidden user is offline.
      const isShown = state.online && preferences.visible !== before.visible;
      const shown = isShown ? { shownOnline: preferences.visible } : {};
      return { events: [PreferencesChanged.of(userId, { userId, ...preferences, ...shown })], answer };
    })({ userId: command.actor }, state, facts),
});

// The keys of an object of this shape.
const names = Object.keys(DEFAULT_PREFERENCES) as (keyof Preferences)[];

export const getPreferences = request('get preferences', {
  data: Empty,
  answer: z.strictObject({ preferences: Preferences }),
  note: 'All of them, those that I have never changed too.',
});
