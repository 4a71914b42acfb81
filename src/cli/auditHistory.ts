import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EventFilter } from '../audit/events/eventFilter.js';
import { replay } from '../audit/events/replay.js';
import type { At } from '../audit/events/streamCommits.js';
import { readStoredRoomAt, readStoredUserAt } from '../audit/pointInTime/storedPointInTime.js';
import { readConfig } from '../base/config.js';
import { Id } from '../domain/shapes.js';
import { existing, numberOf, say, timeOf } from './arguments.js';
import { progressBar } from './auditVerify.js';

interface Options extends EventFilter {
  readonly as: 'json' | 'transcript';
  readonly out?: string;
}

export function addReplay(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('replay')
    .description('write the events in order, opened where their keys still exist')
    .option('--stream <name>', 'only of this stream, such as room:<roomId> or user:<userId>', lowerCase)
    .option('--type <type>', 'only of this type, such as MessageSent')
    .option('--actor <userId>', 'only what this user did; or system', lowerCase)
    .option('--since <time>', 'from this time on, such as 2026-01-31T12:00:00Z', timeOf)
    .option('--until <time>', 'before this time', timeOf)
    .option('--partition <number>', 'only of this partition', numberOf)
    .addOption(
      new Option('--as <form>', 'JSON lines, or for people to read')
        .choices(['json', 'transcript'])
        .default('json'),
    )
    .option('--out <file>', 'write into this file, not to standard output')
    .action(async ({ as, out, ...filter }: Options) => {
      const bar = progressBar();
      const sink = out === undefined ? process.stdout : createWriteStream(out);
      const write = (text: Uint8Array): Promise<void> =>
        new Promise((resolve, reject) => sink.write(text, (error) => (error ? reject(error) : resolve())));
      const { engine, masterKey } = await existing(readConfig(env));
      await replay({ engine, masterKey, filter, as }, write, bar.onProgress).finally(() => bar.stop());
      if (out !== undefined) await finished(sink.end());
    });
}

/** As ids are written. */
const lowerCase = (text: string): string => text.toLowerCase();

const A_TIME = 'a time such as 2026-01-31T12:00:00Z';

export function addAsOf(audit: Command, env: NodeJS.ProcessEnv): void {
  const asOf = audit
    .command('as-of')
    .description(
      'a room or a user as they were, as JSON, folded from the log: what the server answers an auditor',
    );
  asOf
    .command('room')
    .description('a room with all that had been said in it')
    .argument('<id>', 'its id', idOf)
    .argument('<time>', `${A_TIME}; or the number of its last message then`, momentOf)
    .action(async (id: string, at: At) =>
      tell(await readStoredRoomAt(await existing(readConfig(env)), id, at)),
    );
  asOf
    .command('user')
    .description('a user with their friends and rooms')
    .argument('<id>', 'their id', idOf)
    .argument('<time>', A_TIME, timeOf)
    .action(async (id: string, time: string) =>
      tell(await readStoredUserAt(await existing(readConfig(env)), id, time)),
    );
}

const tell = (then: object): void => say(JSON.stringify(then, null, 2));

const momentOf = (text: string): At =>
  /^[1-9]\d{0,14}$/.test(text) ? { seq: Number(text) } : { time: timeOf(text) };

/** As ids are written. */
function idOf(text: string): string {
  const read = Id.safeParse(text);
  if (!read.success) throw new InvalidArgumentError('It must be a UUID.');
  return read.data;
}
