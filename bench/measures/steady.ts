import type { Sender } from '../load.js';
import type { System, SystemName } from '../systems/system.js';
import {
  type Conversation,
  connectAll,
  describeWindow,
  isSound,
  measureWindow,
  prepareConversation,
  type Window,
  warmUp,
} from './conversation.js';
import {
  type Context,
  comparedRow,
  type Figure,
  type Goal,
  type Measure,
  median,
  type Row,
  withAll,
} from './measure.js';

const rounds = 3;

interface Run {
  readonly system: System;
  readonly conversation: Conversation;
  readonly senders: readonly Sender[];
  readonly windows: Map<number, Window[]>;
}

const cost: Readonly<Record<number, Goal>> = {
  50: {
    text: '≤ 1.3× socket.io',
    peers: ['socket.io'],
    isReached: (micros, { 'socket.io': peer }) => micros <= 1.3 * peer,
  },
  1000: {
    text: '≤ 1× socket.io',
    peers: ['socket.io'],
    isReached: (micros, { 'socket.io': peer }) => micros <= peer,
  },
  5000: {
    text: '≤ 1.2× no store',
    peers: ['socket.io-no-store'],
    isReached: (micros, { 'socket.io-no-store': noStore }) => micros <= 1.2 * noStore,
  },
};
const delivery: Readonly<Record<number, Goal>> = {
  1000: {
    text: '≤ 1.5× socket.io, < 12 ms',
    peers: ['socket.io'],
    isReached: (ms, { 'socket.io': peer }) => ms <= 1.5 * peer && ms < 12,
  },
};
const answer: Readonly<Record<number, Goal>> = {
  50: {
    text: '≤ socket.io + 1 ms',
    peers: ['socket.io'],
    isReached: (ms, { 'socket.io': peer }) => ms <= peer + 1,
  },
};
const deliveryOnMongodb: Readonly<Record<number, Goal>> = {
  1000: { text: '< 40 ms', on: 'parley-mongodb', isReached: (ms) => ms < 40 },
};

/** Measures delivery time, answer time and CPU cost at loads that every server can handle. */
export const steady: Measure = {
  name: 'steady',
  run: (context) =>
    withAll(
      context.systems,
      async (system) => {
        const conversation = await prepareConversation(await system.start());
        return { system, conversation, senders: await connectAll(conversation), windows: new Map() };
      },
      async ({ senders, conversation }) => {
        for (const { connection } of senders) connection.close();
        await conversation.running.stop();
      },
      (runs) => measureRates(runs, context),
    ),
};

/** The rates that this system can be asked for. */
const ratesOf = ({ steadyUpTo }: System, rates: readonly number[]) =>
  rates.filter((rate) => rate <= steadyUpTo);

async function measureRates(runs: readonly Run[], context: Context): Promise<Row[]> {
  const { quick, rates, windowMs, log } = context;
  for (const { system, conversation, senders } of runs)
    await warmUp(conversation.running, senders, Math.max(...ratesOf(system, rates)), quick);
  const span = { warmupMs: quick ? 500 : 1500, windowMs };
  for (let round = 0; round < rounds; round++)
    for (const rate of rates)
      for (const { system, conversation, senders, windows } of runs) {
        if (!ratesOf(system, rates).includes(rate)) continue;
        const window = await measureWindow(conversation.running, senders, rate, span);
        windows.set(rate, [...(windows.get(rate) ?? []), window]);
        log(describeWindow(system.name, window));
      }
  return rates.flatMap((rate) => rowsAt(rate, runs));
}

function rowsAt(rate: number, runs: readonly Run[]): Row[] {
  const at = `at ${rate.toLocaleString('en')}/s`;
  const figures = (of: (window: Window) => number): Figure[] =>
    runs.flatMap(({ system, windows }) => figureOf(system.name, windows.get(rate) ?? [], of));
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const p99s = figures((window) => window.delivery.p99);
  const mongodbGoal = deliveryOnMongodb[rate];
  const onMongodb = mongodbGoal ? p99s.filter(({ system }) => system === 'parley-mongodb') : [];
  return [
    comparedRow(
      `delivery p50 ${at}`,
      undefined,
      figures((window) => window.delivery.p50),
      ms,
    ),
    comparedRow(`delivery p99 ${at}`, delivery[rate], p99s, ms),
    ...(onMongodb.length > 0
      ? [comparedRow(`delivery p99 ${at}, on MongoDB`, mongodbGoal, onMongodb, ms)]
      : []),
    comparedRow(
      `answer p50 ${at}`,
      answer[rate],
      figures(({ answer }) => answer.p50),
      ms,
    ),
    comparedRow(
      `server CPU per message ${at}`,
      cost[rate],
      figures(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage),
      (micros) => `${micros.toFixed(0)} µs`,
    ),
  ];
}

function figureOf(system: SystemName, windows: readonly Window[], of: (window: Window) => number): Figure[] {
  if (windows.length === 0) return [];
  const disturbed = windows.filter(({ isDisturbed }) => isDisturbed).length;
  const unsound = windows.filter((window) => !isSound(window)).length;
  const notes = [
    ...(disturbed > 0 ? [`${disturbed} of ${windows.length} windows disturbed`] : []),
    ...(unsound > 0 ? [`${unsound} of ${windows.length} windows unsound`] : []),
  ];
  return [
    {
      system,
      value: median(windows.map(of)),
      isSound: unsound === 0,
      ...(notes.length > 0 ? { note: notes.join(', ') } : {}),
    },
  ];
}
