import { partitionOf } from '../events/ids.js';
import { streamOfCommand } from './aggregates.js';
import type { OwnWriters } from './commands.js';

import type { Writer } from './writer.js';

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
