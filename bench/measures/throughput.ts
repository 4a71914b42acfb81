import type { Sender } from '../load.js';
import { RateSearch } from '../search.js';
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

const limits = [
  { ms: 25, timesPeer: 3.5, timesNoStore: 0.8 },
  { ms: 100, timesPeer: 4, timesNoStore: 0.9 },
] as const;
const longestWindowMs = 6000;
/** The search on one server ends after this time of its own windows. */
const searchTimeoutMs = { quick: 45_000, full: 6 * 60_000 };
/** A rate passes or fails by the majority of at most three windows. */
const majority = 2;

/** The search on one server, for all limits. The limits share the windows. */
class Searcher {
  readonly #searches;
  readonly #windows: Window[] = [];
  #spentMs = 0;

  constructor(
    readonly system: System,
    readonly conversation: Conversation,
    readonly senders: readonly Sender[],
    readonly context: Context,
  ) {
    const precision = context.quick ? 1.4 : 1.06;
    this.#searches = limits.map(({ ms }) => ({ ms, search: new RateSearch(system.searchFrom, precision) }));
  }

  /** Measures one window. Returns false if the search is over. */
  async step(): Promise<boolean> {
    const rate = this.#next();
    const { conversation, senders, context, system } = this;
    const timeoutMs = searchTimeoutMs[context.quick ? 'quick' : 'full'];
    if (rate === undefined || this.#spentMs > timeoutMs) return false;
    const from = performance.now();
    const windowMs = Math.min(context.windowMs, longestWindowMs);
    const span = { warmupMs: context.quick ? 500 : 1500, windowMs };
    const window = await measureWindow(conversation.running, senders, rate, span);
    this.#spentMs += performance.now() - from;
    this.#windows.push(window);
    context.log(describeWindow(system.name, window));
    return true;
  }

  /** The windows of the highest rate that passed the limit, also if the search for another limit measured them. */
  best(limitMs: number): readonly Window[] {
    const passed = this.#windows.filter(({ rate }) => this.#verdict(rate, limitMs) === true);
    const highest = Math.max(0, ...passed.map(({ rate }) => rate));
    return passed.filter(({ rate }) => rate === highest);
  }

  /** Whether the time was not enough to find the highest rate within this limit. */
  isCutShort(limitMs: number): boolean {
    return this.#searches.some(({ ms, search }) => ms === limitMs && search.next() !== undefined);
  }

  /** The next rate that needs a window; `undefined` if all searches are over. */
  #next(): number | undefined {
    for (const { ms, search } of this.#searches)
      for (let rate = search.next(); rate !== undefined; rate = search.next()) {
        const passed = this.#verdict(rate, ms);
        if (passed === undefined) return rate;
        search.report(rate, passed);
      }
    return undefined;
  }

  #verdict(rate: number, limitMs: number): boolean | undefined {
    const windows = this.#windows.filter((window) => window.rate === rate);
    const passed = windows.filter((window) => isSound(window) && window.delivery.p99 < limitMs).length;
    if (passed >= majority) return true;
    return windows.length - passed >= majority ? false : undefined;
  }
}

/** Measures the highest rate within each delivery limit, and the CPU cost of a message at that rate. */
export const throughput: Measure = {
  name: 'throughput',
  run: (context) =>
    withAll(
      context.systems,
      async (system) => {
        const conversation = await prepareConversation(await system.start());
        const senders = await connectAll(conversation);
        await warmUp(conversation.running, senders, system.searchFrom, context.quick);
        return new Searcher(system, conversation, senders, context);
      },
      async ({ conversation, senders }) => {
        for (const { connection } of senders) connection.close();
        await conversation.running.stop();
      },
      async (searchers) => {
        const open = new Set(searchers);
        while (open.size > 0)
          for (const searcher of open) if (!(await searcher.step())) open.delete(searcher);
        return limits.flatMap((limit) => rowsOf(searchers, limit));
      },
    ),
};

function rowsOf(
  searchers: readonly Searcher[],
  { ms, timesPeer, timesNoStore }: (typeof limits)[number],
): Row[] {
  const goal: Goal = {
    text: `≥ ${timesPeer}× socket.io, ≥ ${timesNoStore}× no store`,
    peers: ['socket.io', 'socket.io-no-store'],
    isReached: (rate, { 'socket.io': peer, 'socket.io-no-store': noStore }) =>
      rate >= timesPeer * peer && rate >= timesNoStore * noStore,
  };
  const onMongodb: Goal = {
    text: '≥ 1,330/s',
    on: 'parley-mongodb',
    isReached: (rate) => rate >= 1330,
  };
  const rate = (value: number) => `${value.toLocaleString('en')}/s`;
  const figures = searchers.map((searcher) => rateFigure(searcher, ms));
  const mongodb = figures.filter(({ system }) => system === 'parley-mongodb');
  const title = `highest durable messages/s, delivery p99 < ${ms} ms`;
  return [
    comparedRow(title, goal, figures, rate),
    ...(mongodb.length > 0 && ms === 100
      ? [comparedRow(`${title}, on MongoDB`, onMongodb, mongodb, rate)]
      : []),
    comparedRow(
      `server CPU per message at that rate`,
      undefined,
      searchers.flatMap((searcher) => costFigure(searcher.system.name, searcher.best(ms))),
      (micros) => `${micros.toFixed(0)} µs`,
    ),
  ];
}

function rateFigure(searcher: Searcher, limitMs: number): Figure {
  const windows = searcher.best(limitMs);
  const { name } = searcher.system;
  if (windows.length === 0) return { system: name, value: 0, isSound: false };
  const notes = [
    `p99 ${median(windows.map(({ delivery }) => delivery.p99)).toFixed(0)} ms`,
    ...(windows.some(({ isDisturbed }) => isDisturbed) ? ['disturbed'] : []),
    ...(searcher.isCutShort(limitMs) ? ['search cut short'] : []),
  ];
  return { system: name, value: windows[0]?.rate ?? 0, isSound: true, note: notes.join(', ') };
}

function costFigure(system: SystemName, windows: readonly Window[]): Figure[] {
  if (windows.length === 0) return [];
  return [{ system, value: median(windows.map((window) => window.cpuMicrosPerMessage)), isSound: true }];
}
