import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { ask } from '../../support/http.js';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say, two } from '../newcomer.js';

/** `add friend`. */
export function friends(place: Place): void {
  let ada: Newcomer;
  let ben: Newcomer;
  let phone: RawSocket;
  let laptop: RawSocket;
  let tablet: RawSocket;
  beforeEach(async () => {
    [ada, ben] = await two(place);
    [phone, laptop, tablet] = [await ada.device(), await ada.device(), await ben.device()];
  });
  afterEach(() => Promise.all([phone, laptop, tablet].map((device) => device.close())));

  it('is mutual, and needs no consent', async () => {
    const { friend, revision } = await phone.request('add friend', { friendId: ben.userId.toUpperCase() });
    expect(friend).to.deep.equal(ben.user);
    const friendsOf = async ({ userId, token }: Newcomer): Promise<unknown> => {
      const { body } = await ask(place.url, `GET /user/${userId}?revision=${revision}`, { token });
      return body.friends;
    };
    expect(await friendsOf(ada)).to.deep.equal([ben.user]);
    expect(await friendsOf(ben)).to.deep.equal([ada.user]);
  });

  it('is pushed to the friend with me in it, and to my other devices', async () => {
    await phone.request('add friend', { friendId: ben.userId });
    const [toBen, toMe] = [await tablet.push('add friend'), await laptop.push('add friend')];
    expect(toBen.data).to.deep.equal({ friend: ada.user });
    expect(toMe.data).to.deep.equal({ friend: ben.user });
    expect([toBen.cursor, toMe.cursor].every((cursor) => typeof cursor === 'string')).to.equal(true);
    expect(phone.pushes('add friend')).to.deep.equal([]);
  });

  it('may be repeated, by either, and by both at once; it is pushed once', async () => {
    const [first, again] = await Promise.all([
      phone.request('add friend', { friendId: ben.userId }),
      phone.request('add friend', { friendId: ben.userId }),
      tablet.request('add friend', { friendId: ada.userId }),
    ]);
    expect(again.friend).to.deep.equal(first.friend);
    const { friend } = await tablet.request('add friend', { friendId: ada.userId });
    expect(friend).to.deep.equal(ada.user);
    // What comes later on the same connections.
    const roomId = await chatOf(phone, ben);
    await say(phone, roomId, 'friends?');
    await Promise.all([hear(laptop, 'friends?'), hear(tablet, 'friends?')]);
    await say(laptop, roomId, 'friends!');
    await hear(phone, 'friends!');
    expect(laptop.pushed('add friend')).to.deep.equal([{ friend: ben.user }]);
    // Whose command it was is not told of it: the one of two at once that came first.
    expect(phone.pushes('add friend').length + tablet.pushes('add friend').length).to.equal(1);
  });

  it('makes contacts of the two before it is answered', async () => {
    expect(await phone.refusal('get online info', { recipientId: ben.userId })).to.include({
      code: 'not_found',
    });
    await phone.request('add friend', { friendId: ben.userId });
    await phone.request('get online info', { recipientId: ben.userId });
    await tablet.push('add friend');
    await tablet.request('get online info', { recipientId: ada.userId });
  });

  it('is listed by get friends, a page at a time', async () => {
    const cem = await Newcomer.at(place);
    await phone.request('add friend', { friendId: ben.userId });
    const { revision } = await phone.request('add friend', { friendId: cem.userId });
    const first = await phone.request('get friends', { limit: 1, revision });
    const second = await phone.request('get friends', { limit: 1, next: first.next ?? '' });
    expect([...first.friends, ...second.friends]).to.have.deep.members([ben.user, cem.user]);
    expect(second).not.to.have.property('next');
    expect((await tablet.request('get friends', { revision })).friends).to.deep.equal([ada.user]);
    const { next = '' } = first;
    expect(await phone.refusal('get friends', { next: `${next}x` })).to.include({ code: 'bad_request' });
    expect(await phone.refusal('get active chats', { next })).to.include({ code: 'bad_request' });
  });

  it('refuses oneself, and somebody there is not', async () => {
    expect(await phone.refusal('add friend', { friendId: ada.userId })).to.include({ code: 'bad_request' });
    expect(await phone.refusal('add friend', { friendId: randomUUID() })).to.include({ code: 'not_found' });
  });
}
