import { allProjections } from '../../src/projections/allProjections.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { Projector } from '../../src/projections/projector.js';
import { openEngine, readFileOf } from '../../src/projections/store/engine.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { fillRoom } from '../fill.js';
import type { System } from '../systems/system.js';
import { temporaryDirectory } from '../temporary.js';
import { comparedRow, type Figure, type Goal, type Measure, median, type Row } from './measure.js';

const messages = 500;
/** A commit of one message, not of the joinings before. */
const mostEvents = 2;
const goal: Goal = { text: '≤ 1 ms', isReached: (ms) => ms <= 1 };

/**
 * The median time, in milliseconds, in which the rows of one message are folded and written, of a group of this size.
 * The log is made by a server; it is folded in this process into empty tables, one flush a message.
 */
async function flushTime({ start }: System, size: number): Promise<number> {
  const running = await start();
  const users = await running.signUp(size);
  const roomId = await running.group(users);
  const [owner] = users;
  if (!owner || !running.engine) throw new Error('the server has no users or no engine');
  const connection = await running.connect(owner);
  const sender = { connection, template: running.dialect.template(roomId, 'x'.repeat(100)) };
  await fillRoom(sender, messages, 1);
  connection.close();
  await running.server.stop();
  const source = await openEngine(running.engine);
  const store = openSqliteRows(readFileOf(temporaryDirectory()));
  try {
    const projector = await Projector.open(
      store,
      allProjections({ notes: async (notes) => notes.map(() => 'a name') }),
      source.partitions,
    );
    const times: number[] = [];
    for (let partition = 0; partition < source.partitions; partition++)
      for (;;) {
        const commits = await source.log.read(partition, projector.position(partition), 100);
        if (commits.length === 0) break;
        for (const commit of commits.map(decodeCommit)) {
          const from = performance.now();
          await projector.fold([commit]);
          await projector.write();
          const isMessage = commit.events.some(({ type }) => type === 'MessageSent');
          if (isMessage && commit.events.length <= mostEvents) times.push(performance.now() - from);
        }
      }
    if (times.length < messages / 2)
      throw new Error(`only ${times.length} messages had commits of their own`);
    return median(times);
  } finally {
    await store.close();
    await source.close();
    await running.stop();
  }
}

/** Measures what a message costs the read models of a group, small and large. */
export const groupFlush: Measure = {
  name: 'groupFlush',
  async run({ systems, quick, log }) {
    const rows: Row[] = [];
    for (const size of quick ? [3, 50] : [3, 1000]) {
      const figures: Figure[] = [];
      for (const system of systems.filter(({ name }) => name === 'parley-sqlite')) {
        const value = await flushTime(system, size);
        log(`${system.name}: ${value.toFixed(2)} ms a flush of a group of ${size}`);
        figures.push({ system: system.name, value, isSound: true });
      }
      const title = `rows of one message folded and written, group of ${size.toLocaleString('en')}`;
      rows.push(comparedRow(title, goal, figures, (ms) => `${ms.toFixed(2)} ms`));
    }
    return rows;
  },
};
