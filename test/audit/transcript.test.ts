import { expect } from 'chai';
import { transcriptLine } from '../../src/audit/events/transcript.js';

describe('a line of a transcript', () => {
  it('cannot be broken, nor a terminal led, by what people write', () => {
    const line = transcriptLine(
      {
        ...{ partition: 0, offset: 0, stream: 'room:1', version: 1, type: 'MessageSent', actor: 'ann' },
        ...{ recordedAt: '2026-01-01T00:00:00.000Z', commandId: '1' },
        data: { roomId: '1', seq: 1, text: 'a\nb\u001b[2Jc\u009bd\u202ee"f' },
      },
      (id) => id,
    );
    expect(line).to.equal(
      '2026-01-01T00:00:00.000Z  ann in room 1, message 1: "a\\nb\\u001b[2Jc\\u009bd\\u202ee\\"f"',
    );
  });

  it('ends with the server key through which the host application has acted', () => {
    const line = transcriptLine(
      {
        ...{ partition: 0, offset: 0, stream: 'user:1', version: 1, type: 'UserErased', actor: 'ann' },
        ...{ recordedAt: '2026-01-01T00:00:00.000Z', commandId: '1', via: 'k', data: { userId: 'ann' } },
      },
      (id) => id,
    );
    expect(line).to.equal('2026-01-01T00:00:00.000Z  ann erased their account (through key k)');
  });
});
