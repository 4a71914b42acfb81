import { z } from 'zod';
import { command, request } from './defineCommand.js';
import { event, push, type SealedField, type Topic } from './defineEvent.js';
import { Cursor, label, Time, textOf } from './fields.js';
import type { UserId } from './ids.js';
import { LOCALE_CHARACTERS, PROFILE_CODE_POINTS, TOKEN_CHARACTERS, USERNAME_CHARACTERS } from './limits.js';
import { changed, existingUser, unchanged, userStream } from './streams.js';
import { User } from './userMessageChat.js';

/** Sign-up, and signing a connection in. A user's name is sealed with the user's own key. */

export const topic: Topic = 'people';

export const Username = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9_.-]{${USERNAME_CHARACTERS.min},${USERNAME_CHARACTERS.max}}$`),
    `must be ${USERNAME_CHARACTERS.min}–${USERNAME_CHARACTERS.max} ASCII letters, digits, _, . or -`,
  )
  .meta({ description: 'Unique without regard to case; never given twice, even after its user is erased.' });

/** Whether a text can be a user name. The vault folds case beyond ASCII: another text must not find one. */
export const isUsername = (text: string): boolean => Username.safeParse(text).success;

/** The context that a user's sealed name is bound to. */
export const usernameContext = (userId: UserId): string => `user:${userId}|UserRegistered|${userId}|username`;

export const UserRegistered = event('UserRegistered', userStream, {
  data: z.strictObject({ userId: z.string(), username: z.string(), backgroundColor: z.string() }),
  sealed: [
    {
      field: 'username',
      of: ({ data: { userId } }) => ({ owner: userId, context: usernameContext(userId) }),
    },
  ],
  evolve: (state) => ({ ...state, registered: true }),
  line: ({ data }, { who }) => `${who(data.userId)} signed up`,
});

/** `isNew`: this command registered the user. */
export const registerUser = command('register user', userStream, {
  fields: { userId: z.string(), username: z.string(), backgroundColor: z.string() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  wants: ({ userId }) => ({ ownKeys: [userId] }),
  text: 'username',
  decide({ userId, username, backgroundColor }, { registered }) {
    if (registered) return { events: [], answer: { isNew: false } };
    const data = { userId, username, backgroundColor };
    return { events: [UserRegistered.of(userId, data)], answer: { isNew: true } };
  },
});

/** The id that the host application, or its issuer, has for the user. */
export const IdentityLinked = event('IdentityLinked', userStream, {
  data: z.strictObject({ userId: z.string(), subject: z.string() }),
  sealed: [
    {
      field: 'subject',
      of: ({ version, data: { userId } }) => ({
        owner: userId,
        context: `user:${userId}|IdentityLinked|${version}|subject`,
      }),
    },
  ],
  evolve: (state) => ({ ...state, linked: true as const }),
  line: ({ data: { userId, subject } }, { who, quoted }) =>
    `${who(userId)} is ${quoted(subject)} to the host application`,
});

/** Recorded once. The vault holds the link itself. */
export const linkIdentity = command('link identity', userStream, {
  fields: { userId: z.string(), subject: z.string() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  wants: ({ userId }) => ({ ownKeys: [userId] }),
  text: 'subject',
  decide: existingUser(({ userId, subject }, { linked }) =>
    linked ? unchanged : changed(IdentityLinked.of(userId, { userId, subject })),
  ),
});

export const renew = request('renew', {
  data: z.strictObject({ token: z.string().max(TOKEN_CHARACTERS) }),
  answer: z.strictObject({ expiresAt: Time }),
  note: 'Continues the connection with another token of the same user, without a gap. A token of another user is `forbidden`.',
});

export const identity = request('identity', {
  data: z.strictObject({
    token: z.string().max(TOKEN_CHARACTERS).exactOptional(),
    cursor: Cursor.exactOptional(),
  }),
  answer: z.strictObject({ user: User, cursor: Cursor }),
  note: 'Signs the connection in; the first frame. `cursor` is that of the last push that this client handled. The missed pushes follow the answer, then a push `identity {caughtUp: true}`.',
});

export const identityPush = push('identity', {
  isStored: false,
  hasCursor: true,
  data: z.strictObject({ caughtUp: z.literal(true) }),
  note: 'All missed pushes have been sent; the pushes that follow are live.',
});

/** Profiles: what users say of themselves. Each text is sealed with the user's own key, as the name is. */

export const PROFILE_FIELDS = ['displayName', 'about', 'status', 'locale'] as const;
export type ProfileField = (typeof PROFILE_FIELDS)[number];

/** The fields that other users are shown. */
export const PUBLIC_PROFILE_FIELDS = ['displayName', 'about', 'status'] as const;

/** The context that a sealed field of a profile is bound to. */
export const profileContext = (userId: UserId, field: ProfileField): string =>
  `user:${userId}|ProfileChanged|${userId}|${field}`;

function canonicalLocale(tag: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(tag)[0];
  } catch {
    return undefined; // It is not a language tag.
  }
}

const Locale = z
  .string()
  .max(LOCALE_CHARACTERS, `must be at most ${LOCALE_CHARACTERS} characters`)
  .transform((tag, { issues }) => {
    const locale = canonicalLocale(tag);
    if (locale === undefined)
      issues.push({ code: 'custom', message: 'must be a language tag (BCP 47)', input: tag });
    return locale ?? tag;
  })
  .meta({ description: 'A language tag (BCP 47), given back in its canonical form.', examples: ['pt-BR'] });

/** The changes of a profile: null removes a field, an absent one stays as it is. */
export const ProfileChange = z.strictObject({
  displayName: label(PROFILE_CODE_POINTS.displayName).nullable().exactOptional(),
  about: textOf(PROFILE_CODE_POINTS.about).nullable().exactOptional(),
  status: textOf(PROFILE_CODE_POINTS.status).nullable().exactOptional(),
  locale: Locale.nullable().exactOptional(),
});
export type ProfileChange = z.output<typeof ProfileChange>;

export const changeUserPush = push('change user', {
  isStored: false,
  data: z.strictObject({ user: User }),
  note: 'The present profile of a user with whom I share a chat or a friendship. Also sent to my other devices.',
});

const stored = z.string().nullable().exactOptional();
/** `bot`: whether a program acts as the user. Only the host application says so. */
const storedFields = {
  ...{ displayName: stored, about: stored, status: stored, locale: stored },
  bot: z.boolean().exactOptional(),
};

const sealedProfileField = (
  field: ProfileField,
): SealedField<{ readonly data: { readonly userId: UserId } }> => ({
  field,
  of: ({ data: { userId } }) => ({ owner: userId, context: profileContext(userId, field) }),
});

/** Only the fields that changed; null: it was removed. */
export const ProfileChanged = event('ProfileChanged', userStream, {
  data: z.strictObject({ userId: z.string(), ...storedFields }),
  sealed: PROFILE_FIELDS.map(sealedProfileField),
  push: ({ data }) => [{ name: changeUserPush.name, profileOf: data.userId }],
  line: ({ data: { userId, ...fields } }, { who, quoted }) =>
    `${who(userId)} changed their profile: ${quoted(fields)}`,
});

export const changeProfile = command('change profile', userStream, {
  fields: { userId: z.string(), ...storedFields },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  wants: ({ userId }) => ({ ownKeys: [userId] }),
  text: 'about',
  decide: existingUser(({ userId, displayName, about, status, locale, bot }) => {
    const fields = {
      ...(displayName === undefined ? {} : { displayName }),
      ...(about === undefined ? {} : { about }),
      ...(status === undefined ? {} : { status }),
      ...(locale === undefined ? {} : { locale }),
      ...(bot === undefined ? {} : { bot }),
    };
    return Object.keys(fields).length === 0
      ? unchanged
      : changed(ProfileChanged.of(userId, { userId, ...fields }));
  }),
});
