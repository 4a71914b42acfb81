import { setTimeout as wait } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { describeMachine } from './machine.js';
import { auditMemory } from './measures/auditMemory.js';
import { auditQuery } from './measures/auditQuery.js';
import { auditReplay } from './measures/auditReplay.js';
import { BigLogs } from './measures/bigLog.js';
import { fanOut } from './measures/burst.js';
import { disk } from './measures/disk.js';
import { erasure } from './measures/erasure.js';
import { groupFlush } from './measures/groupFlush.js';
import { groupMemory } from './measures/groupMemory.js';
import { groups } from './measures/groups.js';
import { manyGroups } from './measures/manyGroups.js';
import type { Context, Row } from './measures/measure.js';
import { memory } from './measures/memory.js';
import { nodes } from './measures/nodes.js';
import { pages } from './measures/pages.js';
import { path } from './measures/path.js';
import { proof } from './measures/proof.js';
import { ready } from './measures/ready.js';
import { replay } from './measures/replay.js';
import { resume } from './measures/resume.js';
import { room } from './measures/room.js';
import { signIns } from './measures/signIns.js';
import { start } from './measures/start.js';
import { steady } from './measures/steady.js';
import { textKeys } from './measures/textKeys.js';
import { throughput } from './measures/throughput.js';
import { verify } from './measures/verify.js';
import { profileInto } from './server.js';
import { parleyBefore, parleyMongodb, parleySqlite } from './systems/parley.js';
import { socketIo, socketIoNoStore } from './systems/peer.js';
import { type System, systemNames } from './systems/system.js';
import { formatTable } from './table.js';

const measures = [
  throughput,
  steady,
  fanOut,
  memory,
  disk,
  start,
  path,
  pages,
  ready,
  replay,
  verify,
  auditReplay,
  proof,
  auditQuery,
  auditMemory,
  signIns,
  resume,
  groups,
  manyGroups,
  groupFlush,
  groupMemory,
  nodes,
  textKeys,
  erasure,
  room,
];
const measureTimeoutMs = 60 * 60_000;

interface Options {
  readonly only?: string[];
  readonly systems?: string[];
  readonly before?: string;
  readonly quick?: boolean;
  readonly profile?: string;
  readonly rates?: number[];
  readonly window?: number;
  readonly list?: boolean;
}

const rates = [50, 1000, 5000];
const windowSeconds = { quick: 2, full: 8 };

const log = (line: string) => process.stderr.write(`${line}\n`);

function availableSystems(before: string | undefined): System[] {
  const mongoUrl = process.env.MONGO_URL;
  return [
    parleySqlite,
    ...(before === undefined ? [] : [parleyBefore(before)]),
    ...(mongoUrl ? [parleyMongodb(mongoUrl)] : []),
    socketIo,
    socketIoNoStore,
  ];
}

async function tooLate(): Promise<never> {
  await wait(measureTimeoutMs, undefined, { ref: false });
  throw new Error('the measure took more than an hour');
}

/** Runs one measure. A failure becomes a row of the table, so that the other measures still run. */
async function rowsOf(measure: (typeof measures)[number], context: Context): Promise<Row[]> {
  try {
    log(`— ${measure.name}`);
    const rows = await Promise.race([measure.run(context), tooLate()]);
    return rows.filter(({ cells }) => cells.length > 0);
  } catch (error) {
    log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const cells = context.systems.map(({ name }) => ({ system: name, value: 'failed', reached: false }));
    return [{ measure: measure.name, goal: '', cells }];
  }
}

async function main({ only, systems: wanted, quick = false, ...options }: Options): Promise<void> {
  const systems = availableSystems(options.before).filter(({ name }) => !wanted || wanted.includes(name));
  const machine = describeMachine();
  log(machine);
  const bigLogs = new BigLogs(quick ? 100_000 : 1_000_000, log);
  const windowMs = 1000 * (options.window ?? windowSeconds[quick ? 'quick' : 'full']);
  const context: Context = {
    systems,
    quick,
    bigLogs,
    log,
    windowMs,
    rates: options.rates ?? rates,
    isListing: options.list ?? false,
  };
  const rows: Row[] = [];
  for (const measure of measures)
    if (!only || only.includes(measure.name)) rows.push(...(await rowsOf(measure, context)));
  await bigLogs.stop();
  const table = formatTable(
    rows,
    systems.map(({ name }) => name),
  );
  process.stdout.write(`${machine}\n\n${table}\n`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('not a positive number');
  return value;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const { profile, ...options } = new Command('npm run bench --')
  .description(
    'Measures Parley and, for comparison, a socket.io server that stores messages in SQLite. Set MONGO_URL to measure Parley on MongoDB too.',
  )
  .addOption(new Option('--only <measures...>').choices(measures.map(({ name }) => name)))
  .addOption(new Option('--systems <systems...>').choices(systemNames))
  .option(
    '--before <checkout>',
    'measure `parley-before` too: the build in this checkout of an earlier commit',
  )
  .option('--quick', 'shorter windows and smaller logs: a check that the benchmark runs, not a measurement')
  .option(
    '--profile <directory>',
    'write CPU profiles of the servers to this directory; this slows the servers down',
  )
  .addOption(
    new Option('--rates <rates...>', 'messages per second of the measure `steady`').argParser(
      (rate: string, rates: number[] | undefined) => [...(rates ?? []), positive(rate)],
    ),
  )
  .addOption(new Option('--window <seconds>', 'how long a window of load is measured').argParser(positive))
  .option('--list', 'print the functions that the measure `path` counts')
  .parse()
  .opts<Options>();
if (profile !== undefined) profileInto(profile);
await main(options);
process.exit(0);
