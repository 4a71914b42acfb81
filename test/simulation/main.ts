import { Command, InvalidArgumentError } from 'commander';
import { simulate } from './simulation.js';

/** Lines shown of a failing run among many; a single run shows all. */
const LAST_LINES = 40;

const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number');
  return Number(text);
};

const { seed, seeds } = new Command('simulate')
  .description('Plays worlds of several nodes in virtual time, and judges each.')
  .option('--seed <number>', 'the first seed', whole, 1)
  .option('--seeds <number>', 'how many', whole, 1)
  .parse()
  .opts<{ seed: number; seeds: number }>();

const began = performance.now();
let failed = 0;
let longestRecovery = 0;
for (let i = seed; i < seed + seeds; i++) {
  const { violations, trace, recoveryMs } = await simulate(i);
  longestRecovery = Math.max(longestRecovery, recoveryMs);
  if (seeds === 1) process.stdout.write(`${trace.join('\n')}\n`);
  if (violations.length === 0) continue;
  failed++;
  if (seeds > 1) process.stdout.write(`${trace.slice(-LAST_LINES).join('\n')}\n`);
  for (const { rule, what } of violations) process.stdout.write(`seed ${i} breaks "${rule}": ${what}\n`);
  process.stdout.write(`play it again: npm run simulate -- --seed ${i}\n`);
}
const each = (performance.now() - began) / seeds;
process.stdout.write(
  `${seeds} seeds from ${seed}, ${each.toFixed(1)} ms each: ${failed} break a promise; ` +
    `the longest recovery took ${(longestRecovery / 1000).toFixed(1)} virtual seconds\n`,
);
process.exitCode = failed > 0 ? 1 : 0;
