import { runLoad, type Sender } from '../load.js';
import { RateSearch } from '../search.js';
import type { SystemName } from '../systems/system.js';
import {
  type Conversation,
  connectAll,
  describeWindow,
  isSound,
  measureWindow,
  prepareConversation,
  type Window,
} from './conversation.js';
import { type Context, cell, type Measure, type Row, withAll } from './measure.js';

const limits = [
  { ms: 25, timesPeer: 5 },
  { ms: 100, timesPeer: 6 },
] as const;
const startRate = 1000;
const windowsAtMost = 40;

/** The search on one server. Tries a failed rate a second time, because the machine may have been busy. */
class Searcher {
  readonly #searches;
  readonly #windows: Window[] = [];

  constructor(
    readonly name: SystemName,
    readonly conversation: Conversation,
    readonly senders: readonly Sender[],
    readonly context: Context,
  ) {
    const precision = context.quick ? 1.25 : 1.06;
    this.#searches = limits.map(({ ms }) => ({ ms, search: new RateSearch(startRate, precision) }));
  }

  /** Tries the next rate. Returns false if there is none. */
  async step(): Promise<boolean> {
    if (this.#windows.length >= windowsAtMost) return false;
    for (const { ms, search } of this.#searches) {
      const rate = search.next();
      if (rate === undefined) continue;
      const windows = [await this.#window(rate)];
      if (!windows.some((window) => passes(window, ms)) && !windows[0]?.abandoned)
        windows.push(await this.#window(rate));
      for (const other of this.#searches)
        other.search.report(
          rate,
          windows.some((window) => passes(window, other.ms)),
        );
      return true;
    }
    return false;
  }

  /** The window of the highest rate that passed the limit. */
  best(limitMs: number): Window | undefined {
    const rate = this.#searches.find(({ ms }) => ms === limitMs)?.search.best;
    return this.#windows.find((window) => window.rate === rate && passes(window, limitMs));
  }

  async #window(rate: number): Promise<Window> {
    const { conversation, senders, context } = this;
    const span = context.quick ? { warmupMs: 1000, windowMs: 3000 } : { warmupMs: 3000, windowMs: 8000 };
    const window = await measureWindow(conversation.running, senders, rate, span);
    this.#windows.push(window);
    context.log(describeWindow(this.name, window));
    return window;
  }
}

const passes = (window: Window, limitMs: number) => isSound(window) && window.delivery.p99 < limitMs;

const rateText = ({ rate, delivery, rssBytes }: Window) =>
  `${rate.toLocaleString('en')}/s, p99 ${delivery.p99.toFixed(0)} ms, ${(rssBytes / 2 ** 20).toFixed(0)} MiB`;

/** Measures the highest rate within each delivery limit, and the CPU cost of a message at that rate. */
export const throughput: Measure = {
  name: 'throughput',
  run: (context) =>
    withAll(
      context.systems,
      async (system) => {
        const conversation = await prepareConversation(await system.start());
        const senders = await connectAll(conversation);
        // After a start, Node still compiles the hot functions.
        await runLoad(senders, { rate: startRate, warmupMs: 5000, windowMs: 0 });
        return new Searcher(system.name, conversation, senders, context);
      },
      async ({ conversation, senders }) => {
        for (const { connection } of senders) connection.close();
        await conversation.running.stop();
      },
      async (searchers) => {
        const open = new Set(searchers);
        while (open.size > 0)
          for (const searcher of open) if (!(await searcher.step())) open.delete(searcher);
        return [...limits.map((limit) => rateRow(searchers, limit)), costRow(searchers)];
      },
    ),
};

function rateRow(searchers: readonly Searcher[], { ms, timesPeer }: (typeof limits)[number]): Row {
  const peer = searchers.find(({ name }) => name === 'socket.io')?.best(ms)?.rate;
  return {
    measure: `highest durable messages/s, delivery p99 < ${ms} ms`,
    goal: `≥ ${timesPeer}× socket.io`,
    cells: searchers.map((searcher) => {
      const window = searcher.best(ms);
      const reached = peer === undefined ? undefined : (window?.rate ?? 0) >= timesPeer * peer;
      return cell(searcher.name, window ? rateText(window) : 'none', reached);
    }),
  };
}

function costRow(searchers: readonly Searcher[]): Row {
  return {
    measure: 'server CPU per message at the highest rate',
    goal: '≤ 60 µs',
    cells: searchers.map((searcher) => {
      const cost = searcher.best(100)?.cpuMicrosPerMessage;
      return cell(searcher.name, cost ? `${cost.toFixed(0)} µs` : 'none', cost !== undefined && cost <= 60);
    }),
  };
}
