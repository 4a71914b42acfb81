import { expect } from 'chai';
import { listFoldedPartitions } from '../../src/cluster/foldAssignment.js';

const tables = ['chats_v2', 'users_v1'];
const owner = (node: string, ...capabilities: string[]) => ({ node, epoch: 1, capabilities });

describe('the partitions that a node folds', () => {
  it('are its own, and those whose owner does not fold all tables', () => {
    const owners = [
      owner('me', ...tables),
      owner('equal', 'MessageSent', ...tables),
      owner('older', 'chats_v1', 'users_v1'),
      owner('newer', 'chats_v2', 'users_v2'),
    ];
    expect(listFoldedPartitions('me', owners, tables)).to.deep.equal([0, 2, 3]);
  });

  it('exclude those without an owner, and those of a node not seen live', () => {
    expect(listFoldedPartitions('me', [undefined, { node: 'gone', epoch: 1 }], tables)).to.deep.equal([]);
  });
});
