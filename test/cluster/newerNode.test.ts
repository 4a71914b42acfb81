import { expect } from 'chai';
import { ForwardedCommandReceiver } from '../../src/cluster/forwardReceiver.js';
import type { OwnWriters } from '../../src/domain/commands.js';

const online = { kind: 'go online', userId: 'ada' };

describe('what a node of a newer version sends to the owner of a partition', () => {
  it('is taken as far as it is known: fields that are not are passed over, one command refused and not the rest', async () => {
    const taken: unknown[] = [];
    const writers: OwnWriters = {
      submit: async (command, commandId) => {
        taken.push([command, commandId]);
        return { changed: true, moment: { partition: 0, size: 1 } } as never; // Of its kind.
      },
    };
    const receiver = new ForwardedCommandReceiver(writers, () => 7);
    const commands = [
      [online, 'a'],
      [{ kind: 'whisper', actor: 'ada', text: 'hush' }, 'b'],
      [{ ...online, mood: 'bright' }, 'c'],
    ];
    const request = { kind: 'commands', partition: 0, session: 1, traced: true };
    const answer = await receiver.serve({ ...request, sequence: 0, commands }, 'newer');
    if (!('results' in answer)) expect.fail('none was taken');
    const [first, second, third] = answer.results;
    expect(first).to.have.property('answer');
    expect(second).to.have.nested.property('refused.code', 'overloaded');
    expect(third).to.have.property('answer');
    expect(taken).to.deep.equal([
      [online, 'a'],
      [online, 'c'],
    ]);
    // It has its place in the order all the same.
    const next = await receiver.serve({ ...request, sequence: 1, commands: [[online, 'd']] }, 'newer');
    expect(next).to.have.property('results');
  });
});
