import { readdirSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
import { verifierKeys } from '../audit/proof/heads.js';
import { openAuditedLog } from '../audit/storedRows.js';
import { verifyBundle } from '../audit/verify/bundle.js';
import { exportBundle } from '../audit/verify/exportBundle.js';
import type { Mismatch, Report } from '../audit/verify/report.js';
import { verifyLog } from '../audit/verify/verify.js';
import { type Config, readConfig } from '../base/settings.js';
import { checkPartitionChain } from '../log/checkLog.js';
import type { Engine } from '../projections/store/engine.js';
import { openVault } from '../vault/openVault.js';
import {
  count,
  exitWhenInterrupted,
  findLog,
  parseAs,
  parseId,
  printLine,
  removeAtExit,
  startProgressBar,
  writeOutput,
} from './commandLine.js';

interface SignedLog {
  readonly engine: Engine;
  /** Opens the vault, whose keys are compared with the log. */
  readonly masterKey: Buffer;
  /** The last signed note of each partition; empty if nothing is signed yet. */
  readonly heads: readonly string[];
  /** Verifier keys, a line each. */
  readonly keys: readonly string[];
}

/** Finds the log of these settings, with heads and keys from its vault. Throws if there is no log or the vault fails. */
export async function findSignedLog(config: Config): Promise<SignedLog> {
  const { engine, masterKey, partitions } = await findLog(config);
  const vault = await openVault({ engine, masterKey });
  try {
    const heads = await vault.heads.list();
    // Only the server may make the first key, and asking for keys makes it.
    const keys = heads.length > 0 ? await verifierKeys(vault.signing, config.LOG_ORIGIN, partitions) : [];
    return { engine, masterKey, heads: heads.map(({ note }) => note), keys };
  } finally {
    await vault.close();
  }
}

function reportLines({ partitions, models }: Report): string[] {
  return [
    ...partitions.map(({ partition, events, until, root, commits }) => {
      const inCommits = commits === undefined ? '' : ` in ${count(commits, 'commit')}`;
      return `partition ${partition}: ${count(events, 'event')}${inCommits}, until ${until || '-'}, root ${root}`;
    }),
    ...models.map(modelLine),
  ];
}

/** Says of a read model that is behind the log how much of it was not compared. */
function modelLine({ name, rows, missing }: Report['models'][number]): string {
  const line = `${name}: ${count(rows, 'row')} ${rows === 1 ? 'matches' : 'match'} a fresh fold`;
  if (missing === 0) return line;
  return `${line}, without the last ${count(missing, 'event')}, not yet in this read model`;
}

const NOT_MADE = 'read models: not compared, they are being made; run this again once /ready answers 200';

function mismatchLine({ what, partition, position, offset }: Mismatch): string {
  const places = Object.entries({ partition, position, offset }).flatMap(([name, at]) =>
    at === undefined ? [] : [`${name} ${at}`],
  );
  return `wrong: ${what}${places.length > 0 ? ` (${places.join(', ')})` : ''}`;
}

interface VerifyOptions {
  readonly since: readonly string[];
  readonly bundle?: string;
  readonly key?: string;
  readonly state?: string;
}

const append = (file: string, files: readonly string[]): string[] => [...files, file];

export function addVerify(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('verify')
    .description(
      'check the log (every leaf, root, stream version and signature) and compare the read models, their indexes and the keys with a fresh fold; if anything is wrong, names the first place and exits with 1',
    )
    .option(
      '--since <file>',
      'a checkpoint that you kept elsewhere, which the log must extend; may be repeated',
      append,
      [],
    )
    .option('--bundle <dir>', 'check this bundle instead; needs no database and no settings')
    .option('--key <file>', 'trust only the verifier keys in this file, which you kept elsewhere')
    .option('--state <dir>', 'record progress in this directory, so that an interrupted check can continue')
    .action(async ({ since: files, bundle, key, state }: VerifyOptions) => {
      exitWhenInterrupted();
      process.exitCode = UNTIL_DONE;
      const since = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      const keys = key === undefined ? undefined : linesOf(await readFile(key, 'utf8'));
      const bar = startProgressBar();
      const { onProgress } = bar;
      const common = { since, ...(keys ? { keys } : {}), ...(onProgress ? { onProgress } : {}) };
      const report = await (bundle === undefined
        ? verifyHere(env, common, state)
        : verifyBundle({ dir: bundle, ...common })
      ).finally(() => bar.stop());
      for (const line of reportLines(report)) printLine(line);
      if (report.mismatch) {
        process.stderr.write(`${mismatchLine(report.mismatch)}\n`);
        return;
      }
      // A bundle has none.
      if (bundle === undefined && report.models.length === 0) printLine(NOT_MADE);
      printLine('verified: nothing is wrong');
      process.exitCode = 0;
    });
}

async function verifyHere(
  env: NodeJS.ProcessEnv,
  common: Omit<Parameters<typeof verifyBundle>[0], 'dir'>,
  state: string | undefined,
): ReturnType<typeof verifyLog> {
  return verifyLog({ ...(await findSignedLog(readConfig(env))), ...common, ...(state ? { state } : {}) });
}

/** The exit code of a check before it is done: its reader may go away early, which ends the process. */
const UNTIL_DONE = 1;

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

export function addCheckLog(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('check-log')
    .description(
      'check the hash chain and the Merkle tree of every partition from its first commit, without keys and read models; needs no master key',
    )
    .action(async () => {
      process.exitCode = UNTIL_DONE;
      const log = await openAuditedLog(engineOf(readConfig(env)));
      try {
        for (let partition = 0; partition < log.partitions; partition++) {
          const { position, size, recordedAt, hash } = await checkPartitionChain(log, partition);
          printLine(
            `partition ${partition}: ${position} commits, ${size} events until ${recordedAt || '-'}, last hash ${hash}`,
          );
        }
        printLine(`log ${log.id}: nothing is wrong`);
        process.exitCode = 0;
      } finally {
        await log.close();
      }
    });
}

export function addExport(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('export')
    .description(
      'write the log as a bundle of entries, tiles, checkpoints and keys, which `parley audit verify --bundle` checks without a database',
    )
    .argument('<dir>', 'a directory that is empty or does not exist')
    .action(async (dir: string) => {
      const { engine, heads, keys } = await findSignedLog(readConfig(env));
      if (heads.length === 0)
        throw new Error('no head is signed yet: run the server for 10 s, so that it signs the log');
      const keep = await removeUnlessDone(dir);
      const bar = startProgressBar();
      const { onProgress } = bar;
      const to = { engine, dir, heads, keys, ...(onProgress ? { onProgress } : {}) };
      const { partitions, events } = await exportBundle(to).finally(() => bar.stop());
      keep();
      printLine(`${dir}: ${count(events, 'event')} of ${count(partitions, 'partition')}`);
    });
}

/** An incomplete bundle would be in the way of the next export. What was in the directory before stays. */
async function removeUnlessDone(dir: string): Promise<() => void> {
  const before = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  // It is not empty, and is refused.
  if (before !== undefined && before.length > 0) return () => {};
  return removeAtExit(() => {
    const made = before === undefined ? [dir] : readdirSync(dir).map((name) => join(dir, name));
    for (const path of made) rmSync(path, { recursive: true, force: true });
  });
}

/** The names of the options' values. */
const FILTER_VALUES: Record<FilterName, string> = {
  stream: 'name',
  type: 'type',
  topic: 'topic',
  except: 'types',
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
    .argument('<user>', 'the name of the user at present, or their id')
    .argument('[time]', TIME_HELP, parseTime)
    .action(async (user: string, time: string | undefined) =>
      printJson(await readStoredUserAt(await findLog(readConfig(env)), user, time)),
    );
}

const printJson = (then: object): void => printLine(JSON.stringify(then, null, 2));

const parseTime = parseAs(PointInTime);
const parseMoment = (text: string): At =>
  /^[1-9]\d{0,14}$/.test(text) ? { seq: Number(text) } : { time: parseTime(text) };
