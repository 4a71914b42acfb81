import { expect } from 'chai';
import { fromField, toField } from '../../web/audit/times.js';
import { type Alarm, type Seen, withAlarm, withSeen } from '../../web/audit/witness/memory.js';

const alarm = (n: number, more: Partial<Alarm> = {}): Alarm => ({
  ...{
    id: `${n}`,
    partition: 0,
    at: '2026-01-01T00:00:00.000Z',
    steps: [],
    kept: `head ${n}`,
    refused: '',
    keys: '',
  },
  ...more,
});
const at = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString();

describe('What a browser remembers of a log', () => {
  it('has one open alarm of a kept head, however often that is refused', () => {
    const once = withAlarm([], alarm(1));
    expect(withAlarm(once, alarm(2, { kept: 'head 1' }))).to.equal(once);
    expect(withAlarm(once, alarm(2, { kept: 'head 1', partition: 1 }))).to.have.lengthOf(2);
    const acknowledged = [alarm(1, { acknowledgedAt: at(0) })];
    expect(withAlarm(acknowledged, alarm(2, { kept: 'head 1' }))).to.have.lengthOf(2);
  });

  it('forgets old alarms, and never an open one', () => {
    let alarms = withAlarm([], alarm(0));
    for (let n = 1; n < 200; n++) alarms = withAlarm(alarms, alarm(n, { acknowledgedAt: at(n) }));
    expect(alarms).to.have.lengthOf(51);
    expect(alarms.at(-1)?.id).to.equal('0');
    expect(alarms[0]?.id).to.equal('199');
  });

  it('has the first and the last of all sizes, and not too many between', () => {
    let seen: readonly Seen[] = [];
    for (let n = 0; n < 5000; n++) seen = withSeen(seen, { at: at(n), size: n });
    expect(seen).to.have.lengthOf.at.most(300);
    expect(seen[0]).to.deep.equal({ at: at(0), size: 0 });
    expect(seen.at(-1)).to.deep.equal({ at: at(4999), size: 4999 });
  });

  it('has of a size that stays only its begin and its end', () => {
    let seen: readonly Seen[] = [];
    for (let n = 0; n < 100; n++) seen = withSeen(seen, { at: at(n), size: 7 });
    expect(seen.map((one) => one.at)).to.deep.equal([at(0), at(99)]);
  });
});

describe('A moment in a field', () => {
  it('is in UTC, as exact as it was given', () => {
    expect(fromField('2026-03-04 05:06:07.089')).to.equal('2026-03-04T05:06:07.089Z');
    expect(fromField(' 2026-03-04T05:06Z ')).to.equal('2026-03-04T05:06:00.000Z');
    expect(fromField('2026-03-04')).to.equal('2026-03-04T00:00:00.000Z');
    expect(fromField(toField('2026-03-04T05:06:07.089Z'))).to.equal('2026-03-04T05:06:07.089Z');
  });

  it('is none if it is something else', () => {
    for (const text of ['', 'soon', '04/03/2026', '2026-13-01', '2026-03-04 25:00'])
      expect(fromField(text), text).to.equal(undefined);
  });
});
