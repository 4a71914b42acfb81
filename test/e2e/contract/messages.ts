import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, heard, Newcomer, say, talk } from '../newcomer.js';

/** `send message`. */
export function messages(place: Place): void {
  let ada: Newcomer;
  let ben: Newcomer;
  let phone: RawSocket;
  let tablet: RawSocket;
  let roomId: string;
  beforeEach(async () => {
    ({ ada, ben, phone, tablet, roomId } = await talk(place));
  });
  afterEach(() => Promise.all([phone, tablet].map((device) => device.close())));

  it('is answered with the message, numbered 1, 2, 3 in its room', async () => {
    const messageId = randomUUID();
    const { message, revision } = await phone.request('send message', { roomId, messageId, message: 'two' });
    expect(message).to.deep.equal({
      messageId,
      roomId,
      seq: 2,
      senderId: ada.userId,
      message: 'two',
      sentAt: new Date(message.sentAt).toISOString(),
    });
    expect(revision).to.be.a('string');
    expect((await say(tablet, roomId, 'three')).seq).to.equal(3);
  });

  it('is pushed to all connections of all members but the sending one', async () => {
    const [laptop, watch] = [await ada.device(), await ben.device()];
    const message = await say(phone, roomId, 'for all');
    for (const device of [laptop, watch, tablet]) {
      const { data, cursor } = await device.push(
        'send message',
        (push) => push.message.message === 'for all',
      );
      expect(data).to.deep.equal({ message });
      expect(cursor).to.be.a('string');
    }
    await say(tablet, roomId, 'thanks');
    await hear(phone, 'thanks');
    expect(heard(phone)).to.deep.equal(['thanks']);
    await Promise.all([laptop.close(), watch.close()]);
  });

  it('may be repeated, at once or later, by any device: the first message again, and one push', async () => {
    const laptop = await ada.device();
    const data = { roomId, messageId: randomUUID(), message: 'once' };
    const [first, atOnce, elsewhere] = await Promise.all([
      phone.request('send message', data),
      phone.request('send message', data),
      laptop.request('send message', data),
    ]);
    await say(phone, roomId, 'after it');
    const later = await phone.request('send message', { ...data, messageId: data.messageId.toUpperCase() });
    for (const again of [atOnce, elsewhere, later]) expect(again.message).to.deep.equal(first.message);
    expect(later.revision).to.not.equal(first.revision);
    await hear(tablet, 'after it');
    expect(heard(tablet)).to.deep.equal(['hello', 'once', 'after it']);
    const page = await phone.request('fetch messages', { roomId, revision: later.revision });
    expect(page.messages.map(({ seq, message }) => [seq, message])).to.deep.equal([
      [1, 'hello'],
      [2, 'once'],
      [3, 'after it'],
    ]);
    await laptop.close();
  });

  it('is a conflict with another body or sender; the same id in another room is another message', async () => {
    const other = await Newcomer.at(place);
    const otherRoom = await chatOf(phone, other);
    const data = { roomId, messageId: randomUUID(), message: 'mine' };
    const { message } = await phone.request('send message', data);
    const reply = { ...data, replyTo: message.messageId };
    for (const changed of [{ ...data, message: 'other' }, { ...data, message: 'mine ' }, reply])
      expect(await phone.refusal('send message', changed)).to.include({ code: 'conflict' });
    expect(await tablet.refusal('send message', data)).to.include({ code: 'conflict' });
    const elsewhere = await phone.request('send message', { ...data, roomId: otherRoom });
    expect(elsewhere.message.seq).to.equal(1);
  });

  it('compares ids, and gives them back, in lower case', async () => {
    const [messageId, replyId] = [randomUUID(), randomUUID()];
    const upper = { roomId: roomId.toUpperCase(), messageId: messageId.toUpperCase(), message: 'upper' };
    expect((await phone.request('send message', upper)).message).to.include({ roomId, messageId });
    const reply = { roomId, messageId: replyId, message: 'a reply', replyTo: messageId.toUpperCase() };
    expect((await phone.request('send message', reply)).message).to.include({ replyTo: messageId });
    expect((await hear(tablet, 'upper')).messageId).to.equal(messageId);
  });

  it('keeps 1 to 8,192 code points of any text exactly as sent', async () => {
    const kept = [
      'x',
      'é',
      'e\u0301',
      ' a \n',
      '\u0000',
      '\u200b',
      '<b>&amp;</b>',
      '"\\',
      '\uffff',
      '👩‍👩‍👧',
    ];
    for (const text of [...kept, 'x'.repeat(8192), '😀'.repeat(8192)]) {
      expect((await say(phone, roomId, text)).message === text).to.equal(true);
      expect((await hear(tablet, text)).message === text).to.equal(true);
    }
    const { messages } = await tablet.request('fetch messages', { roomId, after: 1 });
    expect(messages.slice(0, kept.length).map(({ message }) => message)).to.deep.equal(kept);
  });

  it('refuses any other text', async () => {
    const bad = ['', ' ', '\n\t\u00a0\u3000', 'x'.repeat(8193), '😀'.repeat(8193), 'a\ud800', '\udc00\ud800'];
    for (const message of [...bad, null, 7, undefined]) {
      const { code, fields } = await phone.refusal('send message', {
        roomId,
        messageId: randomUUID(),
        message,
      });
      expect({ code, path: fields?.[0]?.path }).to.deep.equal({ code: 'bad_request', path: 'message' });
    }
    const noId = { roomId, messageId: 'one', message: 'x' };
    expect((await phone.refusal('send message', noId)).fields?.[0]?.path).to.equal('messageId');
  });

  it('replies to an earlier message in the room, and to nothing else', async () => {
    const other = await Newcomer.at(place);
    const elsewhere = await say(phone, await chatOf(phone, other), 'elsewhere');
    const earlier = await say(tablet, roomId, 'earlier');
    const messageId = randomUUID();
    const send = { roomId, messageId, message: 'a reply' };
    for (const replyTo of [randomUUID(), elsewhere.messageId, messageId]) {
      const { code } = await phone.refusal('send message', { ...send, replyTo });
      expect(code).to.equal('bad_request');
    }
    const reply = { ...send, replyTo: earlier.messageId };
    const { message } = await phone.request('send message', reply);
    expect(message.replyTo).to.equal(earlier.messageId);
    expect(await hear(tablet, 'a reply')).to.deep.equal(message);
    expect((await phone.request('send message', reply)).message).to.deep.equal(message);
  });

  it('is not_found in a room that is not mine, as in one that does not exist', async () => {
    const stranger = await (await Newcomer.at(place)).device();
    const other = randomUUID();
    const requests: [string, object][] = [
      ['send message', { messageId: randomUUID(), message: 'hi' }],
      ['fetch messages', {}],
      ['read messages', {}],
      ['leave room', {}],
      ['notify typing', { isTyping: true }],
    ];
    for (const [event, data] of requests) {
      const [mine, none] = [
        await stranger.refusal(event, { ...data, roomId }),
        await stranger.refusal(event, { ...data, roomId: other }),
      ];
      expect(mine.code, event).to.equal('not_found');
      expect(JSON.stringify(mine).replaceAll(roomId, ''), event).to.equal(
        JSON.stringify(none).replaceAll(other, ''),
      );
    }
    await stranger.close();
  });
}

/** `fetch messages`. */
export function history(place: Place): void {
  let phone: RawSocket;
  let tablet: RawSocket;
  let roomId: string;
  before(async () => {
    ({ phone, tablet, roomId } = await talk(place));
    await Promise.all(Array.from({ length: 119 }, (_, n) => say(phone, roomId, `message ${n + 2}`)));
    await hear(tablet, 'message 120');
  });
  after(() => Promise.all([phone, tablet].map((device) => device?.close())));

  const page = async (data: { before?: number; after?: number; limit?: number }) => {
    const { messages, hasMore } = await tablet.request('fetch messages', { roomId, ...data });
    const seqs = messages.map(({ seq }) => seq);
    const [first = 0, last = 0] = [seqs[0], seqs.at(-1)];
    // In ascending seq, and without a hole.
    expect(seqs).to.deep.equal(seqs.map((_, n) => first + n));
    return [first, last, hasMore];
  };

  it('gives the newest 50 without before or after', async () => {
    expect(await page({})).to.deep.equal([71, 120, true]);
    const { messages } = await tablet.request('fetch messages', { roomId, limit: 1 });
    expect(messages[0]).to.include({ roomId, seq: 120, message: 'message 120' });
  });

  it('goes back from before and on from after, both exclusive, and says whether there is more that way', async () => {
    expect(await page({ before: 71 })).to.deep.equal([21, 70, true]);
    expect(await page({ before: 51 })).to.deep.equal([1, 50, false]);
    expect(await page({ before: 21 })).to.deep.equal([1, 20, false]);
    expect(await page({ before: 1 })).to.deep.equal([0, 0, false]);
    expect(await page({ before: 0 })).to.deep.equal([0, 0, false]);
    expect(await page({ before: 1000, limit: 3 })).to.deep.equal([118, 120, true]);
    expect(await page({ after: 0 })).to.deep.equal([1, 50, true]);
    expect(await page({ after: 70 })).to.deep.equal([71, 120, false]);
    expect(await page({ after: 118, limit: 1 })).to.deep.equal([119, 119, true]);
    expect(await page({ after: 120 })).to.deep.equal([0, 0, false]);
    expect(await page({ after: 9000 })).to.deep.equal([0, 0, false]);
    expect(await page({ limit: 200 })).to.deep.equal([1, 120, false]);
    expect(await page({ limit: 120 })).to.deep.equal([1, 120, false]);
  });

  it('refuses before and after together', async () => {
    const { code } = await tablet.refusal('fetch messages', { roomId, before: 9, after: 3 });
    expect(code).to.equal('bad_request');
  });
}
