import { partitionOf } from '../events/ids.js';
import { streamOfCommand } from './aggregates.js';
import type { Answer, CommandKind, CommandOf } from './commands.js';
import type { Writer } from './writer.js';

/** Where commands go that are for a partition of this node; `epoch` is that of the lease they are addressed to. */
export interface OwnWriters {
  /** See `CommandRouter.execute`. Rejects with `NotOwner`, nothing done, when the partition is not owned by that lease. */
  submit<K extends CommandKind>(command: CommandOf<K>, commandId: string, epoch: number): Promise<Answer<K>>;
}

/** Routes each command to the writer of its stream's partition; `writers` has one a partition, in order. */
export function ownWriters(writers: readonly Pick<Writer, 'submit'>[]): OwnWriters {
  return {
    submit(command, commandId, epoch) {
      const stream = streamOfCommand(command);
      const partition = partitionOf(stream, writers.length);
      const writer = writers[partition];
      if (!writer) throw new RangeError(`partition ${partition} has no writer`);
      return writer.submit(command, commandId, stream, epoch);
    },
  };
}
