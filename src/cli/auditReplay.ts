import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import type { EventFilter } from '../audit/eventFilter.js';
import { replay } from '../audit/replay.js';
import { readConfig } from '../config.js';
import { existing } from './existing.js';
import { numberOf } from './number.js';
import { progressBar } from './progressBar.js';
import { timeOf } from './time.js';

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
      const { onProgress } = bar;
      const to = { as, filter, write, ...(onProgress ? { onProgress } : {}) };
      const { engine, masterKey } = await existing(readConfig(env));
      await replay({ engine, masterKey, ...to }).finally(() => bar.stop());
      if (out !== undefined) await finished(sink.end());
    });
}

/** As ids are written. */
const lowerCase = (text: string): string => text.toLowerCase();
