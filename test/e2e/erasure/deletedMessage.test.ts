import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import { allKinds, hasEngine, leftOutOnNodes } from '../../support/engines.js';
import { parley } from '../../support/parley.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say } from '../newcomer.js';
import { type Searchable, startSearchable } from './traces.js';

leftOutOnNodes('texts that auditors read', 'those without the partition may hold its keys for 60 s more');
for (const kind of allKinds) {
  describe(`a message that an operator deletes (${kind})`, function () {
    this.timeout(180_000);
    let system: Searchable;
    let ada: Newcomer;
    let ben: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let roomId: string;

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
      [ada, ben] = [await Newcomer.at(system.server), await Newcomer.at(system.server)];
      [phone, tablet] = [await ada.device(), await ben.device()];
      roomId = await chatOf(phone, ben);
    });
    after(async () => {
      for (const device of [phone, tablet]) await device?.close();
      await system?.server.stop();
    });

    const run = (...args: string[]) => parley(args, system.server.settings);
    const remove = (messageId: string) => run('message', 'delete', roomId, messageId);

    it('is told to those who are there, and shown without its text ever after', async () => {
      const kept = await say(phone, roomId, 'this one stays');
      const text = 'this one must go, and nobody shall read it again';
      const { messageId, seq, replyTo: _, ...sent } = await say(phone, roomId, text);
      await hear(tablet, text);
      const away = tablet.cursor;
      const before = await system.textSecretsOf(ada.userId);
      expect(await system.tracesOf(before), 'a control: the search finds what is stored').to.deep.equal(
        before,
      );

      expect(await remove(messageId)).to.include({ code: 0 });
      expect(await system.tracesOf(before), 'what held its key').to.deep.equal([]);
      const told = { roomId, messageId, seq, by: 'system' };
      for (const device of [phone, tablet])
        expect((await device.push('delete message')).data).deep.equal(told);

      const gone = { ...sent, messageId, seq, message: null, deleted: { by: 'system' } };
      const seen = async (device: RawSocket) => (await device.request('fetch messages', { roomId })).messages;
      for (const device of [phone, tablet]) expect(await seen(device)).to.deep.equal([kept, gone]);
      const { chat } = await tablet.request('get chat', { roomId });
      expect(chat.lastMessage).to.deep.equal(gone);
      expect(chat.unread, 'it keeps its place').to.equal(2);

      const back = await ben.device(away);
      await back.push('identity', ({ caughtUp }) => caughtUp);
      expect(back.pushed('delete message')).to.deep.equal([told]);
      expect(back.pushed('send message')).to.deep.equal([]);
      await back.close();

      const again = await phone.request('send message', { roomId, messageId, message: text });
      expect(again.message, 'a repeat is answered with what is true now').to.deep.equal(gone);
      expect(await remove(messageId), 'once more').to.include({ code: 0 });
    });

    it('comes once to who was away all the time, as it is now', async () => {
      const { cursor } = tablet;
      const { messageId, seq } = await say(phone, roomId, 'sent and deleted meanwhile');
      await say(phone, roomId, 'and one behind it');
      expect(await remove(messageId)).to.include({ code: 0 });
      await system.server.restart();
      const back = await ben.device(cursor);
      await back.push('identity', ({ caughtUp }) => caughtUp);
      const messages = back.pushed('send message').map(({ message }) => [message.seq, message.message]);
      expect(messages).to.deep.equal([
        [seq, null],
        [seq + 1, 'and one behind it'],
      ]);
      expect(back.pushed('delete message')).to.deep.equal([]);
      await back.close();
    });

    it('is destroyed with its earlier texts and its data when its sender deletes it', async () => {
      const cem = await Newcomer.at(system.server);
      const [phone, tablet] = [await cem.device(), await ben.device()];
      const roomId = await chatOf(phone, ben);
      const { messageId } = await say(phone, roomId, 'the first text, which nobody shall read again');
      const body = {
        roomId,
        messageId: randomUUID(),
        message: 'text beside data',
        data: { of: 'nobody else' },
      };
      await phone.request('send message', body);
      for (const message of ['the second text', 'the third text'])
        await phone.request('edit message', { roomId, messageId, editId: randomUUID(), message });
      const before = await system.textSecretsOf(cem.userId);
      expect(await system.tracesOf(before), 'a control').to.deep.equal(before);
      await phone.request('delete message', { roomId, messageId });
      const { revision } = await phone.request('delete message', { roomId, messageId: body.messageId });
      expect(await system.tracesOf(before), 'what held their keys').to.deep.equal([]);
      const { out } = await run('audit', 'replay', '--stream', `room:${roomId}`);
      const said = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .filter(({ data }) => [messageId, body.messageId].includes(data.messageId) && 'text' in data);
      expect(
        said.map(({ type, erased, data }) => [type, erased, data.text, data.data ?? null]),
      ).to.deep.equal([
        ...['MessageSent', 'MessageSent', 'MessageEdited', 'MessageEdited'].map((type) => [
          type,
          true,
          null,
          null,
        ]),
      ]);
      const { messages } = await tablet.request('fetch messages', { roomId, limit: 2, revision });
      for (const message of messages)
        expect(message).to.deep.include({ message: null, deleted: { by: cem.userId } });
      await Promise.all([phone, tablet].map((device) => device.close()));
    });

    it('stays in the log, which verifies, says who deleted it, and opens every other text', async () => {
      const verified = await run('audit', 'verify');
      expect(verified.out, verified.err).to.include('verified: nothing is wrong');
      const { out } = await run('audit', 'replay', '--stream', `room:${roomId}`);
      const events = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const texts = events.flatMap(({ type, data }) => (type === 'MessageSent' ? [data.text] : []));
      expect(texts).to.deep.equal(['this one stays', null, null, 'and one behind it']);
      const deletions = events.filter(({ type }) => type === 'MessageDeleted');
      expect(deletions.map(({ actor, data }) => [actor, data.seq])).to.deep.equal([
        ['system', 2],
        ['system', 3],
      ]);
    });

    const toAuditors = async (): Promise<void> => {
      const auditor = await Newcomer.at(system.server);
      expect(await run('role', 'auditor', auditor.user.username ?? '')).to.include({ code: 0 });
      const texts = async (): Promise<(string | null)[]> => {
        const path = `/audit/rooms/${roomId}?at=${seq}`;
        const { messages } = await answerOf(system.server.url + path, auditor.token);
        return messages.slice(-2).map(({ message }) => message);
      };
      const phone = await ada.device();
      await say(phone, roomId, 'read and kept');
      const { messageId, seq } = await say(phone, roomId, 'read and deleted');
      expect(await texts()).to.deep.equal(['read and kept', 'read and deleted']);
      expect(await remove(messageId)).to.include({ code: 0 });
      expect(await texts()).to.deep.equal(['read and kept', null]);
      await phone.close();
    };
    if (kind !== 'nodes') it('is not shown to auditors either, who read its text a moment ago', toAuditors);

    it('must be there', async () => {
      const { code, err } = await remove('11111111-1111-4111-8111-111111111111');
      expect(code).to.equal(1);
      expect(err).to.match(/^parley: room .* has no message .*\n$/);
    });
  });
}

async function answerOf(url: string, token: string): Promise<{ messages: readonly Message[] }> {
  const reply = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  expect(reply.status).to.equal(200);
  return (await reply.json()) as { messages: readonly Message[] }; // The contract's shape of a room.
}
