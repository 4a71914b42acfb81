import { expect } from 'chai';
import fc from 'fast-check';
import { commitFrame } from '../../../src/cluster/bus.js';
import { decodeCommit, encodeCommit } from '../../../src/cluster/busWire.js';
import { streamOf } from '../../../src/domain/ids.js';
import {
  ada,
  allOf,
  bob,
  commitOf,
  frameOf,
  messageLeaf,
  onlineLeaf,
  room,
} from '../../conformance/busFrames.js';

const users = fc.uuid();
const leaf = fc.oneof(
  fc.tuple(fc.string({ unit: 'binary' }), users).map(([text, roomId]) => messageLeaf(1, text, roomId)),
  users.map(onlineLeaf),
);
const frames = fc
  .record(
    {
      leaves: fc.array(leaf, { maxLength: 20 }),
      partition: fc.nat({ max: 63 }),
      position: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      epoch: fc.nat(),
      firstOffset: fc.nat(),
      frontier: fc.array(fc.base64String(), { maxLength: 5 }),
    },
    { requiredKeys: ['leaves', 'partition', 'position', 'epoch', 'firstOffset'] },
  )
  .map((fields) =>
    commitFrame(
      { ...commitOf(1, []), ...fields, size: fields.firstOffset + fields.leaves.length },
      new Map([[streamOf('room', room), [ada, bob]]]),
    ),
  );

describe('a commit on the wire', () => {
  it('is decoded as it was encoded', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(allOf(decodeCommit(encodeCommit(frame)))).to.deep.equal(allOf(frame));
      }),
    );
  });

  it('gives its users and position without decoding its leaves', () => {
    const unreadable = { ...commitOf(4, ['no event']), events: [], members: new Map() };
    const frame = decodeCommit(encodeCommit(unreadable));
    const { receivers, partition, position, size } = frame;
    expect({ receivers, partition, position, size }).to.deep.equal({
      receivers: { concerns: [], subjects: [], profiles: [] },
      partition: 3,
      position: 4,
      size: 101,
    });
    expect(frame.leaves).to.deep.equal(['no event']);
    expect(() => frame.events).to.throw();
  });

  it('begins with the users it concerns', () => {
    const text = Buffer.from(encodeCommit(frameOf(1, [messageLeaf(1, 'text'), onlineLeaf(bob)]))).toString();
    expect(text.startsWith(`{"concerns":["${ada}","${bob}"],"subjects":["${bob}"],`)).to.equal(true);
  });

  it('is refused if its format is unknown or missing', () => {
    const text = Buffer.from(encodeCommit(frameOf(1, []))).toString();
    for (const other of [text.replace('"format":1', '"format":2'), text.replace('"hash"', '"hush"'), 'x', ''])
      expect(() => decodeCommit(Buffer.from(other)), other).to.throw();
  });

  it('may have fields of a newer version', () => {
    const frame = frameOf(1, [messageLeaf(1, 'text')]);
    const text = Buffer.from(encodeCommit(frame)).toString().replace('"format":1', '"format":1,"newer":[1]');
    expect(allOf(decodeCommit(Buffer.from(text)))).to.deep.equal(allOf(frame));
  });
});
