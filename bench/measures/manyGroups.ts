import hdr from 'hdr-histogram-js';
import { mapLimited } from '../batches.js';
import { fillRoom } from '../fill.js';
import type { BenchUser, Running, System } from '../systems/system.js';
import { type Cell, cell, type Measure } from './measure.js';

const groupsOfUser = 1000;
const missed = 20;
const openAtOnce = 16;
const rounds = 5;
const goals = { resumeMs: 100, pageMs: 20 } as const;

/** Somebody in 1,000 groups, with one message in each, and who else is in them. */
interface Busy {
  readonly running: Running;
  readonly user: BenchUser;
  readonly other: BenchUser;
  readonly roomIds: readonly string[];
}

async function prepare(system: System, count: number): Promise<Busy> {
  const running = await system.start();
  const [other, user, third] = await running.signUp(3);
  if (!other || !user || !third) throw new Error('signing up three users returned fewer');
  const roomIds = await mapLimited(Array.from({ length: count }), openAtOnce, () =>
    running.group([other, user, third]),
  );
  await sayIn(roomIds, { running, other });
  return { running, user, other, roomIds };
}

/** The other one says one thing in each of these groups. */
async function sayIn(roomIds: readonly string[], { running, other }: Pick<Busy, 'running' | 'other'>) {
  const connection = await running.connect(other);
  for (const roomId of roomIds)
    await fillRoom({ connection, template: running.dialect.template(roomId, 'x'.repeat(100)) }, 1);
  connection.close();
}

/** The median time, in milliseconds, in which the user catches up with 20 messages in as many groups. */
async function resumeTime({ running, user, other, roomIds }: Busy): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const place = await running.place(user, roomIds);
    await sayIn(roomIds.slice(0, missed), { running, other });
    const from = performance.now();
    const count = await running.catchUp(user, place);
    times.push(performance.now() - from);
    if (count !== missed) throw new Error(`${count} messages came instead of ${missed}`);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
}

/** The p99, in milliseconds, of the first page of active chats. */
async function pageTime({ running, user }: Busy, requests: number): Promise<number> {
  const connection = await running.connect(user);
  const histogram = hdr.build();
  for (let i = -50; i < requests; i++) {
    const from = performance.now();
    await connection.request('get active chats', {});
    if (i >= 0) histogram.recordValue(Math.round((performance.now() - from) * 1000));
  }
  connection.close();
  return histogram.getValueAtPercentile(99) / 1000;
}

/** Measures what a user in 1,000 groups waits for. The peer has no chats and no cursor over rooms. */
export const manyGroups: Measure = {
  name: 'manyGroups',
  async run({ systems, quick, log }) {
    const count = quick ? 100 : groupsOfUser;
    const inGroups = `of a user in ${count.toLocaleString('en')} groups`;
    const resumes: Cell[] = [];
    const pages: Cell[] = [];
    for (const system of systems.filter(({ name }) => name.startsWith('parley'))) {
      const busy = await prepare(system, count);
      try {
        const [resume, page] = [await resumeTime(busy), await pageTime(busy, quick ? 100 : 1000)];
        log(`${system.name}: resumed in ${resume.toFixed(1)} ms, page p99 ${page.toFixed(1)} ms`);
        resumes.push(cell(system.name, `${resume.toFixed(1)} ms`, resume <= goals.resumeMs));
        pages.push(cell(system.name, `${page.toFixed(1)} ms`, page <= goals.pageMs));
      } finally {
        await busy.running.stop();
      }
    }
    return [
      {
        measure: `resume ${inGroups} who missed ${missed} messages`,
        goal: `≤ ${goals.resumeMs} ms`,
        cells: resumes,
      },
      { measure: `first page of active chats ${inGroups}, p99`, goal: `≤ ${goals.pageMs} ms`, cells: pages },
    ];
  },
};
