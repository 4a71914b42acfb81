import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say, talk } from '../newcomer.js';

/** `read messages`. */
export function readMarks(place: Place): void {
  let ada: Newcomer;
  let ben: Newcomer;
  let phone: RawSocket;
  let tablet: RawSocket;
  let roomId: string;
  beforeEach(async () => {
    ({ ada, ben, phone, tablet, roomId } = await talk(place));
    for (const text of ['two', 'three', 'four']) await say(phone, roomId, text);
  });
  afterEach(() => Promise.all([phone, tablet].map((device) => device.close())));

  const read = async (device: RawSocket, upTo?: number) => {
    const answer = await device.request('read messages', upTo === undefined ? { roomId } : { roomId, upTo });
    return [answer.upTo, answer.unread];
  };

  it('moves to upTo, by default the newest, and counts what is left unread', async () => {
    const { revision, ...answer } = await tablet.request('read messages', { roomId, upTo: 3 });
    expect(answer).to.deep.equal({ roomId, userId: ben.userId, upTo: 3, unread: 1 });
    const { chats } = await tablet.request('get active chats', { revision });
    expect(chats[0]).to.include({ unread: 1 });
    expect(chats[0]?.readUpTo).to.deep.equal({ [ada.userId]: 4, [ben.userId]: 3 });
    expect(await read(tablet)).to.deep.equal([4, 0]);
  });

  it('is pushed to the other member and to my other devices when it moved', async () => {
    const watch = await ben.device();
    await read(tablet, 2);
    for (const device of [phone, watch]) {
      const { data, cursor } = await device.push('read messages');
      expect(data).to.deep.equal({ roomId, userId: ben.userId, upTo: 2 });
      expect(cursor).to.be.a('string');
    }
    await say(phone, roomId, 'seen?');
    await hear(tablet, 'seen?');
    expect(tablet.pushes('read messages')).to.deep.equal([]);
    await watch.close();
  });

  it('never goes back, and a repeat pushes nothing', async () => {
    expect(await read(tablet, 3)).to.deep.equal([3, 1]);
    expect(await read(tablet, 3)).to.deep.equal([3, 1]);
    expect(await read(tablet, 1)).to.deep.equal([3, 1]);
    expect(await read(tablet, 0)).to.deep.equal([3, 1]);
    await say(tablet, roomId, 'read');
    await hear(phone, 'read');
    expect(phone.pushed('read messages').map(({ upTo }) => upTo)).to.deep.equal([3]);
  });

  it('refuses a mark above the newest message', async () => {
    const { code, fields } = await tablet.refusal('read messages', { roomId, upTo: 5 });
    expect([code, fields?.[0]?.path]).to.deep.equal(['bad_request', 'upTo']);
    expect(await read(tablet, 4)).to.deep.equal([4, 0]);
  });

  it('is moved by sending to the message itself, without a push of its own', async () => {
    const { seq } = await say(tablet, roomId, 'all read');
    expect(seq).to.equal(5);
    expect(await read(tablet, 1)).to.deep.equal([5, 0]);
    await say(tablet, roomId, 'and');
    await hear(phone, 'and');
    expect(phone.pushes('read messages')).to.deep.equal([]);
    expect(await read(phone, 4)).to.deep.equal([4, 2]);
  });

  it('is 0 in an empty room', async () => {
    const other = await Newcomer.at(place);
    roomId = await chatOf(phone, other);
    expect(await read(phone)).to.deep.equal([0, 0]);
    expect(await phone.refusal('read messages', { roomId, upTo: 1 })).to.include({ code: 'bad_request' });
  });
}
