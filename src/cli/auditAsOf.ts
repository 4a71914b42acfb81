import { type Command, InvalidArgumentError } from 'commander';
import { roomAsOf, userAsOf } from '../audit/asOfStored.js';
import type { At } from '../audit/pastEvents.js';
import { readConfig } from '../config.js';
import { Id } from '../events/schemas.js';
import { existing } from './existing.js';
import { say } from './say.js';
import { timeOf } from './time.js';

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
    .action(async (id: string, at: At) => tell(await roomAsOf(await existing(readConfig(env)), id, at)));
  asOf
    .command('user')
    .description('a user with their friends and rooms')
    .argument('<id>', 'their id', idOf)
    .argument('<time>', A_TIME, timeOf)
    .action(async (id: string, time: string) =>
      tell(await userAsOf(await existing(readConfig(env)), id, time)),
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
