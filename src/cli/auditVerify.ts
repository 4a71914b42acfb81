import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { verifyLog } from '../audit/verify.js';
import { verifyBundle } from '../audit/verifyBundle.js';
import { readConfig } from '../config.js';
import { progressBar } from './progressBar.js';
import { reportLines, wrongLine } from './reportLines.js';
import { say } from './say.js';
import { signedOf } from './signed.js';

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
      if (!report.wrong) return say('whole');
      process.stderr.write(`${wrongLine(report.wrong)}\n`);
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
