import type { EarlierMessage, Facts } from '../../src/domain/defineCommand.js';

/** The time of every commit, unless a test says another. */
export const NOW = '2026-01-02T03:04:05.678Z';

/** What a decider is told: everybody exists, nobody is active, and no message has been sent; but for `known`. */
export const factsOf = (known: Partial<Facts> = {}): Facts => ({
  now: NOW,
  exists: () => true,
  isActive: () => false,
  message: () => undefined,
  groupsOf: () => 0,
  isText: ({ sealed }, text) => sealed === text,
  limits: { groupSize: 256 },
  ...known,
});

/** A message that has the id asked for already; `text`: as its sender wrote it. */
export const earlierMessage = (
  message: Omit<EarlierMessage, 'hasText'> & { readonly text: string },
): EarlierMessage => ({ ...message, hasText: (text) => text === message.text });
