import { mapLimited } from '../batches.js';
import { fillRoom } from '../fill.js';
import type { BenchUser, Running, System } from '../systems/system.js';
import { type Cell, cell, type Measure } from './measure.js';

/** The most groups of a user. */
const groups = 1000;
const messages = 10_000;
const openAtOnce = 16;
const goals = { 'parley-sqlite': 5_000, 'parley-mongodb': 20_000 } as const;

interface Member {
  readonly running: Running;
  readonly user: BenchUser;
}

/** Signs a user up who is in `count` groups, in half of them as the last owner, and wrote `each` messages in each. */
async function prepare(system: System, count: number, each: number): Promise<Member> {
  const running = await system.start();
  const [user, other] = await running.signUp(2);
  if (!user || !other) throw new Error('signing up two users returned fewer');
  const roomIds = await mapLimited(Array.from({ length: count }), openAtOnce, (_, i) =>
    running.group(i % 2 === 0 ? [user, other] : [other, user]),
  );
  const connection = await running.connect(user);
  for (const roomId of roomIds)
    await fillRoom({ connection, template: running.dialect.template(roomId, 'x'.repeat(100)) }, each);
  connection.close();
  return { running, user };
}

/** Measures how long somebody waits for their erasure who is in as many groups as one may be. */
export const erasure: Measure = {
  name: 'erasure',
  async run({ systems, quick, log }) {
    const count = quick ? 100 : groups;
    const each = messages / groups;
    const cells: Cell[] = [];
    for (const system of systems) {
      if (system.name !== 'parley-sqlite' && system.name !== 'parley-mongodb') continue;
      const { running, user } = await prepare(system, count, each);
      try {
        const from = performance.now();
        await running.erase?.(user);
        const ms = performance.now() - from;
        log(`${system.name}: erased in ${ms.toFixed(0)} ms`);
        cells.push(cell(system.name, `${ms.toFixed(0)} ms`, ms <= goals[system.name]));
      } finally {
        await running.stop();
      }
    }
    const who = `a user in ${count.toLocaleString('en')} groups, the last owner of half of them`;
    const wrote = `${(count * each).toLocaleString('en')} messages`;
    const goal = `≤ ${goals['parley-sqlite'] / 1000} s; MongoDB ≤ ${goals['parley-mongodb'] / 1000} s`;
    return [{ measure: `erasing ${who}, with ${wrote}`, goal, cells }];
  },
};
