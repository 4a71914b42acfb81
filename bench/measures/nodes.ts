import { setTimeout as wait } from 'node:timers/promises';
import { mapLimited } from '../batches.js';
import type { Sender } from '../load.js';
import { RateSearch } from '../search.js';
import { Bystander } from '../systems/bystander.js';
import { Nodes } from '../systems/nodes.js';
import type { BenchUser } from '../systems/system.js';
import { describeWindow, isSound, measureWindow, text, type Window } from './conversation.js';
import { longestGapMs } from './gap.js';
import { type Context, cell, type Measure, median, type Row } from './measure.js';

const counts = [1, 2, 3] as const;
const users = 200;
const openAtOnce = 16;
const crossRate = 2000;
const rounds = 3;
const watchedRooms = 40;
const settleMs = 5000;
const goalMs = { crossP99: 30, killed: 10_000, stopped: 1000 } as const;

interface Run {
  readonly count: number;
  readonly nodes: Nodes;
  readonly pairs: readonly (readonly [BenchUser, BenchUser])[];
  readonly roomIds: readonly string[];
}

/** Measures one, two and three nodes under the same load. Both members of a room are on different nodes if possible. */
export const nodes: Measure = {
  name: 'nodes',
  async run(context) {
    const { MONGO_URL: mongoUrl, NATS_URL: natsUrl } = process.env;
    if (!mongoUrl || !natsUrl || !context.systems.some(({ name }) => name === 'parley-mongodb')) {
      context.log('skipped: this measure needs MONGO_URL and NATS_URL');
      return [];
    }
    const rows: Row[] = [];
    for (const count of counts) {
      const started = await Nodes.start(count, mongoUrl, natsUrl);
      try {
        rows.push(...(await measureNodes(await open(count, started), context)));
      } finally {
        await started.stop();
      }
    }
    return rows;
  },
};

async function open(count: number, started: Nodes): Promise<Run> {
  const everyone = await started.signUp(users);
  const pairs = everyone
    .slice(0, users / 2)
    .map((user, i) => [user, everyone[users / 2 + i] ?? user] as const);
  return { count, nodes: started, pairs, roomIds: await started.rooms(pairs) };
}

/** Connects the two members of each room to two different nodes, if there are several. */
async function connectAll({ nodes, pairs, roomIds }: Run): Promise<Sender[]> {
  const senders = await mapLimited(pairs, openAtOnce, async (pair, room) => {
    const template = nodes.dialect.template(roomIds[room] ?? '', text);
    const connections = await Promise.all(pair.map((member, i) => nodes.connect(member, room + i)));
    return connections.map((connection) => ({ connection, template }));
  });
  return senders.flat();
}

async function measureNodes(run: Run, context: Context): Promise<Row[]> {
  const senders = await connectAll(run);
  const name = `${run.count} ${run.count === 1 ? 'node' : 'nodes'}`;
  const window = async (rate: number): Promise<Window> => {
    const span = context.quick ? { warmupMs: 1000, windowMs: 3000 } : { warmupMs: 3000, windowMs: 8000 };
    const measured = await measureWindow(run.nodes, senders, rate, span);
    context.log(describeWindow(name, measured));
    return measured;
  };
  await window(500);
  const steady: Window[] = [];
  for (let round = 0; round < rounds; round++) steady.push(await window(crossRate));
  const best = await highest(window, context.quick ? 1.25 : 1.1);
  const rows = [...loadRows(name, run.count, steady, best)];
  if (run.count === counts.at(-1)) rows.push(await uninvolved(run, name, () => window(crossRate), context));
  for (const { connection } of senders) connection.close();
  if (run.count > 1) rows.push(...(await outages(run, name, context)));
  return rows;
}

async function highest(
  window: (rate: number) => Promise<Window>,
  precision: number,
): Promise<Window | undefined> {
  const search = new RateSearch(1000, precision);
  const passed: Window[] = [];
  for (let rate = search.next(); rate !== undefined; rate = search.next()) {
    const measured = await window(rate);
    const passes = isSound(measured) && measured.delivery.p99 < 100;
    if (passes) passed.push(measured);
    search.report(rate, passes);
  }
  return passed.toSorted((a, b) => b.rate - a.rate)[0];
}

function loadRows(name: string, count: number, steady: readonly Window[], best: Window | undefined): Row[] {
  const p99 = median(steady.map((window) => window.delivery.p99));
  const cost = median(steady.map((window) => window.cpuMicrosPerMessage));
  const reached = count === 1 ? undefined : p99 < goalMs.crossP99 && steady.every(isSound);
  const row = (measure: string, goal: string, value: string, isReached?: boolean): Row => ({
    measure: `${name}: ${measure}`,
    goal,
    cells: [cell('parley-mongodb', value, isReached)],
  });
  return [
    row(
      'highest durable messages/s, delivery p99 < 100 ms',
      '',
      best ? `${best.rate.toLocaleString('en')}/s` : 'none',
    ),
    row(
      `delivery p99 at ${crossRate.toLocaleString('en')}/s${count === 1 ? '' : ', between nodes'}`,
      count === 1 ? '' : `< ${goalMs.crossP99} ms`,
      `${p99.toFixed(1)} ms`,
      reached,
    ),
    row(
      `server CPU per message at ${crossRate.toLocaleString('en')}/s, all nodes`,
      '',
      `${cost.toFixed(0)} µs`,
    ),
  ];
}

/** The CPU cost of a message for a node that hosts no member of the room and does not own its partition. */
async function uninvolved(
  { nodes }: Run,
  name: string,
  load: () => Promise<Window>,
  { log }: Context,
): Promise<Row> {
  const bystander = await Bystander.start(nodes.env);
  try {
    const before = await bystander.used();
    await load();
    const after = await bystander.used();
    const cpu = after.cpuMicros - before.cpuMicros;
    const micros = (count: 'commits' | 'events') => `${(cpu / (after[count] - before[count])).toFixed(0)} µs`;
    const value = `${micros('events')} per message, ${micros('commits')} per commit`;
    log(`${name}: a node not involved in any room uses ${value}`);
    return {
      measure: `${name}: CPU of a node not involved in any room, at ${crossRate.toLocaleString('en')}/s`,
      goal: 'near zero',
      cells: [cell('parley-mongodb', value)],
    };
  } finally {
    bystander.stop();
  }
}

/** The longest time without service of a room while the last node ends. All users are connected to other nodes. */
async function outages({ nodes, pairs, roomIds }: Run, name: string, { log }: Context): Promise<Row[]> {
  const last = nodes.servers.length - 1;
  const faults = { stopped: () => nodes.servers[last]?.stop(), killed: () => nodes.servers[last]?.kill() };
  const rows: Row[] = [];
  for (const how of ['stopped', 'killed'] as const) {
    const senders = await mapLimited(pairs.slice(0, watchedRooms), openAtOnce, async ([user], i) => ({
      connection: await nodes.connect(user, i % last),
      template: nodes.dialect.template(roomIds[i] ?? '', text),
    }));
    const gapMs = await longestGapMs(senders, async () => faults[how]());
    for (const { connection } of senders) connection.close();
    log(`${name}: one node ${how}, at most ${gapMs.toFixed(0)} ms without service`);
    rows.push({
      measure: `${name}: longest time without service of a room when one node is ${how}`,
      goal: `≤ ${goalMs[how] / 1000} s`,
      cells: [cell('parley-mongodb', `${(gapMs / 1000).toFixed(2)} s`, gapMs <= goalMs[how])],
    });
    await nodes.launch(last);
    // Waits until the node owns its partitions again.
    await wait(settleMs);
  }
  return rows;
}
