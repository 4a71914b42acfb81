import { readFile } from 'node:fs/promises';
import { Presets, SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { verifierKeys } from '../audit/proof/heads.js';
import { exportBundle } from '../audit/verify/bundle.js';
import type { Mismatch, OnProgress, Report, WorkProgress } from '../audit/verify/report.js';
import { verifyLog } from '../audit/verify/verify.js';
import { verifyBundle } from '../audit/verify/verifyBundle.js';
import { type Config, readConfig } from '../base/config.js';
import type { Engine } from '../projections/store/engine.js';
import { openVault } from '../vault/openVault.js';
import { existing, numberOf, say } from './arguments.js';
import { withOperator } from './operate.js';

/** A log with what was signed of it. */
interface Signed {
  readonly engine: Engine;
  /** Notes, of each partition the last one; none if nothing was signed yet. */
  readonly heads: readonly string[];
  /** Verifier keys, a line each. */
  readonly keys: readonly string[];
}

/** The log of these settings, with what its vault holds. Throws if there is no log, and what the vault throws. */
export async function signedOf(config: Config): Promise<Signed> {
  const { engine, masterKey, partitions } = await existing(config);
  const vault = await openVault({ engine, masterKey });
  try {
    const heads = await vault.heads.list();
    // Asking for keys makes the first one, which is for the server to do.
    const keys = heads.length > 0 ? await verifierKeys(vault.signing, config.LOG_ORIGIN, partitions) : [];
    return { engine, heads: heads.map(({ note }) => note), keys };
  } finally {
    await vault.close();
  }
}

/** What was checked, a line a partition and a read model. */
function reportLines({ partitions, models }: Report): string[] {
  return [
    ...partitions.map(({ partition, events, until, root, commits }) => {
      const inCommits = commits === undefined ? '' : ` in ${commits} commits`;
      return `partition ${partition}: ${events} events${inCommits}, until ${until || '-'}, root ${root}`;
    }),
    ...models.map(({ name, rows }) => `${name}: ${rows} rows are as a fresh fold makes them`),
  ];
}

/** The one line that says what is wrong, and where. */
function mismatchLine({ what, partition, position, offset }: Mismatch): string {
  const places = Object.entries({ partition, position, offset }).flatMap(([name, at]) =>
    at === undefined ? [] : [`${name} ${at}`],
  );
  return `wrong: ${what}${places.length > 0 ? ` (${places.join(', ')})` : ''}`;
}

interface Options {
  readonly since: readonly string[];
  readonly bundle?: string;
  readonly key?: string;
  readonly state?: string;
}

const gather = (file: string, files: readonly string[]): string[] => [...files, file];

export function addVerify(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('verify')
    .description(
      'compute everything anew: every leaf, root, stream version and signature, and the read models by a fresh fold; exit code 1 and the first wrong place if there is one',
    )
    .option(
      '--since <file>',
      'a checkpoint that was kept elsewhere: the log must extend it; may be repeated',
      gather,
      [],
    )
    .option('--bundle <dir>', 'check this bundle, which needs no database and no settings')
    .option('--key <file>', 'believe the verifier keys in this file, kept elsewhere, and no others')
    .option('--state <dir>', 'note here what is done, so that a check that was broken off goes on')
    .action(async ({ since: files, bundle, key, state }: Options) => {
      // Ended by a signal alone, a process has no time to clear up.
      for (const [signal, number] of Object.entries(interrupts))
        process.once(signal, () => process.exit(128 + number));
      const since = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      const keys = key === undefined ? undefined : linesOf(await readFile(key, 'utf8'));
      const bar = progressBar();
      const { onProgress } = bar;
      const common = { since, ...(keys ? { keys } : {}), ...(onProgress ? { onProgress } : {}) };
      const report = await (bundle === undefined
        ? verifyHere(env, common, state)
        : verifyBundle({ dir: bundle, ...common })
      ).finally(() => bar.stop());
      for (const line of reportLines(report)) say(line);
      if (!report.mismatch) return say('whole');
      process.stderr.write(`${mismatchLine(report.mismatch)}\n`);
      process.exitCode = 1;
    });
}

async function verifyHere(
  env: NodeJS.ProcessEnv,
  common: Omit<Parameters<typeof verifyBundle>[0], 'dir'>,
  state: string | undefined,
): ReturnType<typeof verifyLog> {
  return verifyLog({ ...(await signedOf(readConfig(env))), ...common, ...(state ? { state } : {}) });
}

const interrupts = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

export function addExport(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('export')
    .description(
      'write a bundle of entries, tiles, checkpoints and keys, which `parley audit verify --bundle` checks with no database',
    )
    .argument('<dir>', 'where to; it must not exist, or be empty')
    .action(async (dir: string) => {
      const { engine, heads, keys } = await signedOf(readConfig(env));
      if (heads.length === 0)
        throw new Error('nothing was signed yet: a server signs a head when it is asked for a checkpoint');
      const bar = progressBar();
      const { onProgress } = bar;
      const to = { engine, dir, heads, keys, ...(onProgress ? { onProgress } : {}) };
      const { partitions, events } = await exportBundle(to).finally(() => bar.stop());
      say(`${dir}: ${events} events of ${partitions} partitions`);
    });
}

export function addAccept(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('accept')
    .description(
      'go on with a log that does not extend its last signed head, such as one from a back-up: its present head is signed in its place',
    )
    .argument('<partition>', 'which one; the log and /ready name it', numberOf)
    .action(async (partition: number) => {
      const { size } = await withOperator(readConfig(env), (operator) => operator.accept({ partition }));
      say(`partition ${partition} is accepted as it is, with ${size} events`);
    });
}

/** Draws how far a work is. */
export interface ProgressBar {
  readonly onProgress?: OnProgress;
  /** Clears it. */
  stop(): void;
}

/** On standard error, and on a terminal only: what is written to a file stays without it. */
export function progressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return { stop() {} };
  const format = ' {phase} [{bar}] {percentage}% | {speed} a second | {left} left';
  const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true }, Presets.legacy);
  let phase: string | undefined;
  return {
    onProgress(progress) {
      const { done, total } = progress;
      if (progress.phase !== phase) {
        if (phase !== undefined) bar.stop();
        phase = progress.phase;
        bar.start(total, done, shown(progress));
      } else bar.update(done, shown(progress));
    },
    stop: () => bar.stop(),
  };
}

function shown({ phase, perSecond, remainingMs }: WorkProgress): Record<string, string> {
  const left = remainingMs === undefined ? '?' : duration(Math.ceil(remainingMs / 1000));
  return { phase, speed: Math.round(perSecond).toLocaleString('en'), left };
}

/** Such as `1:02:03`, or `0:07`. */
function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = String(seconds % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
