import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { allKinds, hasEngine } from '../support/engines.js';
import { parley } from '../support/parley.js';
import type { RawSocket } from '../support/rawSocket.js';
import { type Searchable, startSearchable } from './erasure/traces.js';
import { chatOf, hear, Newcomer, say } from './newcomer.js';

for (const kind of allKinds)
  describe(`reports (${kind})`, function () {
    this.timeout(180_000);
    let system: Searchable;
    let ada: Newcomer;
    let ben: Newcomer;
    let eve: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let laptop: RawSocket;
    let roomId: string;

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
      const { server } = system;
      [ada, ben, eve] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
      [phone, tablet, laptop] = [await ada.device(), await ben.device(), await eve.device()];
      roomId = await chatOf(phone, ben);
    });
    after(async () => {
      for (const device of [phone, tablet, laptop]) await device?.close();
      await system?.server.stop();
    });

    const run = (...args: string[]) => parley(args, system.server.settings);
    /** Reports by Ben, about whom nothing else is said. */
    const report = (data: object) =>
      tablet.request('report', { reportId: randomUUID(), category: 'spam', ...data });
    const refusal = async (device: RawSocket, data: object): Promise<string> => {
      const whole = { reportId: randomUUID(), category: 'spam', ...data };
      return (await device.refusal('report', whole)).code;
    };

    it('are answered with a revision; the same again is answered, and another body is a conflict', async () => {
      const { messageId } = await say(phone, roomId, 'buy this');
      await hear(tablet, 'buy this');
      const reportId = randomUUID();
      const body = { reportId, roomId, messageIds: [messageId], userId: ada.userId, note: 'again and again' };
      for (let i = 0; i < 2; i++) {
        const { revision } = await report(body);
        await tablet.request('get active chats', { revision });
      }
      for (const change of [
        { note: 'other' },
        { category: 'other' },
        { userId: eve.userId },
        { messageIds: undefined },
      ])
        expect(await refusal(tablet, { ...body, ...change })).to.equal('conflict');
      expect(await refusal(laptop, { reportId, userId: ada.userId })).to.equal('conflict');
    });

    it('of what one may not see are not_found, as of what does not exist', async () => {
      const { messageId } = await say(phone, roomId, 'among us');
      for (const data of [
        { roomId },
        { roomId, messageIds: [messageId] },
        { roomId: randomUUID() },
        { userId: randomUUID() },
      ])
        expect(await refusal(laptop, data), JSON.stringify(data)).to.equal('not_found');
      expect(await refusal(tablet, { roomId, messageIds: [messageId, randomUUID()] })).to.equal('not_found');
    });

    it('keep the text of a message that is deleted after them, which members no longer see', async () => {
      const [first, second] = [
        await say(phone, roomId, 'reported'),
        await say(phone, roomId, 'not reported'),
      ];
      await report({ roomId, messageIds: [first.messageId] });
      const before = await system.textSecretsOf(ada.userId);
      for (const { messageId, seq } of [first, second]) {
        expect(await run('message', 'delete', roomId, messageId)).to.include({ code: 0 });
        await tablet.push('delete message', (data) => data.seq === seq);
        await phone.push('delete message', (data) => data.seq === seq);
      }
      const seen = await tablet.request('fetch messages', { roomId, limit: 2 });
      expect(seen.messages.map(({ message }) => message)).to.deep.equal([null, null]);
      expect(await system.tracesOf(before), 'keys of the other one are gone').to.deep.equal([]);
      const verified = await run('audit', 'verify');
      expect(verified.out, verified.err).to.include('verified: nothing is wrong');
    });

    it('are 20 a day; one more is rate_limited, and a repeat is none more', async () => {
      const ids = Array.from({ length: 20 }, () => randomUUID());
      const body = { userId: ada.userId, category: 'harassment' } as const;
      for (const reportId of ids) await laptop.request('report', { reportId, ...body });
      expect(await refusal(laptop, body)).to.equal('rate_limited');
      await laptop.request('report', { reportId: ids[0] ?? '', ...body });
    });
  });
