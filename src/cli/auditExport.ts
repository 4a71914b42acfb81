import type { Command } from 'commander';
import { exportBundle } from '../audit/bundle.js';
import { readConfig } from '../config.js';
import { progressBar } from './progressBar.js';
import { say } from './say.js';
import { signedOf } from './signed.js';

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
