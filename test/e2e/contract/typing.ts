import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, type Newcomer, say, talk, two } from '../newcomer.js';

/** `notify typing`. */
export function typing(place: Place): void {
  let ada: Newcomer;
  let phone: RawSocket;
  let tablet: RawSocket;
  let roomId: string;
  beforeEach(async () => {
    ({ ada, phone, tablet, roomId } = await talk(place));
  });
  afterEach(() => Promise.all([phone, tablet].map((device) => device.close())));

  const typed = (device: RawSocket): boolean[] =>
    device.pushed('notify typing').map(({ isTyping }) => isTyping);

  it('is pushed to the other member, not stored, and not to my own devices', async () => {
    const laptop = await ada.device();
    expect(await phone.request('notify typing', { roomId, isTyping: true })).to.deep.equal({});
    const { data, cursor } = await tablet.push('notify typing');
    expect(data).to.deep.equal({ roomId, userId: ada.userId, isTyping: true });
    expect(cursor).to.equal(undefined);
    await phone.request('notify typing', { roomId, isTyping: false });
    await tablet.push('notify typing', ({ isTyping }) => !isTyping);
    await say(tablet, roomId, 'later');
    await Promise.all([hear(phone, 'later'), hear(laptop, 'later')]);
    expect([...typed(phone), ...typed(laptop)]).to.deep.equal([]);
    await laptop.close();
  });

  it('ends after 6 s without another, by a push of the server; a message ends it without one', async function () {
    // On a machine that stands still for a moment 6 s may pass before the message.
    this.retries(2);
    await phone.request('notify typing', { roomId, isTyping: true });
    await tablet.request('notify typing', { roomId, isTyping: true });
    await say(phone, roomId, 'typed');
    // The one who goes on typing stops later: by then the first would have been stopped too.
    await phone.push('notify typing', ({ isTyping }) => !isTyping);
    expect(typed(phone)).to.deep.equal([true, false]);
    await say(phone, roomId, 'later');
    await hear(tablet, 'later');
    expect(typed(tablet)).to.deep.equal([true]);
  });

  it('is not pushed to a member for whom the chat is not active yet', async () => {
    const [cleo, dan] = await two(place);
    const [mine, theirs] = [await cleo.device(), await dan.device()];
    const room = await chatOf(mine, dan);
    await mine.request('notify typing', { roomId: room, isTyping: true });
    await say(mine, room, 'hello');
    await hear(theirs, 'hello');
    expect(typed(theirs)).to.deep.equal([]);
    await Promise.all([mine.close(), theirs.close()]);
  });
}
