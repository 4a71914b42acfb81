import { expect } from 'chai';
import { WebSocket } from 'ws';
import { createClient } from '../../packages/client/src/client.js';
import { afterTimeout, type ClientOptions, type Token } from '../../packages/client/src/options.js';
import { type Client, ClientError, type ClientState } from '../../packages/client/src/types.js';
import { eventually } from '../support/eventually.js';
import { identify, ScriptedServer, someone } from './scripted.js';

const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof ClientError ? error.code : error),
  );

describe('the client', () => {
  let server: ScriptedServer;
  const clients: Client[] = [];

  function connect(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({
      url: server.url,
      getToken: () => 'secret',
      webSocket: WebSocket,
      backoff: { baseMs: 2, capMs: 10 },
      ...options,
    });
    clients.push(client);
    client.start();
    return client;
  }

  beforeEach(async () => {
    server = await ScriptedServer.start();
    server.on({});
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await server.stop();
  });

  it('identifies with its token in the first frame, and is live', async () => {
    const client = connect();
    expect(await client.ready).to.deep.equal(someone);
    expect(client.state).to.deep.equal({ state: 'live', user: someone, resumed: false });
    expect(server.frames).to.deep.equal([{ id: 1, event: 'identity', data: { token: 'secret' } }]);
  });

  it('matches answers to requests, in whatever order they come', async () => {
    const held: Parameters<typeof identify>[1][] = [];
    server.on({
      'leave room': (connection, frame) => {
        held.push(frame);
        if (held.length < 2) return;
        for (const earlier of held.reverse()) connection.answer(earlier, { roomId: earlier.data.roomId });
      },
    });
    const client = connect();
    const answers = await Promise.all(['a', 'b'].map((roomId) => client.request('leave room', { roomId })));
    expect(answers).to.deep.equal([{ roomId: 'a' }, { roomId: 'b' }]);
  });

  it('rejects with the server’s error, and does not retry', async () => {
    const fields = [{ path: 'friendId', message: 'must be a UUID' }];
    server.on({ 'add friend': (c, frame) => c.refuse(frame, { code: 'bad_request', fields }) });
    const error = await connect()
      .request('add friend', { friendId: 'x' })
      .catch((e: unknown) => e);
    expect(error).to.be.instanceOf(ClientError).with.property('code', 'bad_request');
    expect(error).to.have.deep.property('fields', fields);
    expect(server.sent('add friend')).to.have.length(1);
  });

  for (const later of ['rate_limited', 'overloaded', 'unknown']) {
    it(`waits as long as "${later}" asks, and sends the same again`, async () => {
      let tries = 0;
      server.on({
        'leave room': (c, frame) => {
          if (++tries < 3) c.refuse(frame, { code: later, retryAfterMs: 7 });
          else c.answer(frame, { roomId: frame.data.roomId });
        },
      });
      const waits: number[] = [];
      const client = connect({
        random: () => 0.5,
        after: (ms, run) => {
          waits.push(ms);
          const timer = setTimeout(run, ms);
          return () => clearTimeout(timer);
        },
      });
      expect(await client.request('leave room', { roomId: 'r' })).to.deep.equal({ roomId: 'r' });
      const data = server.sent('leave room').map((frame) => frame.data);
      expect(data).to.deep.equal([{ roomId: 'r' }, { roomId: 'r' }, { roomId: 'r' }]);
      expect(waits).to.include.members([7 + 1, 7 + 2]);
    });
  }

  it('repeats unanswered requests after a reconnect', async () => {
    let tries = 0;
    server.on({
      'leave room': (c, frame) => {
        if (++tries === 1) c.drop();
        else c.answer(frame, { roomId: frame.data.roomId });
      },
    });
    expect(await connect().request('leave room', { roomId: 'r' })).to.deep.equal({ roomId: 'r' });
    expect(server.connections).to.have.length(2);
  });

  it('closes a connection that does not answer', async () => {
    let tries = 0;
    server.on({
      'leave room': (c, frame) => {
        if (++tries > 1) c.answer(frame, { roomId: frame.data.roomId });
      },
    });
    const client = connect({ answerTimeoutMs: 30 });
    expect(await client.request('leave room', { roomId: 'r' })).to.deep.equal({ roomId: 'r' });
    expect(server.connections.length).to.be.at.least(2);
  });

  it('waits for an answer that comes behind many pushes', async () => {
    server.on({
      'leave room': (connection, frame) => {
        let left = 20;
        const timer = setInterval(() => {
          connection.push('erase user', { roomId: 'r', userId: 'u' });
          if (--left > 0) return;
          clearInterval(timer);
          connection.answer(frame, { roomId: frame.data.roomId });
        }, 10);
      },
    });
    const client = connect({ answerTimeoutMs: 100 });
    expect(await client.request('leave room', { roomId: 'r' })).to.deep.equal({ roomId: 'r' });
    expect(server.connections).to.have.length(1);
  });

  it('rejects a request when its time is over', async () => {
    const client = connect();
    await client.ready;
    await server.stop();
    expect(await code(client.request('active app', {}, { timeoutMs: 5 }))).to.equal('timeout');
  });

  it('does not let more than 1,000 requests wait', async () => {
    const client = connect();
    const waiting = Array.from({ length: 1000 }, () => code(client.request('active app', {})));
    expect(await code(client.request('active app', {}))).to.equal('too_many');
    client.close();
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['closed']));
  });

  it('calls handlers one after the other, and stores the cursor after them', async () => {
    const happened: string[] = [];
    const client = connect({
      cursors: { load: () => undefined, save: (cursor) => void happened.push(`stored ${cursor}`) },
    });
    client.on('erase user', async ({ roomId }) => {
      happened.push(`begun ${roomId}`);
      await new Promise((resolve) => setImmediate(resolve));
      happened.push(`done ${roomId}`);
    });
    await client.ready;
    server.last.push('erase user', { roomId: 'a', userId: 'u' }, 'c1');
    server.last.push('erase user', { roomId: 'b', userId: 'u' }, 'c2');
    await eventually('both handled', () => happened.length === 7);
    expect(happened).to.deep.equal([
      'stored start',
      ...['begun a', 'done a', 'stored c1'],
      ...['begun b', 'done b', 'stored c2'],
    ]);
  });

  it('handles pushes that come together with the answer to identity', async () => {
    server.on({
      identity: (c, frame) => {
        identify(c, frame);
        c.push('erase user', { roomId: 'a', userId: 'u' }, 'c1');
      },
    });
    const saved: unknown[] = [];
    connect({ cursors: { load: () => undefined, save: (cursor) => void saved.push(cursor) } });
    await eventually('both cursors are stored', () => saved.length === 2);
    expect(saved).to.deep.equal(['start', 'c1']);
  });

  it('resumes from the last push it has handled, not the last it has received', async () => {
    let finish = (): void => {};
    const client = connect();
    const handled: string[] = [];
    client.on('erase user', async ({ roomId }) => {
      handled.push(roomId);
      if (roomId === 'b') await new Promise<void>((resolve) => (finish = resolve));
    });
    await client.ready;
    for (const n of ['a', 'b', 'c']) server.last.push('erase user', { roomId: n, userId: 'u' }, `c-${n}`);
    await eventually('b is being handled', () => handled.length === 2);
    server.last.drop();
    await eventually('it has connected again', () => server.connections.length === 2);
    // Not before the handler is done does it know where to go on.
    expect(server.sent('identity')).to.have.length(1);
    finish();
    await eventually('it has identified again', () => server.sent('identity').length === 2);
    expect(server.frames.at(-1)?.data).to.deep.equal({ token: 'secret', cursor: 'c-b' });
    expect(handled).to.deep.equal(['a', 'b']);
    expect(await client.ready).to.deep.equal(someone);
    expect(client.state).to.have.property('resumed', true);
  });

  it('resumes from a stored cursor, replaying until it has caught up', async () => {
    server.on({ identity: (c, frame) => c.answer(frame, { user: someone, cursor: frame.data.cursor }) });
    const states: string[] = [];
    const client = connect({ cursors: { load: () => 'kept', save: () => {} } });
    client.onState(({ state }) => states.push(state));
    await eventually('it is replaying', () => client.state.state === 'replaying');
    server.last.push('erase user', { roomId: 'a', userId: 'u' }, 'c1');
    server.last.push('identity', { caughtUp: true });
    await client.ready;
    expect(server.frames[0]?.data).to.have.property('cursor', 'kept');
    expect(states).to.deep.equal(['replaying', 'live']);
  });

  it('begins with the present, and says so, when its cursor is refused', async () => {
    server.on({
      identity: (c, frame) => {
        if (frame.data.cursor === undefined) identify(c, frame);
        else c.refuse(frame, { code: 'bad_request', fields: [] });
      },
    });
    const client = connect({ cursors: { load: () => 'of another log', save: () => {} } });
    await client.ready;
    expect(client.state).to.have.property('resumed', false);
  });

  it('reports what a handler throws, and goes on', async () => {
    const reported: unknown[] = [];
    const saved: unknown[] = [];
    const client = connect({
      onError: (error) => reported.push(error),
      cursors: { load: () => undefined, save: (cursor) => void saved.push(cursor) },
    });
    const mistake = new Error('a mistake');
    client.on('erase user', () => {
      throw mistake;
    });
    await client.ready;
    server.last.push('erase user', { roomId: 'a', userId: 'u' }, 'c1');
    await eventually('the cursor moves on', () => saved.includes('c1'));
    expect(reported).to.deep.equal([mistake]);
  });

  it('is not stopped by a state handler that throws', async () => {
    const reported: unknown[] = [];
    const client = connect({ onError: (error) => reported.push(error) });
    const mistake = new Error('a mistake');
    client.onState(() => {
      throw mistake;
    });
    expect(await client.ready).to.deep.equal(someone);
    expect(reported).to.deep.equal([mistake]);
  });

  it('ends when the server closes with 4401', async () => {
    const client = connect();
    await client.ready;
    const waiting = code(client.request('active app', {}));
    server.last.socket.close(4401);
    expect(await waiting).to.equal('signed_out');
    expect(client.state).to.deep.equal({ state: 'ended', why: 'signed_out' });
    expect(await code(client.request('active app', {}))).to.equal('signed_out');
    expect(await code(client.ready)).to.equal('signed_out');
  });

  it('ends when its token is refused', async () => {
    server.on({ identity: (c, frame) => c.refuse(frame, { code: 'unauthenticated' }) });
    expect(await code(connect().ready)).to.equal('signed_out');
  });

  describe('with a function that gives its token', () => {
    const tokens = (): unknown[] => server.sent('identity').map(({ data }) => data.token);

    it('asks for one for every connection', async () => {
      let asks = 0;
      const client = connect({ getToken: async () => `token ${++asks}` });
      await client.ready;
      server.last.drop();
      await eventually('it is back', () => tokens().length === 2 && client.state.state === 'live');
      expect(tokens()).to.deep.equal(['token 1', 'token 2']);
    });

    it('goes on with a renewed sign-in when its session ends, and repeats what waits', async () => {
      let token = 'old';
      let isHeld = true;
      server.on({
        'leave room': (c, frame) => {
          if (!isHeld) c.answer(frame, { roomId: frame.data.roomId });
          isHeld = false;
        },
      });
      const client = connect({ getToken: () => token });
      await client.ready;
      const left = client.request('leave room', { roomId: 'r' });
      await eventually('it is asked', () => server.sent('leave room').length === 1);
      token = 'new';
      server.last.socket.close(4401);
      expect(await left).to.deep.equal({ roomId: 'r' });
      expect(tokens()).to.deep.equal(['old', 'new']);
    });

    it('goes on with a renewed sign-in when the token is refused', async () => {
      server.on({
        identity: (c, frame) => {
          if (frame.data.token === 'new') identify(c, frame);
          else c.refuse(frame, { code: 'unauthenticated' });
        },
      });
      let asks = 0;
      await connect({ getToken: () => (++asks === 1 ? 'old' : 'new') }).ready;
      expect(tokens()).to.deep.equal(['old', 'new']);
    });

    it('ends at once when it has no other token than the one that is refused', async () => {
      const backoff = { baseMs: 86_400_000, capMs: 86_400_000 };
      const client = connect({ getToken: () => 'old', random: () => 0.5, backoff });
      await client.ready;
      server.last.socket.close(4401);
      await eventually('it has ended', () => client.state.state === 'ended');
      expect(client.state).to.deep.equal({ state: 'ended', why: 'signed_out' });
      server.on({ identity: (c, frame) => c.refuse(frame, { code: 'unauthenticated' }) });
      expect(await code(connect({ getToken: () => 'old', backoff }).ready)).to.equal('signed_out');
      expect(server.connections).to.have.length(2);
    });

    it('tries again after an error of the function, and keeps its cursor', async () => {
      const errors: unknown[] = [];
      const failures: unknown[] = [new Error('no network'), new ClientError({ code: 'bad_request' })];
      const client = connect({
        cursors: { load: () => 'c7', save: () => {} },
        onError: (error) => errors.push(error),
        getToken: async () => {
          const failure = failures.shift();
          if (failure) throw failure;
          return 'new';
        },
      });
      await client.ready;
      expect(errors.map(String)).to.deep.equal(['Error: no network']);
      expect(server.sent('identity').map(({ data }) => data)).to.deep.equal([{ token: 'new', cursor: 'c7' }]);
    });

    it('ends when the function says that the user has to sign in', async () => {
      const token = () => Promise.reject(new ClientError({ code: 'unauthenticated' }));
      expect(await code(connect({ getToken: token }).ready)).to.equal('signed_out');
    });

    describe('that ends', () => {
      /** Timers that are set for a minute or longer; the others run. */
      let timers: { readonly ms: number; readonly run: () => void }[];
      const after = (ms: number, run: () => void): (() => void) => {
        if (ms < 60_000) return afterTimeout(ms, run);
        const timer = { ms, run };
        timers.push(timer);
        return () => {
          timers = timers.filter((one) => one !== timer);
        };
      };
      const inSeconds = (s: number): string => new Date(Date.now() + s * 1000).toISOString();
      const jwt = (exp: number): string =>
        `e30.${Buffer.from(JSON.stringify({ exp, '?': '>>>???ü' })).toString('base64url')}.c2ln`;
      beforeEach(() => {
        timers = [];
        server.on({ renew: (c, frame) => c.answer(frame, { expiresAt: inSeconds(3600) }) });
      });

      for (const [kind, make] of [
        ['a JWT', () => jwt(Math.floor(Date.now() / 1000) + 3600)],
        ['a token that is given with its end', () => ({ token: 'opaque', expiresAt: inSeconds(3600) })],
      ] as const)
        it(`renews ${kind} a minute before, without a new connection`, async () => {
          let given: Token = make();
          const client = connect({ getToken: () => given, after });
          await client.ready;
          await eventually('a timer is set', () => timers.length === 1);
          expect(timers[0]?.ms).to.be.within(3_520_000, 3_540_000);
          given = 'the next one';
          timers.shift()?.run();
          await eventually('it is renewed', () => server.sent('renew').length === 1);
          expect(server.sent('renew')[0]?.data).to.deep.equal({ token: 'the next one' });
          expect(client.state.state).to.equal('live');
          expect(server.connections).to.have.length(1);
          // That one does not say when it ends.
          expect(timers).to.deep.equal([]);
        });

      it('asks again when it gets the same, or an error', async () => {
        const errors: unknown[] = [];
        const given: (() => Token)[] = [
          () => ({ token: 'old', expiresAt: inSeconds(240) }),
          () => ({ token: 'old', expiresAt: inSeconds(180) }),
          () => ({ token: 'new', expiresAt: inSeconds(240) }),
        ];
        const getToken = (): Token => given.shift()?.() ?? 'none';
        const client = connect({ getToken, after, onError: (error) => errors.push(error) });
        await client.ready;
        for (const sent of [0, 1]) {
          await eventually('a timer is set', () => timers.length === 1);
          timers.shift()?.run();
          await eventually('it is asked', () => given.length === 1 - sent);
          await eventually('a timer is set', () => timers.length === 1);
          expect(server.sent('renew')).to.have.length(sent);
        }
        expect(errors).to.deep.equal([]);
      });

      it('stops asking when it is closed', async () => {
        const client = connect({ getToken: () => jwt(Date.now()), after });
        await client.ready;
        await eventually('a timer is set', () => timers.length === 1);
        client.close();
        expect(timers).to.deep.equal([]);
      });
    });

    it('connects again when the server did not want to wait for the function', async () => {
      let give = (_: string): void => {};
      let given = Promise.resolve('same');
      const client = connect({ getToken: () => given });
      await client.ready;
      given = new Promise((resolve) => (give = resolve));
      server.last.drop();
      await eventually('it is connected', () => server.connections.length === 2);
      server.last.socket.close(4401);
      await eventually('it has tried again', () => server.connections.length === 3);
      give('same');
      await eventually(
        'it has a token',
        () => client.state.state === 'live' || client.state.state === 'ended',
      );
      expect(client.state.state).to.equal('live');
      expect(tokens()).to.deep.equal(['same', 'same']);
    });
  });

  it('reconnects soon after 1012, however often it failed before', async () => {
    const delays: number[] = [];
    const note = (state: ClientState): void => {
      if (state.state === 'waiting') delays.push(state.delayMs);
    };
    let attempts = 0;
    server.on({
      identity: (c, frame) => {
        if (++attempts <= 2) c.drop();
        else if (attempts === 3) c.socket.close(1012);
        else identify(c, frame);
      },
    });
    const client = connect({ random: () => 0.5 });
    client.onState(note);
    await client.ready;
    expect(delays).to.deep.equal([1, 2, 1]);
  });

  it('tries at once when it is told to, and then waits as at first', async () => {
    const delays: number[] = [];
    let attempts = 0;
    server.on({
      identity: (c, frame) => {
        if (++attempts <= 5) c.drop();
        else identify(c, frame);
      },
    });
    const aDay = 86_400_000;
    const client = connect({ random: () => 0.5, backoff: { baseMs: aDay, capMs: aDay * 30 } });
    client.onState((state) => {
      if (state.state !== 'waiting') return;
      delays.push(state.delayMs);
      setImmediate(() => client.retry());
    });
    await client.ready;
    expect(delays).to.deep.equal(Array(5).fill(aDay / 2));
    client.retry();
    expect(client.state.state).to.equal('live');
  });

  it('waits as long as an overloaded server asks', async () => {
    let attempts = 0;
    server.on({
      identity: (c, frame) => {
        if (++attempts === 1) c.refuse(frame, { code: 'overloaded', retryAfterMs: 25 });
        else identify(c, frame);
      },
    });
    const delays: number[] = [];
    const client = connect({ random: () => 0.5 });
    client.onState((state) => state.state === 'waiting' && delays.push(state.delayMs));
    await client.ready;
    expect(delays).to.deep.equal([26]);
  });

  it('detects that an idle connection is dead', async () => {
    const client = connect({ keepAliveMs: 5, answerTimeoutMs: 30 });
    await client.ready;
    await eventually('it has connected again', () => server.connections.length >= 2);
    expect(server.sent('get online info')[0]?.data).to.deep.equal({ recipientId: someone.userId });
  });

  it('rejects waiting requests when it is closed', async () => {
    const client = connect();
    const waiting = code(client.request('active app', {}));
    client.close();
    expect(await waiting).to.equal('closed');
    expect(client.state).to.deep.equal({ state: 'ended', why: 'closed' });
  });
});
