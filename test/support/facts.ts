import type { EarlierMessage, Facts } from '../../src/domain/defineCommand.js';
import type { SealedMessage } from '../../src/domain/defineEvent.js';
import type { UserId } from '../../src/domain/ids.js';
import { openedMessage } from '../../src/domain/messages/sealedMessages.js';
import { DEFAULT_PREFERENCES } from '../../src/domain/userMessageChat.js';
import type { LoadedRelations } from '../../src/gateway/relations.js';

/** The time of every commit, unless a test says another. */
export const NOW = '2026-01-02T03:04:05.678Z';

const DAY_MS = 86_400_000;

/** What a decider is told: everybody exists and takes what comes, nobody is active, and no message has been sent; but for `known`. */
export const factsOf = (known: Partial<Facts> = {}): Facts => ({
  now: NOW,
  exists: () => true,
  isActive: () => false,
  message: () => undefined,
  preferencesOf: () => DEFAULT_PREFERENCES,
  invitation: () => 'taken',
  groupsOf: () => 0,
  blocksOf: () => 0,
  isText: ({ sealed }, text) => sealed === text,
  limits: { groupSize: 256, editWindowMs: DAY_MS, deleteWindowMs: DAY_MS, contactRule: 'open' },
  ...known,
});

/** The bodies of a message's edits, in order, as far as a decider asks for them. */
interface Edits {
  readonly bodies?: readonly { readonly text: string; readonly mentions?: readonly string[] }[];
}

/** A message that has the id asked for already; its texts are as its sender wrote them, and not sealed. */
export const earlierMessage = (
  known: Partial<SealedMessage> & Edits & { readonly senderId: string; readonly seq: number },
): EarlierMessage => {
  const { bodies = [], ...given } = known;
  const message = { messageId: 'm', roomId: 'r', sentAt: NOW, text: '', ...given };
  const first = message.first ?? message;
  return {
    ...message,
    bodyOf: (rev) => (rev === 0 ? { ...first, text: first.text } : (bodies[rev - 1] ?? { text: null })),
    openedData: () => message.data ?? null,
    opened: () => openedMessage(message, (text) => text),
  };
};

/** What is loaded of a user who connects, who is a contact of all these and they of them. */
export const contactsOf = (user: UserId, contacts: readonly UserId[]): LoadedRelations => ({
  ties: contacts.map((other) => [other, { contacts: [user, other], blocks: [] }] as const),
  preferences: DEFAULT_PREFERENCES,
});
