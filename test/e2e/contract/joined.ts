import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, heard, Newcomer, say, talk } from '../newcomer.js';

/** `leave room` and `join room`: which rooms one connection hears. */
export function joined(place: Place): void {
  let ada: Newcomer;
  let ben: Newcomer;
  let phone: RawSocket;
  let tablet: RawSocket;
  /** One on each node: what they have heard has been pushed on that of the tablet too. */
  let watches: readonly RawSocket[];
  let roomId: string;
  /** A second chat of the two devices' users, which is never left: what it brings came later. */
  let other: RawSocket;
  let otherRoom: string;
  beforeEach(async () => {
    ({ ada, ben, phone, tablet, roomId } = await talk(place));
    watches = [await ben.device(), await ben.device()];
    other = await (await Newcomer.at(place)).device();
    otherRoom = await chatOf(other, ben);
    await say(other, otherRoom, 'hello from elsewhere');
    await hear(tablet, 'hello from elsewhere');
    tablet.forget();
  });
  afterEach(() => Promise.all([phone, tablet, ...watches, other].map((device) => device.close())));

  const allHear = (text: string) => Promise.all(watches.map((watch) => hear(watch, text)));
  const fence = async (device: RawSocket): Promise<void> => {
    await say(other, otherRoom, 'later');
    await hear(device, 'later');
  };

  it('hears nothing of a room it has left; other connections do', async () => {
    expect(await tablet.request('leave room', { roomId })).to.deep.equal({ roomId });
    await phone.request('notify typing', { roomId, isTyping: true });
    await say(phone, roomId, 'unheard');
    await phone.request('read messages', { roomId });
    await allHear('unheard');
    await fence(tablet);
    expect(tablet.pushed('notify typing')).to.deep.equal([]);
    expect(heard(tablet)).to.deep.equal(['later']);
    // If 6 s pass before the message comes, the end of the typing is pushed too.
    for (const watch of watches)
      expect(watch.pushed('notify typing').filter(({ isTyping }) => isTyping)).to.have.length(1);
  });

  it('still asks and sends there, and hears it again once it has joined', async () => {
    await tablet.request('leave room', { roomId });
    await tablet.request('leave room', { roomId });
    await say(tablet, roomId, 'sent from outside');
    await hear(phone, 'sent from outside');
    await say(phone, roomId, 'unheard');
    await allHear('unheard');
    const { messages } = await tablet.request('fetch messages', { roomId, after: 1 });
    expect(messages.map(({ message }) => message)).to.include('sent from outside');
    const roomIds = [roomId, otherRoom];
    expect(await tablet.request('join room', { roomIds })).to.deep.equal({ roomIds });
    await say(phone, roomId, 'heard again');
    await hear(tablet, 'heard again');
    expect(heard(tablet)).to.deep.equal(['heard again']);
  });

  it('is joined to everything again on a new connection', async () => {
    await tablet.request('leave room', { roomId });
    await tablet.close();
    tablet = await ben.device();
    await say(phone, roomId, 'a new start');
    await hear(tablet, 'a new start');
  });

  it('takes effect in the order sent', async () => {
    const requests = [tablet.send('leave room', { roomId }), tablet.send('join room', { roomIds: [roomId] })];
    await Promise.all(requests.map((id) => tablet.answer(id)));
    await say(phone, roomId, 'joined last');
    await hear(tablet, 'joined last');
  });

  it('joins none when one is not mine', async () => {
    await tablet.request('leave room', { roomId });
    const theirs = await chatOf(phone, await Newcomer.at(place));
    for (const foreign of [theirs, randomUUID()]) {
      const { code } = await tablet.refusal('join room', { roomIds: [roomId, foreign] });
      expect(code).to.equal('not_found');
    }
    await say(phone, roomId, 'unheard');
    await fence(tablet);
    expect(heard(tablet)).to.deep.equal(['later']);
  });

  it('does not replay what passed in a left room before the cursor', async () => {
    await tablet.request('leave room', { roomId });
    await say(phone, roomId, 'passed by');
    await allHear('passed by');
    await fence(tablet);
    const { cursor } = tablet;
    await say(phone, roomId, 'behind the cursor');
    await tablet.close();
    tablet = await ben.device(cursor);
    await tablet.push('identity');
    await hear(tablet, 'behind the cursor');
    expect(heard(tablet)).to.deep.equal(['behind the cursor']);
    const { messages } = await tablet.request('fetch messages', { roomId, limit: 2 });
    expect(messages.map(({ message }) => message)).to.deep.equal(['passed by', 'behind the cursor']);
    expect(ada.userId).to.equal(messages[0]?.senderId);
  });
}
