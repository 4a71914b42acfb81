import { seededRandom } from '../random.js';
import { type BenchUser, isPeer, type Running } from '../systems/system.js';
import { appointAuditor, judged, times } from './auditor.js';
import { cell, type Measure, type Row } from './measure.js';

const goalMs = 20;
const warmups = 50;
/** Users in addition to those of the big log, two in each room, and the number of messages in each room. */
const crowd = { users: 40, messages: 50 };

/** Adds users and rooms, because nearly all events of the big log are in one room. Returns the names for queries. */
async function gather(running: Running, user: BenchUser, bigRoomId: string) {
  const users = await running.signUp(crowd.users);
  const pairs = users.flatMap((one, i) => {
    const other = users[i + 1];
    return i % 2 === 0 && other ? [[one, other] as const] : [];
  });
  const rooms = await running.rooms(pairs);
  for (const [i, [sender]] of pairs.entries()) await running.fill(rooms[i] ?? '', sender, crowd.messages);
  const actors = [user, ...users].map(({ userId }) => userId);
  return {
    actor: actors,
    stream: [bigRoomId, ...rooms].map((id) => `room:${id}`).concat(actors.map((id) => `user:${id}`)),
  };
}

/** Measures the time to get a page of events by actor and by stream. Half of the queries have a start time. */
export const auditQuery: Measure = {
  name: 'audit-query',
  async run({ systems, quick, bigLogs, log }) {
    const size = bigLogs.size.toLocaleString('en');
    const rows: (Row & { readonly cells: Row['cells'][number][] })[] = (['actor', 'stream'] as const).map(
      (by) => ({
        measure: `query by ${by} in a log of ${size} events, p99`,
        goal: `< ${goalMs} ms`,
        cells: [],
      }),
    );
    for (const system of systems) {
      if (isPeer(system.name)) continue;
      const { running, user, bigRoomId, filledFrom } = await bigLogs.of(system);
      const names = await gather(running, user, bigRoomId);
      const auditor = await appointAuditor(running);
      const random = seededRandom(1);
      const span = Date.now() - filledFrom;
      for (const [i, by] of (['actor', 'stream'] as const).entries()) {
        const ask = (histogram = times()) => {
          const name = names[by][Math.floor(random() * names[by].length)];
          const since = new Date(filledFrom + random() * span).toISOString();
          const query = `${by}=${name}${random() < 0.5 ? `&since=${since}` : ''}`;
          return auditor.timed(`/audit/events?${query}`, histogram);
        };
        for (let asked = 0; asked < warmups; asked++) await ask();
        const histogram = times();
        for (let asked = 0; asked < (quick ? 100 : 2000); asked++) await ask(histogram);
        const { value, reached } = judged(histogram, goalMs);
        log(`${system.name}: a query by ${by} takes p99 ${value}`);
        rows[i]?.cells.push(cell(system.name, value, reached));
      }
    }
    return rows;
  },
};
