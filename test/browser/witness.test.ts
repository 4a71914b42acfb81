import { expect } from 'chai';
import { type Alarm, addAlarm, addSize, type SizeSample } from '../../web/audit/witness/witnessState.js';
import { formatTimeField, parseTimeField } from '../../web/ui/format.js';

const alarm = (n: number, more: Partial<Alarm> = {}): Alarm => ({
  ...{
    id: `${n}`,
    partition: 0,
    at: '2026-01-01T00:00:00.000Z',
    steps: [],
    trusted: `head ${n}`,
    rejected: '',
    keys: '',
  },
  ...more,
});
const at = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString();

describe('The state of the witness', () => {
  it('has one open alarm of a trusted head, however often another is rejected', () => {
    const once = addAlarm([], alarm(1));
    expect(addAlarm(once, alarm(2, { trusted: 'head 1' }))).to.equal(once);
    expect(addAlarm(once, alarm(2, { trusted: 'head 1', partition: 1 }))).to.have.lengthOf(2);
    const acknowledged = [alarm(1, { acknowledgedAt: at(0) })];
    expect(addAlarm(acknowledged, alarm(2, { trusted: 'head 1' }))).to.have.lengthOf(2);
  });

  it('removes old alarms, but never an open one', () => {
    let alarms = addAlarm([], alarm(0));
    for (let n = 1; n < 200; n++) alarms = addAlarm(alarms, alarm(n, { acknowledgedAt: at(n) }));
    expect(alarms).to.have.lengthOf(51);
    expect(alarms.at(-1)?.id).to.equal('0');
    expect(alarms[0]?.id).to.equal('199');
  });

  it('keeps the first and the last size, and at most 300 in total', () => {
    let sizes: readonly SizeSample[] = [];
    for (let n = 0; n < 5000; n++) sizes = addSize(sizes, { at: at(n), size: n });
    expect(sizes).to.have.lengthOf.at.most(300);
    expect(sizes[0]).to.deep.equal({ at: at(0), size: 0 });
    expect(sizes.at(-1)).to.deep.equal({ at: at(4999), size: 4999 });
  });

  it('keeps only the first and the last sample of an unchanged size', () => {
    let sizes: readonly SizeSample[] = [];
    for (let n = 0; n < 100; n++) sizes = addSize(sizes, { at: at(n), size: 7 });
    expect(sizes.map((one) => one.at)).to.deep.equal([at(0), at(99)]);
  });
});

describe('A time field', () => {
  it('is in UTC, with milliseconds if given', () => {
    expect(parseTimeField('2026-03-04 05:06:07.089')).to.equal('2026-03-04T05:06:07.089Z');
    expect(parseTimeField(' 2026-03-04T05:06Z ')).to.equal('2026-03-04T05:06:00.000Z');
    expect(parseTimeField('2026-03-04')).to.equal('2026-03-04T00:00:00.000Z');
    expect(parseTimeField(formatTimeField('2026-03-04T05:06:07.089Z'))).to.equal('2026-03-04T05:06:07.089Z');
  });

  it('rejects text that is not a time', () => {
    for (const text of ['', 'soon', '04/03/2026', '2026-13-01', '2026-03-04 25:00'])
      expect(parseTimeField(text), text).to.equal(undefined);
  });
});
