import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { type AuditKeys, openEvents, renderJson } from '../../src/audit/events/transcript.js';
import { decodeLeaf, encodeEvent } from '../../src/domain/codec.js';
import { textContext } from '../../src/domain/messages/sealedMessages.js';
import { roomKeysId, sealText } from '../../src/vault/textKeys.js';
import { newRoomKeys } from '../support/fakeVault.js';

describe('events as JSON lines', () => {
  const roomKeys = newRoomKeys();
  const ann = randomUUID();
  const erased = randomUUID();
  const keys: AuditKeys = {
    getKeys: async () => new Map(),
    getRoomKeys: async (rooms) =>
      new Map(
        rooms.map((room) => [roomKeysId(room), room.owner === erased ? ('destroyed' as const) : roomKeys]),
      ),
  };

  it('say the same whether a leaf is parsed or only its sealed text is replaced', async () => {
    const message = fc.record({
      actor: fc.constantFrom(ann, erased),
      text: fc.string({ unit: 'grapheme', minLength: 1 }),
      seq: fc.nat(),
      replyTo: fc.option(fc.uuid()),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(message), async (messages) => {
        const leaves = messages.map(({ actor, text, seq, replyTo }, offset) => {
          const [roomId, messageId] = [randomUUID(), randomUUID()];
          const data = {
            ...{
              roomId,
              messageId,
              seq,
              text: sealText(roomKeys, { seq, rev: 0 }, text, textContext({ roomId, messageId })),
            },
            ...(replyTo === null ? {} : { replyTo }),
          };
          const leaf = encodeEvent({
            ...{ stream: `room:${roomId}`, version: 1, type: 'MessageSent', data, actor },
            ...{ recordedAt: '2026-01-01T00:00:00.000Z', commandId: randomUUID() },
          });
          return { partition: 1, offset, leaf };
        });
        const events = leaves.map(({ leaf, partition, offset }) => decodeLeaf(leaf, partition, offset));
        const opened = await openEvents(keys, events);
        expect(await renderJson(keys, leaves)).to.deep.equal(opened.map((event) => JSON.stringify(event)));
        expect(opened.map(({ data }) => data)).to.deep.equal(
          events.map(({ data }, i) => ({
            ...data,
            text: messages[i]?.actor === erased ? null : messages[i]?.text,
          })),
        );
      }),
    );
  });
});
