import { z } from 'zod';
import { command } from '../defineCommand.js';
import { event, push, type SealedField } from '../defineEvent.js';
import { label, textOf } from '../fields.js';
import type { UserId } from '../ids.js';
import { LOCALE_CHARACTERS, PROFILE_CODE_POINTS } from '../limits.js';
import { changed, existingUser, unchanged, userStream } from '../streams.js';
import { User } from '../userMessageChat.js';

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
  note: 'The profile of somebody with whom I share a chat or a friendship, as it is now. To my other devices too.',
});

const stored = z.string().nullable().exactOptional();
const storedFields = { displayName: stored, about: stored, status: stored, locale: stored };

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
  decide: existingUser(({ userId, displayName, about, status, locale }) => {
    const fields = {
      ...(displayName === undefined ? {} : { displayName }),
      ...(about === undefined ? {} : { about }),
      ...(status === undefined ? {} : { status }),
      ...(locale === undefined ? {} : { locale }),
    };
    return Object.keys(fields).length === 0
      ? unchanged
      : changed(ProfileChanged.of(userId, { userId, ...fields }));
  }),
});
