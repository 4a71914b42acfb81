import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say, two } from '../newcomer.js';

/** Who is online, and who is told; the server's `PRESENCE_GRACE` is `graceMs`. */
export function presence(place: Place, graceMs: number): void {
  let ada: Newcomer;
  let ben: Newcomer;
  /** Watches Ada, his friend. */
  let tablet: RawSocket;
  beforeEach(async () => {
    [ada, ben] = await two(place);
    tablet = await ben.device();
    await tablet.request('add friend', { friendId: ada.userId });
  });
  afterEach(() => tablet.close());

  const told = () => tablet.pushed('get online info');
  /** Waits until Ben was told for the nth time; what he then asks agrees with what he was told. */
  const isTold = async (nth: number) => {
    const push = await tablet.until(`word number ${nth}`, () => tablet.pushes('get online info')[nth - 1]);
    expect(await tablet.request('get online info', { recipientId: ada.userId })).to.deep.equal(push.data);
    expect(push.cursor).to.equal(undefined);
    return push.data;
  };
  const online = () => ({ recipientId: ada.userId, isOnline: true, lastSeen: null });

  it('begins with identity, and is pushed to contacts', async () => {
    expect(await tablet.request('get online info', { recipientId: ada.userId })).to.deep.equal({
      recipientId: ada.userId,
      isOnline: false,
      lastSeen: null,
    });
    const phone = await ada.device();
    expect(await isTold(1)).to.deep.equal(online());
    await phone.close();
  });

  it('ends when the connection was lost and the grace time has passed; lastSeen is when it was lost', async () => {
    const phone = await ada.device();
    await isTold(1);
    const before = Date.now();
    await phone.cut();
    const { isOnline, lastSeen } = await isTold(2);
    expect(isOnline).to.equal(false);
    expect(Date.parse(lastSeen ?? '')).to.be.within(before, Date.now() - graceMs);
  });

  it('ends with a clean close as with a loss', async () => {
    const phone = await ada.device();
    await isTold(1);
    const before = Date.now();
    await phone.close();
    const { isOnline, lastSeen } = await isTold(2);
    expect(isOnline).to.equal(false);
    expect(Date.parse(lastSeen ?? '')).to.be.within(before, Date.now() - graceMs);
  });

  it('lasts while any device is active: others come and go unsaid, and so do repeats', async () => {
    const phone = await ada.device();
    await isTold(1);
    const laptop = await ada.device();
    for (const event of ['notify online', 'active app'] as const)
      expect(await laptop.request(event, {})).to.deep.equal({});
    await laptop.request('background app', {});
    await laptop.request('background app', {});
    await laptop.close();
    await phone.request('background app', {});
    expect((await isTold(2)).isOnline).to.equal(false);
    await phone.close();
  });

  it('follows the app to the background and back', async () => {
    const phone = await ada.device();
    await isTold(1);
    const before = Date.now();
    expect(await phone.request('background app', {})).to.deep.equal({});
    const { isOnline, lastSeen } = await isTold(2);
    expect(isOnline).to.equal(false);
    expect(Date.parse(lastSeen ?? '')).to.be.within(before, Date.now());
    expect(await phone.request('active app', {})).to.deep.equal({});
    expect(await isTold(3)).to.deep.equal(online());
    await phone.close();
  });

  it('is never pushed to my own devices, nor to people who are no contacts', async () => {
    const strangers = await Newcomer.at(place);
    const stranger = await strangers.device();
    const laptop = await ada.device();
    await isTold(1);
    await laptop.request('background app', {});
    await isTold(2);
    await laptop.request('notify online', {});
    expect(await isTold(3)).to.deep.equal(online());
    const roomId = await chatOf(laptop, strangers);
    await say(laptop, roomId, 'hello');
    await hear(stranger, 'hello');
    await stranger.request('read messages', { roomId });
    await laptop.push('read messages');
    expect(stranger.pushes('get online info')).to.deep.equal([]);
    const own = laptop.pushed('get online info').filter(({ recipientId }) => recipientId === ada.userId);
    expect(own).to.deep.equal([]);
    await Promise.all([stranger.close(), laptop.close()]);
  });

  it('is told of a contact or of me; of others it is not_found', async () => {
    const other = await Newcomer.at(place);
    const device = await other.device();
    expect(await tablet.refusal('get online info', { recipientId: other.userId })).to.include({
      code: 'not_found',
    });
    await tablet.request('notify online', {});
    const mine = await tablet.request('get online info', { recipientId: ben.userId });
    expect(mine).to.deep.equal({ recipientId: ben.userId, isOnline: true, lastSeen: null });
    const roomId = await chatOf(device, ben);
    // An empty chat makes no contacts; its first message does, for both, before it is answered.
    expect(await device.refusal('get online info', { recipientId: ben.userId })).to.include({
      code: 'not_found',
    });
    await say(device, roomId, 'hello');
    await device.request('get online info', { recipientId: ben.userId });
    await hear(tablet, 'hello');
    await tablet.request('get online info', { recipientId: other.userId });
    await device.close();
    await tablet.until('word of the new contact', () =>
      told().find(({ recipientId, isOnline }) => recipientId === other.userId && !isOnline),
    );
  });
}
