import { z } from 'zod';
import { command } from './defineCommand.js';
import { event, type StreamDeclaration, type Topic } from './defineEvent.js';
import type { KeyId } from './ids.js';
import { changed, unchanged } from './streams.js';

/**
 * The histories of the log. Data that was put back from a backup lacks its newest events, and their places are used
 * again. So a restore begins a new history, which cursors name, and a new generation of text keys.
 */

export const topic: Topic = 'administration';

/** The state of the system's policy that decisions use. */
export interface PolicyState {
  /** The last history that was recorded; null for a log that was never restored. */
  readonly history: string | null;
  /** The ids of the host's subscriptions; absent where there was none. */
  readonly subscriptions?: readonly string[];
  /** The server keys that were ever added. Absent before the first one. */
  readonly keys?: Readonly<Record<KeyId, 'valid' | 'revoked'>>;
}

/** `policy:<log id>`: what the operators decided about the whole system. */
export const policyStream: StreamDeclaration<PolicyState> = {
  kind: 'policy',
  idField: 'policyId',
  initial: { history: null },
};

/** Everything before it is of an earlier history. `generation` is that of the text keys from here on. */
export const HistoryBegun = event('HistoryBegun', policyStream, {
  // The vault stores a generation in one byte.
  data: z.strictObject({
    policyId: z.string(),
    history: z.string(),
    generation: z.int().min(1).max(255),
  }),
  evolve: (state, { data }) => ({ ...state, history: data.history }),
  line: ({ data }) =>
    `the log was put back from a backup: history ${data.history} began, with generation ${data.generation} of text keys`,
});

/**
 * Records a history that a restore has begun. `policyId` is the id of the log. A repeat changes nothing, so that a
 * restore that was cut off can run again.
 */
export const recordHistory = command('record history', policyStream, {
  fields: { policyId: z.string(), history: z.string(), generation: z.int() },
  actor: 'system',
  streamId: ({ policyId }) => policyId,
  decide: ({ policyId, history, generation }, state) =>
    state.history === history
      ? unchanged
      : changed(HistoryBegun.of(policyId, { policyId, history, generation })),
});
