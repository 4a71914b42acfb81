import { expect } from 'chai';
import { NotOwner, overloaded } from '../../src/base/errors.js';
import { LocalRouter } from '../../src/cluster/commandRouter.js';
import { COMMAND_TIMEOUTS } from '../../src/cluster/partitionQueue.js';
import type { OwnWriters } from '../../src/domain/commands.js';
import { virtualTime } from '../support/virtualTime.js';

interface Taken {
  readonly commandId: string;
  readonly epoch: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The router of a single node, and a writer that answers when the test says so. */
class World {
  readonly time = virtualTime();
  readonly taken: Taken[] = [];
  readonly writers: OwnWriters = {
    submit: (_, commandId, epoch) =>
      new Promise((resolve, reject) => {
        // The test looks only at whether an answer came.
        this.taken.push({ commandId, epoch, resolve: () => resolve({} as never), reject });
      }),
  };
  readonly router = new LocalRouter({ partitions: 1, writers: this.writers, clock: this.time });

  /** The outcome of a command: `done`, or the code of its refusal. */
  send(commandId: string): Promise<string> {
    return this.router.execute<'go online'>({ kind: 'go online', userId: 'ada' }, commandId).then(
      () => 'done',
      (error: { code: string }) => error.code,
    );
  }
}

describe('the router of a single node', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
    world.router.setOwners([{ node: 'here', epoch: 3 }]);
  });

  it('hands commands to the writer in the turn of the call, in their order', async () => {
    const outcomes = ['a', 'b'].map((id) => world.send(id));
    expect(world.taken.map(({ commandId, epoch }) => [commandId, epoch])).to.deep.equal([
      ['a', 3],
      ['b', 3],
    ]);
    expect(world.router.depth).to.equal(2);
    for (const { resolve } of world.taken) resolve();
    expect(await Promise.all(outcomes)).to.deep.equal(['done', 'done']);
    await world.time.advance(0);
    expect(world.router.depth).to.equal(0);
  });

  it('answers overloaded before it owns its partition, while it gives it up, and once it stops', async () => {
    const early = new World();
    expect(await early.send('a')).to.equal('overloaded');
    expect(early.taken).to.have.length(0);
    const lost = world.send('b');
    world.taken[0]?.reject(new NotOwner(0));
    expect(await lost).to.equal('overloaded');
    const begun = world.send('c');
    world.router.stop();
    expect(await world.send('d')).to.equal('overloaded');
    world.taken[1]?.resolve();
    expect(await begun).to.equal('done');
  });

  it('passes the refusal of the writer on', async () => {
    const refused = world.send('a');
    world.taken[0]?.reject(overloaded('full'));
    expect(await refused).to.equal('overloaded');
  });

  it('answers unknown for a command that the writer has not answered in time', async () => {
    const silent = world.send('a');
    await world.time.advance(COMMAND_TIMEOUTS.unansweredMs / 2);
    const later = world.send('b');
    await world.time.advance(COMMAND_TIMEOUTS.unansweredMs / 2 + 1000);
    expect(await silent).to.equal('unknown');
    expect(world.router.depth).to.equal(1);
    world.taken[1]?.resolve();
    expect(await later).to.equal('done');
  });
});
