import { expect } from 'chai';
import fc from 'fast-check';
import { ParleyError } from '../../src/base/errors.js';
import { type Cursor, Cursors } from '../../src/gateway/cursor.js';

const logId = '0b5f0c6e-9f5d-4d5a-8f5e-2f1f6a7b8c9d';
const cursors = new Cursors(logId, 3);
const sizes = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const vector = fc.tuple(sizes, sizes, sizes);
const cursor: fc.Arbitrary<Cursor> = fc.oneof(
  fc.record({ kind: fc.constant('live' as const), at: vector }),
  fc.record({
    kind: fc.constant('walk' as const),
    from: vector,
    to: vector,
    partition: fc.nat({ max: 2 }),
    key: fc.uuid().map((id) => `room:${id}`),
    offset: sizes,
  }),
);

const refused = (read: () => unknown, reason?: 'history'): void => {
  try {
    read();
  } catch (error) {
    expect(error).instanceOf(ParleyError).property('code', 'bad_request');
    if (reason) expect((error as ParleyError).details.reason).to.equal(reason);
    return;
  }
  expect.fail('it was accepted');
};

describe('cursors and revisions', () => {
  it('are given back as they were written', () => {
    fc.assert(
      fc.property(cursor, (given) => {
        expect(cursors.parseCursor(cursors.write(given))).deep.equal(given);
      }),
    );
    fc.assert(
      fc.property(fc.nat({ max: 2 }), sizes, (partition, size) => {
        expect(cursors.parseRevision(cursors.revision({ partition, size }))).deep.equal({ partition, size });
      }),
    );
  });

  it('are a bad_request once a character of them is altered', () => {
    fc.assert(
      fc.property(cursor, fc.nat(), fc.constantFrom(...'0123456789abcxyzLWR.-'), (given, at, other) => {
        const text = cursors.write(given);
        const place = at % text.length;
        fc.pre(text[place] !== other);
        refused(() => cursors.parseCursor(text.slice(0, place) + other + text.slice(place + 1)));
      }),
    );
  });

  it('are a bad_request when they are of another log', () => {
    const other = new Cursors('1b5f0c6e-9f5d-4d5a-8f5e-2f1f6a7b8c9d', 3);
    refused(() => cursors.parseCursor(other.live([1, 2, 3])), 'history');
    refused(() => cursors.parseRevision(other.revision({ partition: 0, size: 1 })), 'history');
  });

  it('are a bad_request when they name no log, or the beginning of its id', () => {
    const at = { partition: 0, size: 1 };
    for (const id of ['', '0', logId.slice(0, 8), `${logId.slice(0, 8)}-9f5`, ' ', '.']) {
      const other = new Cursors(id, 3);
      refused(() => cursors.parseCursor(other.live([1, 2, 3])));
      refused(() => cursors.parseRevision(other.revision(at)));
      const walk = {
        kind: 'walk',
        from: [0, 0, 0],
        to: [1, 2, 3],
        partition: 0,
        key: '',
        offset: 0,
      } as const;
      refused(() => cursors.parseCursor(other.write(walk)));
    }
  });

  it('are a bad_request in the place of each other', () => {
    refused(() => cursors.parseCursor(cursors.revision({ partition: 0, size: 1 })));
    refused(() => cursors.parseRevision(cursors.live([1, 2, 3])));
  });

  it('are a bad_request when they are no such thing at all', () => {
    for (const text of ['', '.', 'x', 'L.1', '\u0000', '💬'])
      for (const read of [() => cursors.parseCursor(text), () => cursors.parseRevision(text)]) refused(read);
  });
});
