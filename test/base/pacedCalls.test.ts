import { expect } from 'chai';
import { PacedCalls } from '../../src/base/clock.js';
import { virtualTime } from '../support/virtualTime.js';

describe('paced calls', () => {
  it('run at the end of the turn after a pause, and otherwise together when the interval is over', async () => {
    const time = virtualTime();
    const pace = new PacedCalls(time, 4);
    const ran: string[] = [];
    const add = (name: string, hasWork = true) =>
      pace.add(() => {
        ran.push(`${name} at ${time.now()}`);
        return hasWork;
      });
    await time.advance(10);
    const start = time.now();
    add('nothing to do', false);
    await time.advance(0);
    expect(ran.splice(0)).to.deep.equal([`nothing to do at ${start}`]);
    add('a');
    add('b', false);
    expect(ran, 'never in the caller’s turn').to.deep.equal([]);
    await time.advance(0);
    expect(ran).to.deep.equal([`a at ${start}`, `b at ${start}`]);
    await time.advance(1);
    add('c');
    await time.advance(2);
    add('d');
    expect(ran).to.have.length(2);
    await time.advance(1);
    expect(ran.slice(2)).to.deep.equal([`c at ${start + 4}`, `d at ${start + 4}`]);
  });

  it('that are added by one of them come next', async () => {
    const time = virtualTime();
    const pace = new PacedCalls(time, 4);
    const ran: number[] = [];
    const again = () => {
      ran.push(time.now());
      if (ran.length < 3) pace.add(again);
      return true;
    };
    pace.add(again);
    await time.advance(20);
    const [first = 0] = ran;
    expect(ran).to.deep.equal([first, first + 4, first + 8]);
  });
});
