import { expect } from 'chai';
import fc from 'fast-check';
import { seeded } from '../../support/random.js';
import { drawFaults } from './faults.js';

const three = { nodes: 3, bus: true, database: true };
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe('the faults of a round', () => {
  it('are the same for the same seed', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(drawFaults(seeded(seed), three, 8000)).to.deep.equal(drawFaults(seeded(seed), three, 8000));
      }),
    );
  });

  it('are one at least, and leave each node one process to break and one way to the database', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 3 }), (seed, nodes) => {
        const faults = drawFaults(seeded(seed), { ...three, nodes }, 8000);
        expect(faults.length).to.be.at.least(1);
        const ofProcess = ['killed', 'paused', 'handed over'];
        const places = faults.map(({ kind, node }) => `${node} ${ofProcess.includes(kind)}`);
        expect(new Set(places).size).to.equal(places.length);
      }),
    );
  });

  it('are of every kind, and all at once now and then', () => {
    const rounds = Array.from({ length: 200 }, (_, seed) => drawFaults(seeded(seed), three, 8000));
    const kinds = new Set(rounds.flat().map(({ kind }) => kind));
    expect(kinds.size).to.equal(10);
    expect(rounds.some((faults) => faults.length >= 6)).to.equal(true);
  });

  it('break only what there is', () => {
    const alone = { nodes: 1, bus: false, database: false };
    const kinds = Array.from({ length: 50 }, (_, seed) => drawFaults(seeded(seed), alone, 8000)).flat();
    expect(new Set(kinds.map(({ kind }) => kind))).to.have.keys('killed', 'paused', 'handed over');
  });
});
