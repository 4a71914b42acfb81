import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import type { Place } from '../../support/people.js';
import { RawSocket } from '../../support/rawSocket.js';
import { rejection } from '../../support/rejection.js';
import { hear, heard, Newcomer, say, talk } from '../newcomer.js';

const wrongToken = (): string => randomBytes(32).toString('base64url');
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** `identity`, and how a sign-in ends. */
export function signingIn(place: Place): void {
  let me: Newcomer;
  before(async () => {
    me = await Newcomer.at(place);
  });

  it('answers a good token with the user and a cursor', async () => {
    const socket = await RawSocket.connect(place.wsUrl);
    const { user, cursor } = await socket.request('identity', { token: me.token });
    expect(user).to.deep.equal(me.user);
    expect(cursor).to.be.a('string').that.is.not.equal('');
    await socket.close();
  });

  it('takes the token of the upgrade, unless there is one in the frame', async () => {
    const other = await Newcomer.at(place);
    const [mine, theirs] = [
      await RawSocket.connect(place.wsUrl, bearer(me.token)),
      await RawSocket.connect(place.wsUrl, bearer(me.token)),
    ];
    expect((await mine.request('identity', {})).user).to.deep.equal(me.user);
    expect((await theirs.request('identity', { token: other.token })).user).to.deep.equal(other.user);
    await Promise.all([mine.close(), theirs.close()]);
  });

  it('refuses the upgrade with 401 when its token is bad', async () => {
    for (const token of [wrongToken(), 'short', `${me.token}x`, '']) {
      const error = await rejection(RawSocket.connect(place.wsUrl, bearer(token)));
      expect(error.message, token).to.include('401');
    }
  });

  it('takes no token from a URL', async () => {
    const socket = await RawSocket.connect(`${place.wsUrl}?token=${me.token}`);
    expect(await socket.refusal('identity', {})).to.include({ code: 'unauthenticated' });
    await socket.cut();
  });

  it('refuses the upgrade of a page of another host with 403', async () => {
    const error = await rejection(RawSocket.connect(place.wsUrl, { origin: 'https://elsewhere.example' }));
    expect(error.message).to.include('403');
    const { wsUrl } = place;
    const page = await RawSocket.connect(wsUrl, { origin: `http://${new URL(wsUrl).host}` });
    await page.request('identity', { token: me.token });
    await page.close();
    const secure = { origin: 'https://chat.example', headers: { host: 'CHAT.example:443' } };
    await (await RawSocket.connect(wsUrl, secure)).close();
    const otherScheme = { origin: 'capacitor://chat.example', headers: { host: 'chat.example' } };
    expect((await rejection(RawSocket.connect(wsUrl, otherScheme))).message).to.include('403');
  });

  it('is at /ws with a trailing slash too, and at no other path', async () => {
    await (await RawSocket.connect(`${place.wsUrl}/`)).close();
    for (const path of ['//', '/x', 'x'])
      expect((await rejection(RawSocket.connect(place.wsUrl + path))).message, path).to.include('404');
  });

  it('answers all but identity with unauthenticated before it', async () => {
    const socket = await RawSocket.connect(place.wsUrl, bearer(me.token));
    for (const event of ['notify online', 'get active chats', 'send message', 'make tea'])
      expect(await socket.refusal(event, {}), event).to.include({ code: 'unauthenticated' });
    await socket.request('identity', {});
    await socket.close();
  });

  it('answers a missing or bad token with unauthenticated, and lets the client try again', async () => {
    const socket = await RawSocket.connect(place.wsUrl);
    for (const data of [{}, { token: wrongToken() }, { token: '' }, { token: 'no token' }])
      expect(await socket.refusal('identity', data)).to.include({ code: 'unauthenticated' });
    expect(await socket.refusal('identity', { token: me.token, role: 'auditor' })).to.include({
      code: 'bad_request',
    });
    await socket.request('identity', { token: me.token });
    await socket.close();
  });

  it('keeps the token of the upgrade for a next try when the one in the frame is bad', async () => {
    const socket = await RawSocket.connect(place.wsUrl, bearer(me.token));
    expect(await socket.refusal('identity', { token: wrongToken() })).to.include({ code: 'unauthenticated' });
    expect((await socket.request('identity', {})).user).to.deep.equal(me.user);
    await socket.close();
  });

  it('refuses a second identity, and goes on', async () => {
    const socket = await me.device();
    expect(await socket.refusal('identity', { token: me.token })).to.include({ code: 'bad_request' });
    expect(await socket.refusal('identity', {})).to.include({ code: 'bad_request' });
    await socket.request('notify online', {});
    await socket.close();
  });

  it('answers requests that were sent together with identity after it', async () => {
    const socket = await RawSocket.connect(place.wsUrl);
    const [first, second] = [
      socket.send('identity', { token: me.token }),
      socket.send('get online info', { recipientId: me.userId }),
    ];
    expect((await socket.answer(second)).data).to.include({ recipientId: me.userId });
    expect(socket.frames.map(({ id }) => id)).to.deep.equal([first, second]);
    await socket.close();
  });

  it('pushes nothing before the answer to identity', async () => {
    const { ben, phone, tablet, roomId } = await talk(place);
    // With the tablet one on each node, so that it has been pushed on that of the socket too.
    const watch = await ben.device();
    const socket = await RawSocket.connect(place.wsUrl, bearer(ben.token));
    await say(phone, roomId, 'too early');
    await Promise.all([hear(tablet, 'too early'), hear(watch, 'too early')]);
    await socket.request('identity', {});
    await say(phone, roomId, 'in time');
    await hear(socket, 'in time');
    expect(heard(socket)).to.deep.equal(['in time']);
    expect(socket.frames[0]?.id).to.not.equal(undefined);
  });

  it('closes the sockets of a session that signs out with 4401, and no others', async () => {
    const [leaving, staying] = [await me.signedIn(), await me.signedIn()];
    await new Rest(place.url).signOut(leaving.token);
    expect(await leaving.device.closed).to.equal(4401);
    const again = await RawSocket.connect(place.wsUrl);
    expect(await again.refusal('identity', { token: leaving.token })).to.include({ code: 'unauthenticated' });
    await staying.device.request('notify online', {});
    await new Rest(place.url).signOut(staying.token, { everywhere: true });
    expect(await staying.device.closed).to.equal(4401);
  });

  it('closes the sockets of my other sessions with 4401 when I change my password', async () => {
    const them = await Newcomer.at(place);
    const [here, elsewhere] = [await them.signedIn(), await them.signedIn()];
    await new Rest(place.url).changePassword(here.token, them.password, `new ${randomUUID()}`);
    expect(await elsewhere.device.closed).to.equal(4401);
    await here.device.request('notify online', {});
  });
}

/** What becomes of those who do not sign in: to be begun well before it is looked at. */
export function silence(place: Place): { begin(): Promise<void>; end(): void } {
  let silent: RawSocket;
  let refused: RawSocket;
  return {
    async begin() {
      silent = await RawSocket.connect(place.wsUrl);
      refused = await RawSocket.connect(place.wsUrl);
      await refused.refusal('identity', { token: wrongToken() });
    },
    end() {
      it('closes with 4401 who has not signed in within 10 s', async () => {
        expect(await Promise.all([silent.closed, refused.closed])).to.deep.equal([4401, 4401]);
      });
    },
  };
}
