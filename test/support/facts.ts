import type { EarlierMessage, Facts } from '../../src/domain/defineCommand.js';
import type { SealedMessage } from '../../src/domain/defineEvent.js';
import { openedMessage } from '../../src/domain/messages/sealedMessages.js';

/** The time of every commit, unless a test says another. */
export const NOW = '2026-01-02T03:04:05.678Z';

const DAY_MS = 86_400_000;

/** What a decider is told: everybody exists, nobody is active, and no message has been sent; but for `known`. */
export const factsOf = (known: Partial<Facts> = {}): Facts => ({
  now: NOW,
  exists: () => true,
  isActive: () => false,
  message: () => undefined,
  groupsOf: () => 0,
  isText: ({ sealed }, text) => sealed === text,
  limits: { groupSize: 256, editWindowMs: DAY_MS, deleteWindowMs: DAY_MS },
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
