import { expect } from 'chai';
import fc from 'fast-check';
import { pino } from 'pino';
import { BoundedLog, TokenBucket, takeInTurn } from '../../src/base/rateLimits.js';

describe('a token bucket', () => {
  it('allows the burst at once, then tells the exact time to wait', () => {
    const bucket = new TokenBucket(2, 3);
    expect([0, 0, 0, 0].map(() => bucket.take(1000))).to.deep.equal([0, 0, 0, 500]);
    expect(bucket.take(1499)).to.be.above(0);
    expect(bucket.take(1500)).to.equal(0);
  });

  it('never allows more than the burst plus the refill, and always after the time it named', () => {
    const range = { min: -50, max: 2000 };
    const whole = fc.array(fc.integer(range), { maxLength: 60 });
    const waits = fc.oneof(whole, fc.array(fc.double({ ...range, noNaN: true }), { maxLength: 60 }));
    const property = fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      waits,
      (rate, burst, steps) => {
        const bucket = new TokenBucket(rate, burst);
        // After 30 days a number has few digits left for fractions of a millisecond.
        let now = 30 * 86_400_000;
        let forward = 0;
        let taken = 0;
        const wait = (ms: number): void => {
          const before = now;
          now += ms;
          forward += Math.max(0, now - before);
        };
        for (const step of steps) {
          wait(step);
          const named = bucket.take(now);
          if (named === 0) taken++;
          else {
            wait(named);
            expect(bucket.take(now)).to.equal(0);
            taken++;
          }
          expect(taken).to.be.at.most(burst + (forward * rate) / 1000 + 1e-6);
        }
      },
    );
    // Found once: 0.468 and 0.532 of a token were less than one.
    fc.assert(property, { examples: [[1, 2, [0, 0, 283, 185]]] });
  });
});

describe('taking in turn', () => {
  it('keeps the order of each owner, and gives nobody two more than another who still waits', () => {
    const property = fc.property(
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 70 }),
      (owners, limit) => {
        const items = owners.map((owner, n) => ({ owner, n }));
        const taken = takeInTurn(items, ({ owner }) => `${owner}`, limit);
        expect(taken).to.have.length(Math.min(limit, items.length));
        const of = (owner: number, from: typeof items) => from.filter((item) => item.owner === owner);
        for (const owner of new Set(owners)) {
          const [mine, all] = [of(owner, taken), of(owner, items)];
          expect(mine).to.deep.equal(all.slice(0, mine.length));
          if (mine.length === all.length) continue;
          for (const other of new Set(owners)) expect(of(other, taken).length - mine.length).to.be.at.most(1);
        }
      },
    );
    fc.assert(property);
  });
});

describe('a log of what strangers cause', () => {
  it('has of each text 60 lines at once and one a second, and the number of those it omitted', () => {
    let now = 0;
    const written: Record<string, unknown>[] = [];
    const logger = pino({}, { write: (line: string) => void written.push(JSON.parse(line)) });
    const log = new BoundedLog(logger, () => now);
    for (let n = 0; n < 100; n++) log.write('warn', 'a sign-in failed', { n });
    expect(written.map(({ n }) => n)).to.deep.equal(Array.from({ length: 60 }, (_, n) => n));
    log.write('info', 'a token was refused', {});
    expect(written.at(-1)).to.include({ msg: 'a token was refused' }).and.not.have.property('omitted');
    now += 1000;
    for (let n = 0; n < 2; n++) log.write('warn', 'a sign-in failed', {});
    expect(written).to.have.length(62);
    expect(written.at(-1)).to.include({ msg: 'a sign-in failed', level: 40, omitted: 40 });
  });

  it('has nothing below the level of the log', () => {
    const written: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void written.push(line) });
    new BoundedLog(logger, () => 0).write('info', 'a token was refused', {});
    expect(written).to.deep.equal([]);
  });
});
