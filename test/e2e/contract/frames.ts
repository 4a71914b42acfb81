import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, Newcomer, say, two } from '../newcomer.js';

const FRAME = 128 * 1024;

/** Requests, answers, and frames that are neither. */
export function frames(place: Place): void {
  let me: Newcomer;
  let socket: RawSocket;
  before(async () => {
    me = await Newcomer.at(place);
  });
  beforeEach(async () => {
    socket = await me.device();
  });
  afterEach(() => socket.close());

  const goesOn = async (): Promise<void> => {
    await socket.request('get online info', { recipientId: me.userId });
  };

  it('answers with the id and the event of the request, whatever the client picked', async () => {
    for (const id of [0, -7, Number.MAX_SAFE_INTEGER, 'a', '', '7', 'é'.repeat(64)]) {
      socket.socket.send(JSON.stringify({ id, event: 'notify online', data: {} }));
      const { event, data } = await socket.answer(id);
      expect({ event, data }).to.deep.equal({ event: 'notify online', data: {} });
    }
  });

  it('answers each of many requests that are sent at once', async () => {
    const ids = Array.from({ length: 50 }, () => socket.send('get online info', { recipientId: me.userId }));
    const answers = await Promise.all(ids.map((id) => socket.answer(id)));
    expect(answers.every(({ data }) => data?.recipientId === me.userId)).to.equal(true);
  });

  it('answers a frame that is no request with bad_request and its id if usable, and goes on', async () => {
    const bad: [string, number | string | undefined][] = [
      ['not JSON', undefined],
      ['[]', undefined],
      ['null', undefined],
      ['"identity"', undefined],
      ['{}', undefined],
      ['{"event":"notify online"}', undefined],
      ['{"id":true,"event":"notify online"}', undefined],
      ['{"id":1.5,"event":"notify online"}', undefined],
      ['{"id":{},"event":"notify online"}', undefined],
      ['{"id":"mine"}', 'mine'],
      ['{"id":3,"event":7}', 3],
    ];
    for (const [text, id] of bad) {
      socket.forget();
      socket.socket.send(text);
      const frame = await socket.until('the refusal', () => socket.frames[0]);
      expect(frame.error, text).to.include({ code: 'bad_request' });
      expect(frame.error?.fields, text).to.be.an('array');
      expect(frame.id, text).to.equal(id);
    }
    await goesOn();
  });

  it('refuses an unknown event, an unknown field, a wrong type and a number out of its range', async () => {
    const roomId = randomUUID();
    const cases: [string, unknown, string][] = [
      ['make tea', {}, 'event'],
      ['toString', {}, 'event'],
      ['notify online', { loudly: true }, 'loudly'],
      ['fetch messages', { roomId, limit: 0 }, 'limit'],
      ['fetch messages', { roomId, limit: 201 }, 'limit'],
      ['fetch messages', { roomId, before: -1 }, 'before'],
      ['fetch messages', { roomId, after: 1.5 }, 'after'],
      ['get active chats', { limit: 201 }, 'limit'],
      ['add friend', { friendId: 'nobody' }, 'friendId'],
      ['add friend', {}, 'friendId'],
      ['read messages', { roomId, upTo: '1' }, 'upTo'],
      ['notify typing', { roomId, isTyping: 1 }, 'isTyping'],
    ];
    for (const [event, data, path] of cases) {
      const { code, fields } = await socket.refusal(event, data);
      expect(code, `${event} ${path}`).to.equal('bad_request');
      expect(fields?.map((field) => field.path)).to.deep.equal([path]);
    }
    for (const data of [null, [], 'text', 7])
      expect(await socket.refusal('notify online', data)).to.include({ code: 'bad_request' });
  });

  it('closes with 1008 at 100 frames within 10 s that are no requests, not before', async () => {
    for (let n = 0; n < 99; n++) socket.socket.send('no request');
    await socket.until('99 refusals', () => (socket.frames.length >= 99 ? true : undefined));
    await goesOn();
    socket.socket.send('no request');
    expect(await socket.closed).to.equal(1008);
  });

  it('lets requests on one room take effect in the order sent', async () => {
    const friend = await Newcomer.at(place);
    const roomId = await chatOf(socket, friend);
    const texts = Array.from({ length: 60 }, (_, n) => `number ${n}`);
    await Promise.all(texts.map((text) => say(socket, roomId, text)));
    const { messages } = await socket.request('fetch messages', { roomId, limit: 60 });
    expect(messages.map(({ message }) => message)).to.deep.equal(texts);
  });

  it('takes a frame of 128 KiB, and closes with 1009 for one byte more', async () => {
    const request = JSON.stringify({ id: 'large', event: 'notify online', data: {} });
    socket.socket.send(request.padEnd(FRAME));
    expect((await socket.answer('large')).data).to.deep.equal({});
    socket.socket.send(request.padEnd(FRAME + 1));
    expect(await socket.closed).to.equal(1009);
  });

  it('takes the largest message however it is escaped, and gives it back as it was', async () => {
    const [ada, ben] = await two(place);
    const [phone, tablet] = [await ada.device(), await ben.device()];
    const roomId = await chatOf(phone, ben);
    const escaped = '\\ud83d\\ude00'.repeat(8192);
    phone.socket.send(
      `{"id":"x","event":"send message","data":{"roomId":"${roomId}","messageId":"${randomUUID()}","message":"${escaped}"}}`,
    );
    expect((await phone.answer('x')).error).to.equal(undefined);
    const { data } = await tablet.push('send message');
    expect(data.message.message === '😀'.repeat(8192)).to.equal(true);
  });

  it('closes with 1003 for a binary frame, 1007 for bad UTF-8, 1002 for what breaks RFC 6455', async () => {
    const sends: [number, (on: RawSocket) => void][] = [
      [1003, (on) => on.socket.send(Buffer.from('{"id":1,"event":"notify online"}'), { binary: true })],
      [1007, (on) => on.socket.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false })],
      [1002, (on) => on.socket.send('unmasked', { mask: false })],
    ];
    for (const [code, send] of sends) {
      const other = await me.device();
      send(other);
      expect(await other.closed).to.equal(code);
    }
    await goesOn();
  });

  it('never negotiates compression', async () => {
    // The client of the tests offers it.
    expect(socket.socket.extensions).to.equal('');
  });
}
