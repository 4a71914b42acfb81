import { expect } from 'chai';
import { FoldAssignment } from '../../src/cluster/foldAssignment.js';

const owner = (node: string) => ({ node, epoch: 1 });

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
