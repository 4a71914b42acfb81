import { expect } from 'chai';
import type { Connection } from '../../src/gateway/connection.js';
import { textFrame } from '../../src/gateway/protocol.js';
import { type FakeClient, FakeHost, requestText, sessionOf, turn } from './fakeClient.js';

const MIB = 1024 * 1024;

/** A frame of so many bytes on the wire. */
const frameOf = (bytes: number) =>
  textFrame('x'.repeat(bytes < 128 ? bytes - 2 : bytes - 4 * Math.ceil(bytes / (64 * 1024))));
const codesOf = ({ received }: FakeClient) => received.map(({ error }) => error?.code ?? 'ok');

describe('a connection', () => {
  let host: FakeHost;
  beforeEach(() => {
    host = new FakeHost();
  });
  /** Lets time pass up to `at`, and checks. */
  const checkAt = async (connection: Connection, at: number) => {
    await host.time.advance(at - host.now());
    connection.check();
  };
  const idsBegun = () => host.begun.map(({ id }) => id);

  describe('that has not identified', () => {
    it('is closed with 4401 after 10 s', async () => {
      const { connection, client } = host.connect(sessionOf('ann'));
      await checkAt(connection, 9999);
      expect(client.closed).equal(undefined);
      await checkAt(connection, 10_000);
      expect(client.closed).deep.equal({ code: 4401, reason: 'not signed in within 10 s' });
    });

    it('has the 10 s for all attempts together', async () => {
      const { connection, client } = host.connect();
      await host.time.advance(9000);
      expect(connection.beginIdentifying()).equal(true);
      connection.endIdentifying();
      expect(connection.beginIdentifying()).equal(true);
      await checkAt(connection, 10_000);
      expect(client.closed?.code).equal(4401);
    });

    it('stays closed when the attempt under way succeeds after the deadline', async () => {
      const { connection } = host.connect();
      connection.beginIdentifying();
      await checkAt(connection, 10_000);
      connection.identify(sessionOf('ann'), 'live');
      expect([connection.isClosing, connection.session, connection.isListeningTo('room')]).deep.equal([
        true,
        undefined,
        false,
      ]);
    });

    it('has a bearer, and no session', () => {
      const ann = sessionOf('ann');
      const { connection } = host.connect(ann);
      expect([connection.bearer, connection.session]).deep.equal([ann, undefined]);
      const bob = sessionOf('bob');
      connection.beginIdentifying();
      connection.setBearer(bob);
      connection.endIdentifying();
      expect([connection.bearer, connection.session]).deep.equal([bob, undefined]);
    });

    it('begins nothing behind an attempt to identify until that has ended', async () => {
      const { connection, client } = host.connect();
      connection.receive(requestText('identity', {}, 'i'));
      connection.beginIdentifying();
      connection.receive(requestText('send message', {}, 1));
      connection.receive(requestText('send message', {}, 2));
      await turn();
      expect([idsBegun(), client.isPaused]).deep.equal([['i'], true]);
      connection.identify(sessionOf('ann'), 'live');
      await host.end('i');
      expect([idsBegun(), client.isPaused]).deep.equal([['i', 1, 2], false]);
    });
  });

  describe('that has identified', () => {
    it('cannot begin to identify again', () => {
      const { connection } = host.connectLive();
      expect(connection.beginIdentifying()).equal(false);
      connection.endIdentifying();
      expect(connection.session?.userId).equal('ann');
    });

    it('is sent live pushes only once its replay has ended', () => {
      const { connection } = host.connect();
      connection.beginIdentifying();
      connection.identify(sessionOf('ann'), 'replaying');
      expect([connection.session?.userId, connection.isListeningTo('room')]).deep.equal(['ann', false]);
      connection.goLive();
      expect(connection.isListeningTo('room')).equal(true);
    });

    it('does not become live when it was closed during its replay', () => {
      const { connection } = host.connect();
      connection.beginIdentifying();
      connection.identify(sessionOf('ann'), 'replaying');
      connection.handleClose();
      connection.goLive();
      expect([connection.isClosing, connection.isListeningTo(undefined)]).deep.equal([true, false]);
    });

    it('is sent no pushes of a room that it has left until it joins again', () => {
      const { connection } = host.connectLive();
      connection.leaveRoom('left');
      expect(['left', 'other', undefined].map((room) => connection.isListeningTo(room))).deep.equal([
        false,
        true,
        true,
      ]);
      connection.joinRoom('left');
      expect(connection.isListeningTo('left')).equal(true);
    });

    it('remembers for its queries the newest moment that it was told of, by partition', () => {
      const { connection } = host.connectLive();
      connection.recordSeen(2, 7);
      connection.recordSeen(0, 3);
      connection.recordSeen(2, 5);
      expect(connection.seenMoments()).deep.equal([
        { partition: 0, size: 3 },
        { partition: 2, size: 7 },
      ]);
      expect(connection.seenMoments(2)).deep.equal([{ partition: 2, size: 7 }]);
      expect(connection.seenMoments(1)).deep.equal([]);
    });
  });

  describe('and its requests', () => {
    it('begins them in the order sent, each without waiting for those before', async () => {
      const { connection, client } = host.connectLive();
      for (const id of [1, 2, 3]) connection.receive(requestText('send message', {}, id));
      expect([idsBegun(), connection.openRequests]).deep.equal([[1, 2, 3], 3]);
      await host.end(2);
      expect([connection.openRequests, client.isPaused]).deep.equal([2, false]);
    });

    it('answers what is over the rate limit rate_limited, with when to try again', async () => {
      host.rateLimit = { rate: 10, burst: 2 };
      const { connection, client } = host.connectLive();
      for (const id of [1, 2, 3]) connection.receive(requestText('active app', {}, id));
      await turn();
      expect(idsBegun()).deep.equal([1, 2]);
      const [refusal] = client.received;
      expect(refusal).to.have.property('id', 3);
      expect(refusal?.error).to.include({ code: 'rate_limited', retryAfterMs: 100 });
      await host.time.advance(100);
      connection.receive(requestText('active app', {}, 4));
      expect(idsBegun()).deep.equal([1, 2, 4]);
    });

    it('is closed with 1008 by the 1,000th request within 10 s that is rate_limited', async () => {
      host.rateLimit = { rate: 0.001, burst: 1 };
      const { connection, client } = host.connectLive();
      for (let i = 0; i < 1000; i++) connection.receive(requestText('active app'));
      await turn();
      expect([client.closed, client.received.length]).deep.equal([undefined, 999]);
      connection.receive(requestText('active app'));
      expect(client.closed).deep.equal({ code: 1008, reason: 'too many requests' });
      expect(codesOf(client).every((code) => code === 'rate_limited')).equal(true);
      expect(host.begun).to.have.length(1);
    });

    it('is not closed by 999 such requests in every 10 s', async () => {
      host.rateLimit = { rate: 0.001, burst: 1 };
      const { connection, client } = host.connectLive();
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 999; i++) connection.receive(requestText('active app'));
        await host.time.advance(10_001);
      }
      expect(client.closed).equal(undefined);
    });

    it('answers frames that are no requests bad_request, with the id that they have', async () => {
      const { connection, client } = host.connectLive();
      for (const text of ['{', '[]', '{"id":7}', '{"event":"active app"}', '{"id":{},"event":"e"}'])
        connection.receive(text);
      await turn();
      expect(codesOf(client)).deep.equal(Array(5).fill('bad_request'));
      expect(client.received.map(({ id }) => id)).deep.equal([undefined, undefined, 7, undefined, undefined]);
      expect(host.begun).deep.equal([]);
    });

    it('takes as an id a string of at most 128 bytes or a safe integer, and nothing else', async () => {
      const { connection, client } = host.connectLive();
      const ids = ['', 'x'.repeat(128), 'é'.repeat(64), 0, -1, Number.MAX_SAFE_INTEGER];
      for (const id of ids) connection.receive(requestText('active app', {}, id));
      expect(idsBegun()).deep.equal(ids);
      for (const id of ['x'.repeat(129), 'é'.repeat(65), 0.5, 2 ** 53, 1e300, null, true])
        connection.receive(JSON.stringify({ id, event: 'active app', data: {} }));
      await turn();
      expect(codesOf(client)).deep.equal(Array(7).fill('bad_request'));
      expect(client.received.map(({ id }) => id)).deep.equal(Array(7).fill(undefined));
      expect(host.begun).to.have.length(ids.length);
    });

    it('is closed with 1008 by 100 such frames within 10 s, without a rate limit too', async () => {
      const { connection, client } = host.connectLive();
      for (let i = 0; i < 99; i++) connection.receive('no request');
      await host.time.advance(10_001);
      for (let i = 0; i < 99; i++) connection.receive('no request');
      expect(client.closed).equal(undefined);
      connection.receive('no request');
      expect(client.closed).deep.equal({ code: 1008, reason: 'too many frames that are no requests' });
    });

    it('works on 1,024 at once, and reads no further until one of them has ended', async () => {
      const { connection, client } = host.connectLive();
      for (let id = 1; id <= 1024; id++) connection.receive(requestText('send message', {}, id));
      expect(client.isPaused).equal(false);
      for (const id of [1025, 1026]) connection.receive(requestText('send message', {}, id));
      expect([host.begun.length, client.isPaused]).deep.equal([1024, true]);
      await host.end(500);
      expect([host.begun.at(-1)?.id, client.isPaused]).deep.equal([1025, true]);
      await host.end(1);
      expect([host.begun.at(-1)?.id, client.isPaused]).deep.equal([1026, false]);
    });

    it('works on 8 of those at once whose answers may be large', async () => {
      const { connection, client } = host.connectLive();
      for (let id = 1; id <= 9; id++)
        connection.receive(requestText(id % 2 === 0 ? 'fetch messages' : 'get active chats', {}, id));
      connection.receive(requestText('active app', {}, 10));
      expect([host.begun.length, client.isPaused]).deep.equal([8, true]);
      await host.end(3);
      expect([idsBegun().slice(8), client.isPaused], 'in the order sent').deep.equal([[9], true]);
      await host.end(4);
      expect([idsBegun().slice(8), client.isPaused]).deep.equal([[9, 10], false]);
    });
  });

  describe('whose client does not read', () => {
    let connected: ReturnType<FakeHost['connectLive']>;
    beforeEach(() => {
      connected = host.connectLive();
      connected.client.isReading = false;
    });

    it('begins no further request while 1 MiB waits, and goes on in order when less does', async () => {
      const { connection, client } = connected;
      connection.push(frameOf(MIB - 100));
      await turn();
      connection.receive(requestText('send message', {}, 1));
      connection.sendText('x'.repeat(100));
      for (const id of [2, 3]) connection.receive(requestText('send message', {}, id));
      expect([idsBegun(), client.isPaused]).deep.equal([[1], true]);
      client.read();
      expect([idsBegun(), client.isPaused]).deep.equal([[1, 2, 3], false]);
    });

    it('holds what comes behind those held, though the socket has taken some and not told of it yet', async () => {
      const { connection, client } = connected;
      connection.push(frameOf(MIB));
      await turn();
      connection.receive(requestText('send message', {}, 1));
      client.writableLength = 0;
      connection.receive(requestText('send message', {}, 2));
      expect(idsBegun()).deep.equal([]);
      client.take();
      expect(idsBegun()).deep.equal([1, 2]);
    });

    it('begins none of those held behind one that closes the connection', async () => {
      const { connection, client } = connected;
      host.serve = async () => connection.close({ code: 4401, reason: 'signed out', isMisuse: false });
      connection.push(frameOf(MIB));
      for (const id of [1, 2]) connection.receive(requestText('send message', {}, id));
      await turn();
      client.read();
      expect(idsBegun()).deep.equal([1]);
    });

    it('begins only as many of those held as fit again', async () => {
      const { connection, client } = connected;
      host.serve = async (_, { id }) => {
        connection.sendText(`${id}: ${'x'.repeat(MIB)}`);
      };
      connection.push(frameOf(MIB));
      for (const id of [1, 2]) connection.receive(requestText('send message', {}, id));
      await turn();
      expect(idsBegun()).deep.equal([]);
      client.take();
      expect([idsBegun(), client.isPaused]).deep.equal([[1], true]);
    });

    it('is closed with 4408 when 1 MiB waits and none of it has left for 10 s', async () => {
      const { connection, client } = connected;
      await host.time.advance(1000);
      connection.push(frameOf(MIB));
      await turn();
      connection.check();
      await checkAt(connection, 10_999);
      expect(client.closed).equal(undefined);
      await checkAt(connection, 11_000);
      expect(client.closed).deep.equal({ code: 4408, reason: 'the client does not read' });
    });

    it('is not closed while bytes leave, however late the socket says that it has drained', async () => {
      const { connection, client } = connected;
      connection.push(frameOf(2 * MIB));
      await turn();
      for (let at = 0; at < 100_000; at += 9500) {
        await checkAt(connection, at);
        client.writableLength -= 100;
      }
      expect(client.closed).equal(undefined);
    });

    it('is not closed while something moves, or less than 1 MiB waits', async () => {
      const { connection, client } = connected;
      for (let i = 0; i < 40; i++) connection.push(frameOf(64 * 1024));
      await turn();
      await host.time.advance(9000);
      client.take();
      await checkAt(connection, 18_000);
      expect(client.closed).equal(undefined);
      const other = host.connectLive();
      other.client.isReading = false;
      other.connection.push(frameOf(MIB - 1));
      await turn();
      await checkAt(other.connection, 1_000_000);
      expect(other.client.closed).equal(undefined);
    });

    it('is closed with 4408 by the push that finds 8 MiB waiting, and what waits is dropped', async () => {
      const { connection, client } = connected;
      for (let i = 0; i < 8; i++) connection.push(frameOf(MIB));
      await turn();
      expect(client.closed).equal(undefined);
      connection.push(frameOf(100));
      expect(client.closed).deep.equal({ code: 4408, reason: 'the client does not read' });
      await turn();
      expect(client.writes, 'what the socket had been given').to.have.length(1);
      expect(connection.waitingBytes).equal(64 * 1024);
    });

    it('is not closed by its own answers, however much waits', async () => {
      const { connection, client } = connected;
      for (let i = 0; i < 9; i++) connection.sendText('x'.repeat(MIB));
      await turn();
      expect(client.closed).equal(undefined);
    });

    it('lets a replay wait until less does', async () => {
      const { connection, client } = connected;
      let goesOn = 0;
      const wait = () => connection.waitUntilBelow(1000).then(() => goesOn++);
      connection.push(frameOf(999));
      await wait();
      expect(goesOn).equal(1);
      connection.push(frameOf(20_000));
      void wait();
      await turn();
      expect(goesOn).equal(1);
      client.take();
      await turn();
      expect(goesOn).equal(2);
    });

    it('ends the waiting of a replay when it closes', async () => {
      for (const end of ['close', 'socket'] as const) {
        const { connection, client } = host.connectLive();
        client.isReading = false;
        connection.push(frameOf(20_000));
        const waited = connection.waitUntilBelow(1000);
        if (end === 'socket') connection.handleClose();
        else connection.close({ code: 1012, reason: 'the server restarts', isMisuse: false });
        await waited;
        client.writableLength = 20_000;
        await turn();
        await connection.waitUntilBelow(1000);
      }
    });
  });

  describe('that is silent', () => {
    it('is sent one ping after 30 s, and is cut off when nothing comes for 30 s after it', async () => {
      const { connection, client } = host.connectLive();
      await checkAt(connection, 29_999);
      expect(client.pings).equal(0);
      await checkAt(connection, 34_000);
      await checkAt(connection, 34_500);
      expect([client.pings, client.isTerminated]).deep.equal([1, false]);
      await checkAt(connection, 63_999);
      expect(client.isTerminated).equal(false);
      await checkAt(connection, 64_000);
      expect(client.isTerminated).equal(true);
    });

    it('is not cut off once it is heard, by a pong or a frame', async () => {
      const { connection, client } = host.connectLive();
      for (const hear of [() => connection.markHeard(), () => connection.receive('no request')]) {
        await checkAt(connection, host.now() + 30_000);
        await checkAt(connection, host.now() + 29_999);
        hear();
        await checkAt(connection, host.now() + 29_999);
      }
      expect([client.pings, client.isTerminated]).deep.equal([2, false]);
    });

    it('is asked again after a stall of the server, and has 30 s from then on', async () => {
      const { connection, client } = host.connectLive();
      connection.handleStall();
      expect(client.pings, 'it had not been asked').equal(0);
      await checkAt(connection, 30_000);
      await host.time.advance(29_900);
      connection.handleStall();
      expect(client.pings).equal(2);
      await checkAt(connection, 89_899);
      expect(client.isTerminated).equal(false);
      await checkAt(connection, 89_900);
      expect(client.isTerminated).equal(true);
    });

    it('is neither pinged nor cut off while the server does not read what it sends', async () => {
      const { connection, client } = host.connectLive();
      for (let id = 1; id <= 9; id++) connection.receive(requestText('fetch messages', {}, id));
      expect(client.isPaused).equal(true);
      for (let i = 0; i < 5; i++) await checkAt(connection, host.now() + 30_000);
      expect([client.pings, client.isTerminated]).deep.equal([0, false]);
      await host.end(1);
      await checkAt(connection, host.now() + 30_000);
      expect(client.pings).equal(1);
    });
  });

  describe('that closes', () => {
    const restart = { code: 1012, reason: 'the server restarts', isMisuse: false } as const;

    it('writes what waits before the close frame, and nothing after it', async () => {
      const { connection, client } = host.connectLive();
      connection.sendText('the answer');
      connection.close(restart);
      expect([client.texts, client.closed?.code]).deep.equal([['the answer'], 1012]);
      connection.sendText('too late');
      connection.push(textFrame('too late'));
      await turn();
      expect(client.texts).deep.equal(['the answer']);
    });

    it('says why once', async () => {
      const { connection, client } = host.connectLive();
      connection.close(restart);
      connection.close({ code: 4401, reason: 'signed out', isMisuse: false });
      await checkAt(connection, 10_000_000);
      expect([host.closings, client.closed?.code]).deep.equal([[restart], 1012]);
    });

    it('drops what is held, begins nothing that comes, and reads on for the other’s close frame', async () => {
      const { connection, client } = host.connectLive();
      for (let id = 1; id <= 9; id++) connection.receive(requestText('fetch messages', {}, id));
      expect(client.isPaused).equal(true);
      connection.close(restart);
      connection.receive(requestText('active app', {}, 10));
      for (let id = 1; id <= 8; id++) await host.end(id);
      expect([host.begun.length, connection.openRequests, client.isPaused]).deep.equal([8, 0, false]);
    });

    it('in the middle of a request lets it end, unanswered', async () => {
      const { connection, client } = host.connectLive();
      let finish = () => {};
      host.serve = async () => {
        await new Promise<void>((resolve) => (finish = resolve));
        connection.sendText('too late');
      };
      connection.receive(requestText('send message'));
      connection.handleClose();
      finish();
      await turn();
      expect([connection.openRequests, client.writes.length]).deep.equal([0, 0]);
    });

    it('is cut off when the client has not answered within 5 s', async () => {
      const { connection, client } = host.connectLive();
      connection.close(restart);
      await checkAt(connection, 4999);
      expect(client.isTerminated).equal(false);
      await checkAt(connection, 5000);
      expect(client.isTerminated).equal(true);
    });

    it('still tells whose it was', () => {
      const { connection } = host.connectLive();
      connection.close(restart);
      connection.handleClose();
      expect([connection.bearer?.userId, connection.session]).deep.equal(['ann', undefined]);
    });
  });
});
