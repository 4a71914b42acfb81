import type { StreamName, UserId } from '../domain/ids.js';
import type { MessageRef, StoredMessage } from '../domain/pushes.js';
import { messageFacts, messagesModel } from './models/messages.js';
import { loadStates, type StoredState, statesModel } from './models/streamStates.js';
import { usersModel } from './models/users.js';
import type { AnyModel, RowReader } from './store/rowStore.js';

/** What writers read, over any row store. `storedPosition`: up to which the store has all of a model, as it says now. */
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

/** What a writer reads. Whatever rejects here makes the commands that need it `overloaded`. */
export interface ReadModels {
  /** Of these streams those that have a row, by name. */
  states(streams: readonly StreamName[]): Promise<ReadonlyMap<string, StoredState>>;
  /** Of these messages those that are in the history, by `messageTerm`. */
  messages(asked: readonly MessageRef[]): Promise<ReadonlyMap<string, StoredMessage>>;
  /** Of these users those that are registered and not erased. */
  existing(users: readonly UserId[]): Promise<ReadonlySet<UserId>>;
  /** A position up to which both `states` and `messages` have stored everything. */
  foldedPosition(partition: number): Promise<number>;
}

/** How far the read models are; a part of `Progress`. */
export interface FoldProgress {
  /** The tree size that a model has stored: what is read from it later includes every offset below. */
  folded(model: 'states' | 'messages', partition: number): number;
  /** Milliseconds that the slowest model is behind. */
  lagMs(): number;
  /** Called whenever some model has advanced; returns the function that stops it. */
  onAdvance(handler: () => void): () => void;
}
