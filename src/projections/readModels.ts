import type { ReadModels } from '../commands/ports.js';
import { messagesModel } from './messages/model.js';
import { messageFacts } from './messages/queries.js';
import type { AnyModel, RowReader } from './rows.js';
import { loadStates, statesModel } from './states/model.js';
import { usersModel } from './users/model.js';

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
