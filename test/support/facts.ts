import type { EarlierMessage, Facts } from '../../src/domain/defineCommand.js';
import type { UserId } from '../../src/domain/ids.js';
import { DEFAULT_PREFERENCES } from '../../src/domain/userMessageChat.js';
import type { LoadedRelations } from '../../src/gateway/relations.js';

/** The time of every commit, unless a test says another. */
export const NOW = '2026-01-02T03:04:05.678Z';

/** What a decider is told: everybody exists and takes what comes, nobody is active, and no message has been sent; but for `known`. */
export const factsOf = (known: Partial<Facts> = {}): Facts => ({
  now: NOW,
  exists: () => true,
  isActive: () => false,
  message: () => undefined,
  preferencesOf: () => DEFAULT_PREFERENCES,
  invitation: () => 'taken',
  groupsOf: () => 0,
  isText: ({ sealed }, text) => sealed === text,
  limits: { groupSize: 256, contactRule: 'open' },
  ...known,
});

/** A message that has the id asked for already; `text`: as its sender wrote it. */
export const earlierMessage = (
  message: Omit<EarlierMessage, 'hasText'> & { readonly text: string },
): EarlierMessage => ({ ...message, hasText: (text) => text === message.text });

/** What is loaded of a user who connects, who is a contact of all these and they of them. */
export const contactsOf = (user: UserId, contacts: readonly UserId[]): LoadedRelations => ({
  ties: contacts.map((other) => [other, { contacts: [user, other], blocks: [] }] as const),
  preferences: DEFAULT_PREFERENCES,
});
