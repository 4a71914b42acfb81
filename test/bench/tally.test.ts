import { expect } from 'chai';
import { Tally } from '../../bench/tally.js';

describe('the tally of a load', () => {
  it('is settled when every message is delivered and acknowledged, each once', () => {
    const tally = new Tally(10, 10);
    const message = tally.scheduled(5);
    expect(tally.delivered(message)).to.equal(5);
    expect(tally.isSettled).to.equal(false);
    expect(tally.acknowledged(message)).to.equal(5);
    expect(tally).to.include({ isSettled: true, lost: 0, doubled: 0, sent: 1 });
  });

  it('counts what was never delivered, or never acknowledged, as lost', () => {
    const tally = new Tally(0, 10);
    const first = tally.scheduled(1);
    const second = tally.scheduled(2);
    tally.delivered(second);
    tally.acknowledged(first);
    tally.acknowledged(second);
    expect(tally.lost).to.equal(1);
    expect(tally.oldestOpen()).to.equal(1);
  });

  it('counts a second delivery as doubled and gives no time for it', () => {
    const tally = new Tally(0, 10);
    const message = tally.scheduled(1);
    tally.delivered(message);
    expect(tally.delivered(message)).to.equal(undefined);
    expect(tally.doubled).to.equal(1);
  });

  it('knows nothing of the messages of others', () => {
    const tally = new Tally(100, 10);
    tally.scheduled(1);
    expect(tally.delivered(99)).to.equal(undefined);
    expect(tally.delivered(101)).to.equal(undefined);
    expect(tally.acknowledged(101)).to.equal(undefined);
    expect(tally.lost).to.equal(1);
  });

  it('refuses more messages than it has room for', () => {
    const tally = new Tally(100, 1);
    tally.scheduled(1);
    expect(() => tally.scheduled(2)).to.throw(RangeError);
  });
});
