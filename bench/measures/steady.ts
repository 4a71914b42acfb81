import {
  connectAll,
  describeWindow,
  isSound,
  measureWindow,
  prepareConversation,
  type Window,
} from './conversation.js';
import { cell, type Measure, median, withAll } from './measure.js';

const rate = 1000;
const rounds = 3;

/** Measures delivery time and CPU cost at a load that every server can handle. */
export const steady: Measure = {
  name: 'steady',
  run: ({ systems, quick, log }) =>
    withAll(
      systems,
      async ({ name, start }) => {
        const conversation = await prepareConversation(await start());
        return { name, conversation, senders: await connectAll(conversation), windows: [] as Window[] };
      },
      async ({ senders, conversation }) => {
        for (const { connection } of senders) connection.close();
        await conversation.running.stop();
      },
      async (runs) => {
        const span = { warmupMs: quick ? 1000 : 3000, windowMs: quick ? 3000 : 10_000 };
        for (let round = 0; round < rounds; round++)
          for (const { name, conversation, senders, windows } of runs) {
            const window = await measureWindow(conversation.running, senders, rate, span);
            windows.push(window);
            log(describeWindow(name, window));
          }
        return [
          {
            measure: 'delivery p99 at 1,000/s',
            goal: '< 7 ms',
            cells: runs.map(({ name, windows }) => {
              const p99 = median(windows.map((window) => window.delivery.p99));
              return cell(name, `${p99.toFixed(1)} ms`, p99 < 7 && windows.every(isSound));
            }),
          },
          {
            measure: 'server CPU per message at 1,000/s',
            goal: '≤ 150 µs',
            cells: runs.map(({ name, windows }) => {
              const cost = median(windows.map((window) => window.cpuMicrosPerMessage));
              return cell(name, `${cost.toFixed(0)} µs`, cost <= 150);
            }),
          },
        ];
      },
    ),
};
