import { expect } from 'chai';
import { NotOwner, overloaded } from '../../src/base/errors.js';
import { COMMAND_TIMEOUTS, outcomeUnknownError } from '../../src/cluster/partitionQueue.js';
import type { Task } from '../../src/writer/prepare.js';
import { LocalRouter, type LocalWriter } from '../../src/writer/writers.js';
import { virtualTime } from '../support/virtualTime.js';

/** A writer that answers when the test says so. */
class FakeWriter implements LocalWriter {
  readonly taken: (Task & { readonly epoch: number })[] = [];
  readonly #open = new Set<Task>();

  get depth(): number {
    return this.#open.size;
  }

  submit(task: Task, epoch: number): void {
    this.taken.push({ ...task, epoch });
    this.#open.add(task);
  }

  expire(before: number): void {
    for (const { submittedAt, reject } of this.#open)
      if (submittedAt <= before) reject(outcomeUnknownError());
  }

  answer(i: number, refusal?: Error): void {
    const [task] = [...this.#open].filter(({ commandId }) => commandId === this.taken[i]?.commandId);
    if (!task) throw new Error(`command ${i} is not open`);
    this.#open.delete(task);
    if (refusal) task.reject(refusal);
    // The test looks only at whether an answer came.
    else task.resolve({} as never);
  }
}

/** The router of a single node, with one writer. */
class World {
  readonly time = virtualTime();
  readonly writer = new FakeWriter();
  readonly router = new LocalRouter([this.writer], this.time);

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

  it('leaves no timer behind when it stops after its commands were answered', async () => {
    const outcome = world.send('a');
    world.writer.answer(0);
    expect(await outcome).to.equal('done');
    world.router.stop();
    expect(world.time.pending).to.equal(0);
  });

  it('hands commands to the writer in the turn of the call, in their order', async () => {
    const outcomes = ['a', 'b'].map((id) => world.send(id));
    expect(world.writer.taken.map(({ commandId, epoch }) => [commandId, epoch])).to.deep.equal([
      ['a', 3],
      ['b', 3],
    ]);
    expect(world.router.depth).to.equal(2);
    for (const i of [0, 1]) world.writer.answer(i);
    expect(await Promise.all(outcomes)).to.deep.equal(['done', 'done']);
    await world.time.advance(0);
    expect(world.router.depth).to.equal(0);
  });

  it('answers overloaded before it owns its partition, while it gives it up, and once it stops', async () => {
    const early = new World();
    expect(await early.send('a')).to.equal('overloaded');
    expect(early.writer.taken).to.have.length(0);
    const lost = world.send('b');
    world.writer.answer(0, new NotOwner(0));
    expect(await lost).to.equal('overloaded');
    const begun = world.send('c');
    world.router.stop();
    expect(await world.send('d')).to.equal('overloaded');
    world.writer.answer(1);
    expect(await begun).to.equal('done');
  });

  it('passes the refusal of the writer on', async () => {
    const refused = world.send('a');
    world.writer.answer(0, overloaded('full'));
    expect(await refused).to.equal('overloaded');
  });

  it('answers unknown for a command that the writer has not answered in time', async () => {
    const silent = world.send('a');
    await world.time.advance(COMMAND_TIMEOUTS.unansweredMs / 2);
    const later = world.send('b');
    await world.time.advance(COMMAND_TIMEOUTS.unansweredMs / 2 + 1000);
    expect(await silent).to.equal('unknown');
    world.writer.answer(0);
    expect(world.router.depth).to.equal(1);
    world.writer.answer(1);
    expect(await later).to.equal('done');
  });
});
