import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { LONG } from './support/lanes.js';

/** The date of today in UTC as a number, such as 20260131: another seed every day, the same one all day. */
const seedOfToday = (): string => new Date().toISOString().slice(0, 10).replaceAll('-', '');

const seed = process.env.SEED ?? seedOfToday();
const what = [
  `soak: the long form of every suite with SEED=${seed}`,
  `  simulation: ${LONG.worlds} worlds`,
  `  faults on three nodes: ${LONG.faultRounds} rounds, from the seed on`,
  `  kills of a server: ${LONG.kills} on each engine`,
  `  deliveries with receiver and server killed: ${LONG.deliveryRounds} rounds`,
  `  properties: ${LONG.examples} times the examples of \`npm test\``,
  '  one flipped byte: every byte of the file of a log',
  '  what people see: embedded, on one node with MongoDB, and on two nodes',
].join('\n');

console.log(what);
const args = ['--enable-source-maps', 'node_modules/mocha/bin/mocha.js', 'dist/test/**/*.test.js'];
const mocha = spawn(process.execPath, args, {
  env: { ...process.env, SOAK: 'true', SEED: seed },
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => mocha.kill(signal));
const [code] = await once(mocha, 'close');
console.log(
  `${what}\n${code === 0 ? 'nothing failed' : 'something failed'}; play it again: SEED=${seed} npm run soak`,
);
process.exitCode = code === 0 ? 0 : 1;
