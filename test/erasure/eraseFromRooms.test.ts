import { expect } from 'chai';
import fc from 'fast-check';
import { notFound } from '../../src/base/errors.js';
import type { Command, CommandRouter } from '../../src/domain/commands.js';
import { streamOf } from '../../src/domain/ids.js';
import { eraseFromRooms } from '../../src/erasure/erasures.js';
import { type Commit, partitionOf } from '../../src/log/log.js';
import { runs } from '../support/lanes.js';

const PARTITIONS = 4;
const room = fc.uuid();

/**
 * Partitions whose writers have decided events that are not in the log yet; the next command flushes them.
 * The read model has folded exactly what was waited for.
 */
class Partitions {
  readonly logs: string[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly folded = new Array<number>(PARTITIONS).fill(0);
  readonly left = new Set<string>();
  readonly #decided: string[][] = Array.from({ length: PARTITIONS }, () => []);

  constructor(appended: readonly string[], decided: readonly string[]) {
    for (const roomId of appended) this.logs[at(roomId)]?.push(roomId);
    for (const roomId of decided) this.#decided[at(roomId)]?.push(roomId);
  }

  async execute(command: Command): Promise<unknown> {
    if (command.kind !== 'erase member') throw new Error(`${command.kind} was not to be asked`);
    const { roomId } = command;
    const partition = at(roomId);
    const log = this.logs[partition] ?? [];
    log.push(...(this.#decided[partition]?.splice(0) ?? []));
    if (!log.includes(roomId)) throw notFound('there is no such room');
    this.left.add(roomId);
    return { changed: true, moment: { partition, size: log.push('left') } };
  }

  leave() {
    return eraseFromRooms('ada', {
      // `execute` answers `erase member` as described above.
      commands: { execute: (command: Command) => this.execute(command) } as unknown as CommandRouter,
      log: {
        partitions: PARTITIONS,
        tail: async (partition) => ({ size: this.logs[partition]?.length ?? 0 }) as Commit, // The test reads nothing else.
      },
      queries: {
        changedStreams: async (_, partition, above, { after = '', limit }, moments) => {
          expect(above).to.equal(-1);
          for (const { partition, size } of moments)
            this.folded[partition] = Math.max(size, this.folded[partition] ?? 0);
          const rooms = this.logs[partition]?.slice(0, this.folded[partition]) ?? [];
          const keys = rooms.filter((id) => id !== 'left').map((id) => streamOf('room', id));
          const page = keys.sort().filter((key) => key > after);
          return page.slice(0, limit).map((key) => ({ key }));
        },
      },
    });
  }
}

const at = (roomId: string): number => partitionOf(streamOf('room', roomId), PARTITIONS);

describe('Erasing a user from rooms', () => {
  it('are all left, those too that were decided and not yet in the log', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(room, { maxLength: 300 }),
        fc.uniqueArray(room, { maxLength: 20 }),
        async (appended, decided) => {
          const partitions = new Partitions(appended, decided);
          const moments = await partitions.leave();
          expect([...partitions.left]).to.have.members([...new Set([...appended, ...decided])]);
          expect(moments).to.deep.equal(
            partitions.logs.map(({ length }, partition) => ({ partition, size: length })),
          );
        },
      ),
      { numRuns: runs(30) },
    );
  });
});
