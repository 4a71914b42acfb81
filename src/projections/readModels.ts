import type { ReadModels } from '../commands/ports.js';
import { positionOfSize } from '../log/find.js';
import type { EventLog } from '../log/log.js';
import { messagesModel } from './messages/model.js';
import { messageFacts } from './messages/queries.js';
import type { Progress } from './queries.js';
import type { RowReader } from './rows.js';
import { loadStates, statesModel } from './states/model.js';
import { usersModel } from './users/model.js';

/** What writers read, over any row store. */
export function readModels(
  rows: RowReader,
  progress: Pick<Progress, 'folded'>,
  log: Pick<EventLog, 'read' | 'tail'>,
): ReadModels {
  return {
    states: (streams) => loadStates(rows, streams),
    messages: (asked) => messageFacts(rows, asked),
    async existing(users) {
      const found = await rows.get(usersModel, users);
      return new Set(users.filter((user) => found.get(user)?.value));
    },
    foldedPosition(partition) {
      const folded = [statesModel, messagesModel].map(({ name }) => progress.folded(name, partition));
      return positionOfSize(log, partition, Math.min(...folded));
    },
  };
}
