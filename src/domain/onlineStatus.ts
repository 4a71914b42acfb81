import { z } from 'zod';
import { command, request } from './defineCommand.js';
import { type ContactsPush, event, push, type Topic } from './defineEvent.js';
import { Empty, Id, Time } from './fields.js';
import type { UserId } from './ids.js';
import { changed, existingUser, type UserState, unchanged, userStream } from './streams.js';

/** Who is online. Presence events go to the contacts of their subject and are not replayed. */

export const topic: Topic = 'people';

const RecipientInfo = z.strictObject({
  recipientId: z.string(),
  isOnline: z.boolean(),
  lastSeen: Time.nullable(),
});

export const onlineInfoPush = push('get online info', {
  isStored: false,
  data: RecipientInfo,
  note: 'A contact has gone online or offline.',
});

/** The pushes that tell the user's contacts of their presence. */
export const tellContacts = (
  about: UserId,
  isOnline: boolean,
  lastSeen: Time | null,
): readonly ContactsPush[] => [
  { name: onlineInfoPush.name, about, data: { recipientId: about, isOnline, lastSeen } },
];

/** What somebody is told of a user whose presence is hidden from them from now on. */
export const hiddenPush = (recipientId: UserId) => ({
  name: onlineInfoPush.name,
  data: { recipientId, isOnline: false, lastSeen: null },
});

/** `hidden`: the user had `visible` off, so that nobody is told. */
const Hidden = z.literal(true).exactOptional();

export const UserWentOnline = event('UserWentOnline', userStream, {
  data: z.strictObject({ userId: z.string(), hidden: Hidden }),
  isDeliveredIfNamed: true,
  evolve: (state) => ({ ...state, online: true }),
  push: ({ data }) => (data.hidden ? [] : tellContacts(data.userId, true, null)),
  line: ({ data }, { who }) => `${who(data.userId)} went online`,
});

export const UserWentOffline = event('UserWentOffline', userStream, {
  data: z.strictObject({ userId: z.string(), lastSeen: Time, hidden: Hidden }),
  isDeliveredIfNamed: true,
  evolve: (state) => ({ ...state, online: false }),
  push: ({ data }) => (data.hidden ? [] : tellContacts(data.userId, false, data.lastSeen)),
  line: ({ data }, { who }) => `${who(data.userId)} went offline, last seen ${data.lastSeen}`,
});

/** `hidden`, if nobody is told of a user in this state. */
export const hiddenIn = ({ preferences }: UserState): { readonly hidden?: true } =>
  preferences?.visible === false ? { hidden: true } : {};

export const goOnline = command('go online', userStream, {
  fields: { userId: z.string() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId }, state) =>
    state.online ? unchanged : changed(UserWentOnline.of(userId, { userId, ...hiddenIn(state) })),
  ),
});

/** `lastSeen`: when the last device was lost or went to the background. */
export const goOffline = command('go offline', userStream, {
  fields: { userId: z.string(), lastSeen: z.string() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  wants: ({ userId }) => ({ devices: [userId] }),
  decide: existingUser(({ userId, lastSeen }, state, { isActive }) =>
    // Who becomes active on another node says so there first, and goes online after this.
    state.online && !isActive(userId)
      ? changed(UserWentOffline.of(userId, { userId, lastSeen, ...hiddenIn(state) }))
      : unchanged,
  ),
});

export const getOnlineInfo = request('get online info', {
  data: z.strictObject({ recipientId: Id }),
  answer: RecipientInfo,
  note: 'For a contact or for me; others are `not_found`. `lastSeen` is null while online.',
});

export const notifyOnline = request('notify online', {
  data: Empty,
  answer: Empty,
  note: 'This device is active.',
});

export const activeApp = request('active app', {
  data: Empty,
  answer: Empty,
  note: 'This device is active.',
});

export const backgroundApp = request('background app', {
  data: Empty,
  answer: Empty,
  note: 'This device is no longer active.',
});
