import { expect } from 'chai';
import {
  type ConversionRule,
  decodeLeaf,
  downcaster,
  encodeEvent,
  UnknownEventType,
  type UnplacedEvent,
  upcaster,
} from '../../src/domain/codec.js';

const event: UnplacedEvent = {
  stream: 'room:r',
  version: 3,
  type: 'MessagesRead',
  data: { roomId: 'r', userId: 'u', upTo: 2 },
  actor: 'u',
  recordedAt: '2026-01-01T00:00:00.000Z',
  commandId: 'c',
};
const text = '["room:r",3,"MessagesRead",{"userId":"u","upTo":2},"u","2026-01-01T00:00:00.000Z","c"]';

describe('an event as a leaf', () => {
  it('is a JSON array in a fixed order, without its place and without repeating the stream’s id', () => {
    const placed = { ...event, partition: 4, offset: 9 };
    const { stream, ...rest } = placed;
    expect(encodeEvent(placed)).to.equal(text);
    expect(encodeEvent({ ...rest, stream })).to.equal(text);
  });

  it('names the server key through which it was caused, if one was, as its last value', () => {
    const through = { ...event, via: 'k' };
    const withKey = text.replace('"c"]', '"c","k"]');
    expect(encodeEvent(through)).to.equal(withKey);
    expect(decodeLeaf(withKey, 4, 9)).to.deep.equal({ ...through, partition: 4, offset: 9 });
    expect(decodeLeaf(text, 4, 9)).not.to.have.property('via');
  });

  it('is one line of text whatever is in it', () => {
    const odd = encodeEvent({ ...event, commandId: 'a\nb\ud800\u0000' });
    expect(odd).to.not.match(/[\n\p{Surrogate}]/u);
    expect(decodeLeaf(odd, 0, 0).commandId).to.equal('a\nb\ud800\u0000');
  });

  it('is read with the place where it lies', () => {
    expect(decodeLeaf(text, 4, 9)).to.deep.equal({ ...event, partition: 4, offset: 9 });
  });

  it('of an unknown type is never skipped', () => {
    for (const type of ['MessageSang', 'toString', '__proto__'])
      expect(() => decodeLeaf(text.replace('MessagesRead', type), 0, 0))
        .to.throw(UnknownEventType)
        .with.property('type', type);
  });
});

describe('an old type of event', () => {
  // The shapes of old types live in the rules alone.
  const only = (marks: unknown) => (marks as { marks: unknown[] }).marks[0];
  const rules: ConversionRule[] = [
    { from: 'MarkMoved', to: 'MarksMoved', upcast: (mark) => ({ marks: [mark] }), downcast: only },
    { from: 'MarksMoved', to: 'MessagesRead', upcast: only, downcast: (mark) => ({ marks: [mark] }) },
    { from: 'UserCame', to: 'UserWentOnline', upcast: (user) => user },
  ];
  const upcast = upcaster(rules);
  const downcast = downcaster(rules);
  const knowing =
    (...types: string[]) =>
    (type: string) =>
      types.includes(type);

  it('is read as the present one, over as many steps as there are', () => {
    const old = text.replace('MessagesRead', 'MarkMoved');
    expect(decodeLeaf(old, 0, 1, upcast)).to.deep.equal({ ...event, partition: 0, offset: 1 });
    const middle = encodeEvent(event, { type: 'MarksMoved', data: { marks: [event.data] } });
    expect(decodeLeaf(middle, 0, 1, upcast)).to.deep.equal({ ...event, partition: 0, offset: 1 });
  });

  it('leaves present types as they are', () => {
    expect(decodeLeaf(text, 0, 1, upcast)).to.deep.equal({ ...event, partition: 0, offset: 1 });
  });

  it('is written, instead of the present one, while that is not known to all: the newest that is', () => {
    const { type, data } = event;
    const everywhere = knowing('MarkMoved', 'MarksMoved', 'MessagesRead');
    expect(downcast(type, data, everywhere)).to.deep.equal({ type, data });
    const middle = { type: 'MarksMoved', data: { marks: [data] } };
    expect(downcast(type, data, knowing('MarkMoved', 'MarksMoved'))).to.deep.equal(middle);
    const oldest = { type: 'MarkMoved', data };
    expect(downcast(type, data, knowing('MarkMoved'))).to.deep.equal(oldest);
    expect(encodeEvent(event, oldest)).to.equal(encodeEvent(event).replace('MessagesRead', 'MarkMoved'));
  });

  it('is not written where none is known to all, or none can say what the present one does', () => {
    expect(downcast('MessagesRead', event.data, knowing())).to.equal(undefined);
    expect(downcast('UserWentOnline', { userId: 'u' }, knowing('UserCame'))).to.equal(undefined);
  });
});
