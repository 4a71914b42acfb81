import { expect } from 'chai';
import { ForwardedCommandReceiver } from '../../src/cluster/forwarding.js';
import type { OwnWriters } from '../../src/domain/commands.js';

const online = { kind: 'go online', userId: 'ada' };

describe('a request from a node of a newer version', () => {
  it('is accepted without its unknown fields, and only an unknown command is refused', async () => {
    const taken: unknown[] = [];
    const writers: OwnWriters = {
      submit: async (command, commandId) => {
        taken.push([command, commandId]);
        return { changed: true, moment: { partition: 0, size: 1 } } as never; // An answer of the command's kind.
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
    // It still counts in the sequence.
    const next = await receiver.serve({ ...request, sequence: 1, commands: [[online, 'd']] }, 'newer');
    expect(next).to.have.property('results');
  });
});
