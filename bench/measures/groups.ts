import { mapLimited } from '../batches.js';
import { type GroupResult, runGroupLoad } from '../groupLoad.js';
import type { Sender } from '../load.js';
import { RateSearch } from '../search.js';
import type { Running, System } from '../systems/system.js';
import { text } from './conversation.js';
import { type Context, comparedRow, type Goal, type Measure, median, withAll } from './measure.js';

const size = 1000;
const connected = 200;
const openAtOnce = 16;
const limitMs = 100;
const searchFrom = 100;
/** A rate passes or fails by the majority of at most three windows. */
const majority = 2;
const goal: Goal = {
  text: '≥ 180,000/s, ≥ 1× no store',
  peers: ['socket.io-no-store'],
  isReached: (rate, { 'socket.io-no-store': noStore }) => rate >= 180_000 && rate >= noStore,
};

interface Group {
  readonly system: System;
  readonly running: Running;
  readonly members: readonly Sender[];
  readonly search: RateSearch;
  readonly windows: {
    readonly rate: number;
    readonly isPassed: boolean;
    readonly deliveriesPerSecond: number;
  }[];
}

async function gather(system: System, { quick }: Context): Promise<Group> {
  const running = await system.start();
  const users = await running.signUp(size);
  const roomId = await running.group(users);
  const members = await mapLimited(users.slice(0, connected), openAtOnce, async (user) => ({
    connection: await running.connect(user),
    template: running.dialect.template(roomId, text),
  }));
  const search = new RateSearch(searchFrom, quick ? 1.4 : 1.1);
  return { system, running, members, search, windows: [] };
}

/** Measures one window at the next rate of the search. Returns false if the search is over. */
async function step(
  { system, running, members, search, windows }: Group,
  context: Context,
): Promise<boolean> {
  const rate = search.next();
  if (rate === undefined) return false;
  let cpu = 0;
  const { windowMs } = context;
  const result = await runGroupLoad(members, {
    rate,
    warmupMs: context.quick ? 500 : 2000,
    windowMs,
    onWindowStart: () => {
      cpu = -running.server.cpuMicros();
    },
    onWindowEnd: () => {
      cpu += running.server.cpuMicros();
    },
  });
  const isPassed = isSound(result) && result.p99 < limitMs;
  const deliveriesPerSecond = (result.deliveries * 1000) / windowMs;
  windows.push({ rate, isPassed, deliveriesPerSecond });
  const same = windows.filter((window) => window.rate === rate);
  const passed = same.filter((window) => window.isPassed).length;
  if (passed >= majority) search.report(rate, true);
  else if (same.length - passed >= majority) search.report(rate, false);
  const cost = cpu / Math.max(1, result.deliveries);
  context.log(
    `${system.name}: ${rate} messages/s, ${Math.round(deliveriesPerSecond).toLocaleString('en')} deliveries/s, p50 ${result.p50.toFixed(1)}, p99 ${result.p99.toFixed(1)} ms, ${cost.toFixed(2)} µs CPU per delivery${isSound(result) ? '' : `, ${result.missing} missing, ${result.refusals} refused`}`,
  );
  return true;
}

const isSound = ({ missing, refusals }: GroupResult): boolean => missing === 0 && refusals === 0;

/** Measures how many deliveries a second the members of one large group get within 100 ms. */
export const groups: Measure = {
  name: 'groups',
  run: (context) =>
    withAll(
      context.systems,
      (system) => gather(system, context),
      async ({ members, running }) => {
        for (const { connection } of members) connection.close();
        await running.stop();
      },
      async (all) => {
        const open = new Set(all);
        while (open.size > 0) for (const group of open) if (!(await step(group, context))) open.delete(group);
        const figures = all.map(({ system, search, windows }) => {
          const best = windows.filter(({ rate, isPassed }) => rate === search.best && isPassed);
          const value = median(best.map(({ deliveriesPerSecond }) => deliveriesPerSecond));
          return { system: system.name, value, isSound: best.length > 0 };
        });
        const title = `highest deliveries/s to ${connected} connected of ${size.toLocaleString('en')} members, p99 < ${limitMs} ms`;
        return [comparedRow(title, goal, figures, (rate) => `${Math.round(rate).toLocaleString('en')}/s`)];
      },
    ),
};
