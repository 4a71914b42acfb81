import { expect } from 'chai';
import { FoldAssignment, listFoldedPartitions } from '../../src/app/lifecycle.js';

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

describe('the partitions that a node folds and signs', () => {
  it('are those it owns now', () => {
    const share = new FoldAssignment('me', []);
    share.setOwners([owner('me'), owner('other'), owner('me')]);
    share.setOwners([owner('other'), owner('me'), owner('me')]);
    expect([share.owned, share.folded]).to.deep.equal([
      [1, 2],
      [1, 2],
    ]);
  });

  it('are kept by a stopping node, which still adds new ones', () => {
    const share = new FoldAssignment('me', []);
    share.setOwners([owner('me'), owner('other'), owner('other')]);
    share.retainAll();
    share.setOwners([owner('other'), owner('me'), owner('other')]);
    share.setOwners([undefined, undefined, undefined]);
    expect([share.owned, share.folded]).to.deep.equal([
      [0, 1],
      [0, 1],
    ]);
  });
});
