import { type Command, Option } from 'commander';
import { engineOf } from '../app/openStores.js';
import {
  type At,
  type EventFilter,
  type FilterName,
  filterFields,
  filterNames,
  PointInTime,
} from '../audit/events/eventFilter.js';
import { type Form, forms } from '../audit/events/render.js';
import { replay } from '../audit/events/replay.js';
import { readStoredRoomAt, readStoredUserAt } from '../audit/pointInTime.js';
import { readConfig } from '../base/settings.js';
import { findLog, parseAs, parseId, printLine, startProgressBar, writeOutput } from './commandLine.js';

/** The names of the options' values. */
const FILTER_VALUES: Record<FilterName, string> = {
  stream: 'name',
  type: 'type',
  actor: 'userId',
  since: 'time',
  until: 'time',
  partition: 'number',
};

interface ReplayOptions extends EventFilter {
  readonly as: Form;
  readonly out?: string;
}

export function addReplay(audit: Command, env: NodeJS.ProcessEnv): void {
  const command = audit
    .command('replay')
    .description('print the events in order, decrypted where the key still exists');
  for (const name of filterNames) {
    const { description = '' } = filterFields[name];
    command.option(`--${name} <${FILTER_VALUES[name]}>`, description, parseAs(filterFields[name]));
  }
  command
    .addOption(
      new Option(
        '--as <form>',
        'JSON lines for programs, the same with texts left sealed (needs no master key), or a transcript for people',
      )
        .choices(forms)
        .default('json'),
    )
    .option('--out <file>', 'write to this file instead of standard output')
    .action(async ({ as, out, ...filter }: ReplayOptions) => {
      const config = readConfig(env);
      const source = as === 'sealed' ? { engine: engineOf(config) } : await findLog(config);
      const bar = startProgressBar();
      await writeOutput(out, (write) => replay({ ...source, filter, as }, write, bar.onProgress)).finally(
        () => bar.stop(),
      );
    });
}

const TIME_HELP = 'a time such as 2026-01-31T12:00:00Z; by default now';

export function addAsOf(audit: Command, env: NodeJS.ProcessEnv): void {
  const asOf = audit
    .command('as-of')
    .description(
      'print a room or a user at a point in time, as JSON; the server answers auditors with the same',
    );
  asOf
    .command('room')
    .description('a room, with all its messages until then')
    .argument('<id>', 'the id of the room', parseId)
    .argument('[time]', `${TIME_HELP}; or the number of the last message to include`, parseMoment)
    .action(async (id: string, at: At | undefined) =>
      printJson(await readStoredRoomAt(await findLog(readConfig(env)), id, at)),
    );
  asOf
    .command('user')
    .description('a user, with their friends and rooms')
    .argument('<id>', 'the id of the user', parseId)
    .argument('[time]', TIME_HELP, parseTime)
    .action(async (id: string, time: string | undefined) =>
      printJson(await readStoredUserAt(await findLog(readConfig(env)), id, time)),
    );
}

const printJson = (then: object): void => printLine(JSON.stringify(then, null, 2));

const parseTime = parseAs(PointInTime);
const parseMoment = (text: string): At =>
  /^[1-9]\d{0,14}$/.test(text) ? { seq: Number(text) } : { time: parseTime(text) };
