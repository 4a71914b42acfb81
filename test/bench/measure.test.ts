import { expect } from 'chai';
import { comparedRow, type Figure, type Goal, type PeerName } from '../../bench/measures/measure.js';
import { formatTable } from '../../bench/table.js';

const goal: Goal = {
  text: '≥ 2× socket.io',
  peers: ['socket.io'],
  isReached: (rate, { 'socket.io': peer }) => rate >= 2 * peer,
};
const figure = (system: Figure['system'], value: number, isSound = true): Figure => ({
  system,
  value,
  isSound,
});
const cellOf = (...figures: readonly Figure[]) => comparedRow('rate', goal, figures, String).cells[0];

describe('a row that compares servers', () => {
  const peers: readonly PeerName[] = ['socket.io', 'socket.io-no-store'];

  it('shows the ratio to each peer, and whether the goal is reached', () => {
    const [peer, noStore] = peers.map((name, i) => figure(name, 10 * (i + 1)));
    if (!peer || !noStore) throw new Error('there are two peers');
    expect(cellOf(figure('parley-sqlite', 20), peer, noStore)).to.deep.equal({
      system: 'parley-sqlite',
      value: '20, 2.00× peer, 1.00× no store',
      reached: true,
    });
    expect(cellOf(figure('parley-sqlite', 19), peer)?.reached).to.equal(false);
  });

  it('never calls a goal reached if messages were lost', () => {
    expect(cellOf(figure('parley-sqlite', 30, false), figure('socket.io', 10))?.reached).to.equal(false);
  });

  it('compares with no peer that lost messages, passed at no rate or was not run', () => {
    const without = { system: 'parley-sqlite', value: '30' };
    expect(cellOf(figure('parley-sqlite', 30), figure('socket.io', 0, false))).to.deep.equal(without);
    expect(cellOf(figure('parley-sqlite', 30))).to.deep.equal(without);
  });

  it('is judged for the server of the goal only', () => {
    const cell = comparedRow(
      'rate',
      { ...goal, peers: [], on: 'parley-mongodb' },
      [figure('parley-sqlite', 1)],
      String,
    );
    expect(cell.cells[0]?.reached).to.equal(undefined);
  });

  it('stands in the table with a verdict', () => {
    const row = comparedRow('rate', goal, [figure('parley-sqlite', 20), figure('socket.io', 10)], String);
    const lines = formatTable([row], ['parley-sqlite', 'socket.io']).split('\n');
    expect(lines[2]).to.match(/^\| rate +\| ≥ 2× socket\.io \| 20, 2\.00× peer \| 10 +\| reached \|$/);
  });
});
