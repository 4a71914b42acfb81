import type { MessageRef } from '../domain/define.js';
import type { State } from '../domain/events.js';
import type { StreamName, UserId } from '../domain/ids.js';
import type { StoredMessage } from '../domain/messages.js';
import { messageFacts, messagesModel } from './models/messages.js';
import { loadStates, statesModel } from './models/streamIndex.js';
import { usersModel } from './models/userModels.js';
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

/** What `states` keeps of a stream; `offset` is that of the last event folded into it. */
export interface StateRow {
  readonly offset: number;
  /** `version`: the stream's last. `null`: a tombstone, which no stream has. */
  readonly value: { readonly version: number; readonly state: State } | null;
}

/** What a writer reads. Whatever rejects here makes the commands that need it `overloaded`. */
export interface ReadModels {
  /** Of these streams those that have a row, by name. */
  states(streams: readonly StreamName[]): Promise<ReadonlyMap<string, StateRow>>;
  /** Of these messages those that are in the history, by `messageTerm`. */
  messages(asked: readonly MessageRef[]): Promise<ReadonlyMap<string, StoredMessage>>;
  /** Of these users those that are registered and not erased. */
  existing(users: readonly UserId[]): Promise<ReadonlySet<UserId>>;
  /** A position up to which both `states` and `messages` have stored everything. */
  foldedPosition(partition: number): Promise<number>;
}

/** How far the read models are; a part of `Progress`. */
export interface Folding {
  /** The tree size that a model has stored: what is read from it later includes every offset below. */
  folded(model: 'states' | 'messages', partition: number): number;
  /** Milliseconds that the slowest model is behind. */
  lagMs(): number;
  /** Called whenever some model has advanced; returns the function that stops it. */
  onAdvance(handler: () => void): () => void;
}
