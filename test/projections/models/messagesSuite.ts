import { expect } from 'chai';
import type { RoomId } from '../../../src/domain/ids.js';
import { messageTerm } from '../../../src/domain/messages/sealedMessages.js';
import { messageIdHash, messageIdKeys } from '../../../src/projections/models/messageIdIndex.js';
import { messageFacts, type PageRequest } from '../../../src/projections/models/messageRows.js';
import { type Folded, folded, type MakeRows } from './fold.js';
import { sealed, World } from './world.js';

/** Tests the history: pages, and the reads of writers. */
export function messagesSuite(makeRows: MakeRows): void {
  describe('messages', () => {
    let store: Folded;
    let roomId: RoomId;
    const page = async (request: PageRequest) => {
      const { messages, hasMore } = await store.queries.messages(roomId, request, []);
      return { seqs: messages.map(({ seq }) => seq), hasMore };
    };

    before(async () => {
      const world = new World(3);
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      roomId = world.openChat(anna, ben);
      const others = [world.openChat(anna, chris), world.openChat(ben, chris)];
      for (let i = 1; i <= 20; i++) {
        world.send(i % 2 ? anna : ben, roomId, `message ${i}`);
        for (const other of others) world.send(chris, other, 'elsewhere');
      }
      store = await folded(world, await makeRows());
    });

    it('are the newest ones in ascending seq without before or after', async () => {
      expect(await page({ limit: 3 })).to.deep.equal({ seqs: [18, 19, 20], hasMore: true });
      expect((await page({ limit: 20 })).hasMore).to.equal(false);
    });

    it('before a seq are those next to it; hasMore tells of older ones', async () => {
      expect(await page({ before: 18, limit: 3 })).to.deep.equal({ seqs: [15, 16, 17], hasMore: true });
      expect(await page({ before: 4, limit: 3 })).to.deep.equal({ seqs: [1, 2, 3], hasMore: false });
      expect(await page({ before: 1, limit: 3 })).to.deep.equal({ seqs: [], hasMore: false });
      expect(await page({ before: 0, limit: 3 })).to.deep.equal({ seqs: [], hasMore: false });
    });

    it('after a seq are those next to it; hasMore tells of newer ones', async () => {
      expect(await page({ after: 0, limit: 3 })).to.deep.equal({ seqs: [1, 2, 3], hasMore: true });
      expect(await page({ after: 17, limit: 3 })).to.deep.equal({ seqs: [18, 19, 20], hasMore: false });
      const beyond = Number.MAX_SAFE_INTEGER;
      expect(await page({ after: beyond, limit: 3 })).to.deep.equal({ seqs: [], hasMore: false });
    });

    it('of a room that does not exist are none', async () => {
      expect(await store.queries.messages(new World().id(), { limit: 3 }, [])).to.deep.equal({
        messages: [],
        hasMore: false,
      });
    });
  });

  describe('a message', () => {
    it('is shown with its text kept exactly, or null and erased', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      const first = world.send(anna, roomId, ' kept \u0000 as sent ');
      const second = world.send(ben, roomId, 'gone', { replyTo: first });
      world.destroyKey(ben);
      const { queries } = await folded(world, await makeRows());
      const { messages } = await queries.messages(roomId, { limit: 50 }, []);
      const sentAt = ['2026-01-01T00:00:05.000Z', '2026-01-01T00:00:06.000Z'];
      expect(messages).to.deep.equal([
        {
          messageId: first,
          roomId,
          seq: 1,
          senderId: anna,
          message: ' kept \u0000 as sent ',
          sentAt: sentAt[0],
        },
        {
          messageId: second,
          roomId,
          seq: 2,
          senderId: ben,
          message: null,
          erased: true,
          replyTo: first,
          sentAt: sentAt[1],
        },
      ]);
    });

    it('that was sent is known to writers, sealed, by room and id, however many are asked for', async () => {
      const world = new World();
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      const roomId = world.openChat(anna, ben);
      const elsewhere = world.openChat(anna, chris);
      const sent = Array.from({ length: 300 }, (_, i) => world.send(anna, roomId, `message ${i + 1}`));
      const { rows } = await folded(world, await makeRows());
      const [messageId = ''] = sent;
      const refs = [...sent, world.id()].map((id) => ({ roomId, messageId: id }));
      const asked = [...refs, { roomId: elsewhere, messageId }].map((ref) => ({
        ...ref,
        keys: messageIdKeys(messageIdHash(ref), 0, world.lastOffset() + 1),
        seqs: [],
      }));
      const facts = await messageFacts(rows, asked);
      expect(facts.size).to.equal(300);
      expect(facts.get(messageTerm({ roomId, messageId }))).to.deep.equal({
        message: {
          ...{ messageId, roomId, seq: 1, senderId: anna, text: sealed('message 1') },
          sentAt: '2026-01-01T00:00:08.000Z',
        },
        offset: 8,
      });
      expect((await messageFacts(rows, [])).size).to.equal(0);
    });
  });
}
