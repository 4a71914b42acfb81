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
    expect(line).to.equal('2026-01-01T00:00:00.000Z  the account of ann was erased (through key k)');
  });

  for (const [count, deleted, reported] of [
    [1, 'delete 1 message', 'message 1'],
    [2, 'delete 2 messages', 'messages 1, 2'],
  ] as const)
    it(`counts ${count} of the reported and deleted messages`, () => {
      const common = {
        ...({ partition: 0, offset: 0, stream: 'user:ann', version: 1, actor: 'ann' } as const),
        ...{ recordedAt: '2026-01-01T00:00:00.000Z', commandId: '1' },
      } as const;
      const ids = Array.from({ length: count }, (_, i) => `m${i + 1}`);
      const seqs = ids.map((_, i) => i + 1);
      const made = { reportId: 'r', roomId: 'room', messageIds: ids, seqs, category: 'spam' };
      const report = transcriptLine({ ...common, type: 'MessageReported', data: made }, (id) => id);
      expect(report).to.contain(`ann reported ${reported} of room room as spam`);
      const verdict = { reportId: 'r', by: 'mia', decision: { delete: ids }, note: 'so' };
      const decision = transcriptLine({ ...common, type: 'ReportDecided', data: verdict }, (id) => id);
      expect(decision).to.contain(`mia decided report r (${deleted}): "so"`);
    });
});
