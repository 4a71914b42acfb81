import { expect } from 'chai';
import { systemClock } from '../../src/base/clock.js';
import type { Command, CommandKind, CommandOf } from '../../src/domain/commands.js';
import { roomIdOf, streamOf } from '../../src/domain/ids.js';
import { partitionOf } from '../../src/log/log.js';
import type { Writer } from '../../src/writer/writer.js';
import { routeToWriters } from '../../src/writer/writers.js';
import { ada, adaAndBob, bob, openChat, send } from './world.js';

const PARTITIONS = 8;

describe('the router', () => {
  it('gives each command to the writer of its stream’s partition', async () => {
    const submitted: { partition: number; stream: string; commandId: string }[] = [];
    const writers = Array.from(
      { length: PARTITIONS },
      (_, partition): Pick<Writer, 'submit'> => ({
        submit({ commandId, stream, reject }) {
          submitted.push({ partition, stream, commandId });
          reject(new Error('not decided here'));
        },
      }),
    );
    const router = routeToWriters(writers, systemClock);
    const room = streamOf('room', roomIdOf(ada, bob));
    const cases: [Command, typeof room | `user:${string}`][] = [
      [openChat(ada, bob), room],
      [openChat(bob, ada), room],
      [send(ada, 'm1'), room],
      [{ kind: 'read messages', actor: bob, roomId: adaAndBob }, room],
      [{ kind: 'add friend', actor: bob, friendId: ada }, room],
      [{ kind: 'go online', userId: ada }, streamOf('user', ada)],
    ];
    for (const [i, [command, stream]] of cases.entries()) {
      // The union of commands is one of them.
      const known = command as CommandOf<CommandKind>;
      await router.submit(known, `c${i}`, 1).catch(() => {});
      const partition = partitionOf(stream, PARTITIONS);
      expect(submitted.at(-1)).to.deep.equal({ partition, stream, commandId: `c${i}` });
    }
  });
});
