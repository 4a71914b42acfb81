import { expect } from 'chai';
import { allKinds, hasEngine, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { RawSocket } from '../support/rawSocket.js';
import { startServer } from '../support/server.js';
import { chatOf, hear, heard, Newcomer, say } from './newcomer.js';
import { inShortSession } from './shortSession.js';

const MIB = 1024 ** 2;

// All but the limit of an address are the same code on every engine: they never come to the store.
describe('limits', () => {
  let server: Running;
  afterEach(() => server?.stop());
  /** Bytes that all clients together have not read. */
  const waiting = async (): Promise<number> => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^parley_bytes_waiting (\d+)/m.exec(metrics)?.[1]);
  };

  it('refuse requests beyond RATE_LIMIT with rate_limited: nothing was done, and later they are taken', async () => {
    server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: '2:20' } });
    const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    const messages = Array.from({ length: 40 }, (_, n) => ({ messageId: crypto.randomUUID(), n }));
    const answers = await Promise.all(
      messages.map(({ messageId, n }) =>
        phone.answer(phone.send('send message', { roomId, messageId, message: `number ${n}` })),
      ),
    );
    const refused = answers.flatMap(({ error }) => error ?? []);
    expect(refused.length).to.be.within(1, 22);
    for (const { code, retryAfterMs } of refused) {
      expect(code).to.equal('rate_limited');
      expect(retryAfterMs).to.be.above(0);
    }
    const done = answers.flatMap(({ data, error }) => (error ? [] : [data]));
    // All connections of a user share a bucket; another user has one of their own.
    const revision = String(done.at(-1)?.revision);
    const { messages: stored } = await (await ben.device()).request('fetch messages', { roomId, revision });
    expect(stored).to.deep.equal(done.map((data) => data?.message));
    for (;;) {
      const { error } = await phone.answer(phone.send('notify online', {}));
      if (!error) break;
      // As long as the server says.
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
    }
  });

  it('close with 1008 a connection beyond 100 of its user, and with RATE_LIMIT=off none', async () => {
    for (const env of [{ RATE_LIMIT: '50:200' }, { RATE_LIMIT: 'off' }]) {
      server = await startServer({ engine: 'sqlite', env });
      const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      for (let n = 0; n < 100; n++) await RawSocket.open(server.wsUrl, ada.token);
      const next = await RawSocket.connect(server.wsUrl);
      const id = next.send('identity', { token: ada.token });
      if (env.RATE_LIMIT === 'off') await next.answer(id);
      else expect(await next.closed).to.equal(1008);
      await ben.device();
      await server.stop();
    }
  });

  it('close with 1008 a connection with 1,000 requests answered rate_limited within 10 s', async () => {
    server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: '1:1' } });
    const phone = await (await Newcomer.at(server)).device();
    for (let n = 0; n < 1100; n++) phone.send('notify online', {});
    expect(await phone.closed).to.equal(1008);
    const refused = phone.frames.filter(({ error }) => error?.code === 'rate_limited');
    expect(refused).to.have.length(1000);
  });

  for (const engine of allKinds)
    it(`refuse checks of passwords beyond AUTH_RATE_LIMIT, an address and a user, on ${engine}`, async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { AUTH_RATE_LIMIT: '1:2', TRUST_PROXY: '1' } });
      const signIn = (from: string, username: string = crypto.randomUUID()) =>
        ask(server.url, 'POST /user/signin', {
          json: { username, password: 'at all' },
          headers: { 'x-forwarded-for': from },
        });
      const allowed = [(await signIn('10.0.0.1')).status, (await signIn('10.0.0.1')).status];
      expect(allowed).to.deep.equal([401, 401]);
      const refused = await signIn('10.0.0.1');
      expect([refused.status, refused.body.code]).to.deep.equal([429, 'rate_limited']);
      expect(Number(refused.headers.get('retry-after'))).to.be.within(1, 60);
      expect((await signIn('10.0.0.2')).status).to.equal(401);
      const ofOne: number[] = [];
      for (const from of ['10.0.0.3', '10.0.0.4', '10.0.0.5']) ofOne.push((await signIn(from, 'one')).status);
      expect(ofOne).to.deep.equal([401, 401, 429]);
    });

  it('end a sign-in after SESSION_TTL, and its sockets with 4401', async () => {
    server = await startServer({ engine: 'sqlite', env: { SESSION_TTL: '2s' } });
    const { user, password } = await Newcomer.at(server);
    const { token, used: phone } = await inShortSession(
      server,
      { username: user.username ?? '', password },
      2000,
      (fresh) => RawSocket.open(server.wsUrl, fresh),
    );
    expect(await phone.closed).to.equal(4401);
    const later = await RawSocket.connect(server.wsUrl);
    expect(await later.refusal('identity', { token })).to.include({ code: 'unauthenticated' });
    expect((await ask(server.url, 'POST /user/signout', { token })).status).to.equal(401);
  });

  it('begin no request of a client that leaves 1 MiB unread, and go on when it reads', async () => {
    server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: 'off' } });
    const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const [phone, tablet] = [await ada.device(), await ben.device()];
    const roomId = await chatOf(phone, ben);
    for (let n = 0; n < 16; n++) await say(phone, roomId, '🌧'.repeat(8192));
    await tablet.until('all of it', () => (heard(tablet).length === 16 ? true : undefined));
    // Not to be closed by a push that finds too much waiting.
    await phone.request('leave room', { roomId });
    phone.socket.pause();
    // Half a MiB each: more than the system's own buffers hold, which grow to 32 MiB and more.
    for (let n = 0; n < 200; n++) phone.send('fetch messages', { roomId });
    await eventually('1 MiB waits', async () => (await waiting()) > MIB);
    phone.send('send message', { roomId, messageId: crypto.randomUUID(), message: 'held back' });
    const laptop = await ada.device();
    for (let n = 0; n < 20; n++) await laptop.request('fetch messages', { roomId });
    await say(laptop, roomId, 'not held back');
    await hear(tablet, 'not held back');
    // What was begun before anything waited is bounded too.
    expect(await waiting()).to.be.below(6 * MIB);
    expect(heard(tablet)).to.not.include('held back');
    phone.socket.resume();
    await hear(tablet, 'held back');
  });

  it('close with 4408 a client that leaves 1 MiB unread and takes nothing for 10 s', async () => {
    const alone = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: 'off' } });
    server = alone;
    const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    for (let n = 0; n < 16; n++) await say(phone, roomId, '🌧'.repeat(8192));
    phone.socket.pause();
    for (let n = 0; n < 200; n++) phone.send('fetch messages', { roomId });
    await eventually('1 MiB waits', async () => (await waiting()) > MIB);
    await eventually('it is let go', async () => (await waiting()) < MIB);
    // Not asked of the client, which has up to 36 MiB to read first: `faults/alone/slowReader.test.ts` does.
    await eventually('it is closed with 4408', () => alone.log.includes('"code":4408'));
    phone.socket.terminate();
  });
});
