import type { MessageRef } from '../domain/define.js';
import type { StreamName, UserId } from '../domain/ids.js';
import type { StoredMessage } from '../domain/messages.js';
import { messageFacts, messagesModel } from './models/messages.js';
import { loadStates, type StoredState, statesModel } from './models/streamStates.js';
import { usersModel } from './models/users.js';
import type { AnyModel, RowReader } from './store/rowStore.js';

/**
 * Creates the reads of writers over any row store. `storedPosition` reads how far the store holds a model
 * now.
 */
export function readModels(
  rows: RowReader,
  storedPosition: (model: AnyModel, partition: number) => Promise<number>,
): ReadModels {
  return {
    states: (streams) => loadStates(rows, streams),
    messages: (asked) => messageFacts(rows, asked),
    async existing(users) {
      const found = await rows.get(usersModel, users);
      return new Set(
        users.filter((user) => {
          const row = found.get(user)?.value;
          return row && !row.erased;
        }),
      );
    },
    async foldedPosition(partition) {
      // Not from memory: another node may have folded the partition until a moment ago.
      const models = [statesModel, messagesModel];
      const positions = await Promise.all(models.map((model) => storedPosition(model, partition)));
      return Math.min(...positions);
    },
  };
}

/** The reads of a writer. If one rejects, the commands that need it fail as `overloaded`. */
export interface ReadModels {
  /** The states of those streams that have a row, by name. */
  states(streams: readonly StreamName[]): Promise<ReadonlyMap<string, StoredState>>;
  /** The messages that are in the history, by `messageTerm`. */
  messages(asked: readonly MessageRef[]): Promise<ReadonlyMap<string, StoredMessage>>;
  /** The users that are registered and not erased. */
  existing(users: readonly UserId[]): Promise<ReadonlySet<UserId>>;
  /** A position up to which both `states` and `messages` have stored everything. */
  foldedPosition(partition: number): Promise<number>;
}

/** The progress of the read models; a part of `Progress`. */
export interface FoldProgress {
  /** The tree size that a model has stored. A later read includes every offset below. */
  folded(model: 'states' | 'messages', partition: number): number;
  /** The lag of the slowest model, in milliseconds. */
  lagMs(): number;
  /** Calls the handler whenever a model has advanced; returns a function that removes it. */
  onAdvance(handler: () => void): () => void;
}
