import hdr from 'hdr-histogram-js';
import { type BigLog, smallRoom } from './bigLog.js';
import { cell, type Measure, storing } from './measure.js';

const warmups = 300;

/** The p99 of fetching the newest page in milliseconds. Alternates between the small room and the big one. */
async function pageTimes({ running, user, smallRoomId, bigRoomId }: BigLog, requests: number) {
  const connection = await running.connect(user);
  const times = [smallRoomId, bigRoomId].map((roomId) => ({ roomId, histogram: hdr.build() }));
  for (let i = -warmups; i < requests; i++)
    for (const { roomId, histogram } of times) {
      const from = performance.now();
      await connection.request('fetch messages', { roomId, limit: 50 });
      if (i >= 0) histogram.recordValue(Math.round((performance.now() - from) * 1000));
    }
  connection.close();
  const [small = Number.NaN, big = Number.NaN] = times.map(
    ({ histogram }) => histogram.getValueAtPercentile(99) / 1000,
  );
  return { small, big };
}

/** Measures whether the newest page of a long history is slower. */
export const pages: Measure = {
  name: 'pages',
  async run({ systems, quick, bigLogs, log }) {
    const cells = [];
    for (const system of storing(systems)) {
      const { small, big } = await pageTimes(await bigLogs.of(system), quick ? 500 : 5000);
      const ratio = big / small;
      const value = `${ratio.toFixed(2)} (${small.toFixed(2)} and ${big.toFixed(2)} ms)`;
      log(`${system.name}: p99 ratio ${value}`);
      cells.push(cell(system.name, value, ratio <= 1.2));
    }
    const sizes = `${smallRoom.toLocaleString('en')} and ${bigLogs.size.toLocaleString('en')} messages`;
    return [{ measure: `newest page of 50, rooms of ${sizes}: p99 ratio`, goal: '≤ 1.2', cells }];
  },
};
