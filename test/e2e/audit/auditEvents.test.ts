import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine, kindsWith, type Running, startFresh } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask, type Reply } from '../../support/http.js';
import { parley } from '../../support/parley.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say } from '../newcomer.js';

interface Shown {
  readonly partition: number;
  readonly offset: number;
  readonly stream: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly recordedAt: string;
  readonly erased?: true;
}

for (const engine of kindsWith('nodes')) {
  describe(`what auditors read (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let auditor: Newcomer;
    let ada: Newcomer;
    let ben: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let roomId: string;

    const get = (path: string, who: { token: string | undefined } = auditor): Promise<Reply> =>
      ask(server.url, `GET /audit/${path}`, who);
    const codeOf = ({ body, status }: Reply) => [status, body.code];
    const linesOf = (text: string): Shown[] =>
      text.split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line)));

    /** All events of a query, page by page. */
    async function all(query: string): Promise<Shown[]> {
      const found: Shown[] = [];
      for (let from = ''; ; ) {
        const { status, body } = await get(`events?${query}${from}`);
        expect(status, JSON.stringify(body)).to.equal(200);
        found.push(...body.events);
        if (body.next === undefined) return found;
        from = `&from=${encodeURIComponent(body.next)}`;
      }
    }
    const appoint = async (who: Newcomer, ...more: string[]) => {
      const ran = await parley(['role', 'auditor', who.user.username ?? '', ...more], server.settings);
      expect(ran.code, ran.err).to.equal(0);
    };

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off', PARTITIONS: '4' } });
      [auditor, ada, ben] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
      await appoint(auditor);
      [phone, tablet] = [await ada.device(), await ben.device()];
      await phone.request('add friend', { friendId: ben.userId });
      await tablet.push('add friend');
      // It is written while other things happen.
      await eventually('she is online', async () => {
        const { isOnline } = await tablet.request('get online info', { recipientId: ada.userId });
        return isOnline;
      });
      roomId = await chatOf(phone, ben);
      for (const text of ['one', 'two', 'three']) await say(phone, roomId, text);
      await hear(tablet, 'three');
    });
    after(async () => {
      await Promise.all([phone?.close(), tablet?.close()]);
      await server?.stop();
    });

    it('is for auditors only, and for them from when they have the role until it is taken', async () => {
      const paths = [
        'events',
        'events/stream',
        `rooms/${roomId}?at=1`,
        `users/${ada.userId}?at=2026-01-01T00:00:00Z`,
      ];
      for (const path of paths) {
        expect(codeOf(await get(path, ben)), path).to.deep.equal([403, 'forbidden']);
        expect((await get(path, { token: undefined })).status, path).to.equal(401);
      }
      const other = await Newcomer.at(server);
      await appoint(other);
      expect((await get('events?limit=1', other)).status).to.equal(200);
      await appoint(other, '--remove');
      expect((await get('events?limit=1', other)).status).to.equal(403);
    });

    it('is all events, opened, by time, then partition, then offset, once each whatever the pages', async () => {
      const few = await all('limit=3&until=9999-01-01T00:00:00Z');
      const places = few.map(({ recordedAt, partition, offset }) => [recordedAt, partition, offset] as const);
      const sorted = places.toSorted(
        ([timeA, partitionA, offsetA], [timeB, partitionB, offsetB]) =>
          timeA.localeCompare(timeB) || partitionA - partitionB || offsetA - offsetB,
      );
      expect(places).to.deep.equal(sorted);
      expect(new Set(few.map(({ partition, offset }) => `${partition}/${offset}`)).size).to.equal(few.length);
      const said = few.filter(({ type }) => type === 'MessageSent');
      expect(said.map(({ data }) => data.text)).to.deep.equal(['one', 'two', 'three']);
      const names = few.filter(({ type }) => type === 'UserRegistered').map(({ data }) => data.username);
      expect(names).to.include.members([auditor.user.username, ada.user.username, ben.user.username]);
      const again = linesOf((await get('events/stream')).text);
      expect(again.slice(0, few.length)).to.deep.equal(few);
      expect(Object.keys(few[0] ?? {})).to.deep.equal([
        ...['partition', 'offset', 'stream', 'version', 'type', 'data', 'actor', 'recordedAt', 'commandId'],
      ]);
    });

    it('is what the filters say', async () => {
      const ofRoom = await all(`stream=room:${roomId.toUpperCase()}&limit=2`);
      const types = ofRoom.map(({ type }) => type).filter((type) => type !== 'FriendAdded');
      expect(types.slice(0, 2)).to.deep.equal(['RoomCreated', 'ChatOpened']);
      expect(ofRoom.filter(({ type }) => type === 'MessageSent')).to.have.length(3);
      const [one, two, three] = (await all(`stream=room:${roomId}&type=MessageSent&actor=${ada.userId}`)) as [
        Shown,
        Shown,
        Shown,
      ];
      expect(three.data.text).to.equal('three');
      const between = await all(
        `type=MessageSent&partition=${one.partition}&since=${one.recordedAt}&until=${three.recordedAt}`,
      );
      expect(between).to.deep.equal([one, two].filter(({ recordedAt }) => recordedAt < three.recordedAt));
      expect(await all(`type=MessageSent&actor=${ben.userId}`)).to.deep.equal([]);
    });

    it('ends where the log ended at the first page, and a read is recorded, but not on its own page', async () => {
      const reads = () => all(`type=AuditRead&stream=user:${auditor.userId}`);
      const before = (await reads()).length;
      const query = `type=AuditRead&actor=${auditor.userId}&limit=1`;
      const pages = await all(query);
      // The read of `reads` itself was the last then.
      expect(pages).to.have.length(before + 1);
      const after = await reads();
      const last = after.at(-1);
      expect(last?.data).to.deep.include({ userId: auditor.userId, resource: 'events' });
      expect(last?.data.query).to.include({ type: 'AuditRead', limit: '1' });
      await get(`rooms/${roomId}?at=1`);
      const room = (await reads()).findLast(({ data }) => data.resource === 'room');
      expect(room?.data.query).to.deep.equal({ roomId, at: '1' });
    });

    it('refuses what is no question, and records none', async () => {
      const count = async () => (await all(`type=AuditRead&stream=user:${auditor.userId}`)).length;
      const before = await count();
      const queries = ['limit=0', 'limit=201', 'type=Nothing', 'stream=room', 'actor=me', 'since=yesterday'];
      const more = [
        'order=up',
        'partition=4',
        `stream=rooms:${roomId}`,
        ...['topic=others', 'except=Nothing', 'except=AuditRead,', 'except='],
        'until=2026-01-01T00:00:00.1234567890Z',
      ];
      for (const query of [...queries, ...more, 'from=x', 'partition=-1', 'more=1', 'limit=1&limit=2'])
        expect(codeOf(await get(`events?${query}`)), query).to.deep.equal([400, 'bad_request']);
      for (const path of [
        'events/0/0?more=1',
        'events/stream?order=desc',
        'events/stream?partition=4',
        `rooms/${roomId}?at=0`,
        `users/${ada.userId}?at=5`,
        'events/stream?limit=1',
      ])
        expect(codeOf(await get(path)), path).to.deep.equal([400, 'bad_request']);
      expect(await count()).to.equal(before + 1);
    });

    it('is the newest first with order=desc, in pages that go on to the sizes of the first one', async () => {
      const until = `until=${new Date().toISOString()}`;
      const { body: first } = await get(`events?order=desc&limit=3&${until}`);
      const inOrder = await all(`limit=200&${until}`);
      expect(first.events).to.deep.equal(inOrder.slice(-3).toReversed());
      expect(first.next).to.be.a('string');
      const rest = await all(`order=desc&limit=50&${until}&from=${encodeURIComponent(first.next)}`);
      expect([...first.events, ...rest]).to.deep.equal(inOrder.toReversed());
      const newest = await all(`type=AuditRead&order=desc&limit=2`);
      expect(newest.map(({ recordedAt }) => recordedAt)).to.deep.equal(
        newest
          .map(({ recordedAt }) => recordedAt)
          .toSorted()
          .toReversed(),
      );
      expect(codeOf(await get(`events?${until}&from=${first.next}`))).to.deep.equal([400, 'bad_request']);
      const ofRoom = await all(`stream=room:${roomId}&type=MessageSent&order=desc&limit=2`);
      expect(ofRoom.map(({ data }) => data.text)).to.deep.equal(['three', 'two', 'one']);
    });

    it('has at most 50 events where no limit is given, in both orders', async () => {
      for (let count = (await all('limit=200')).length; count <= 50; count++) await get('events?limit=1');
      for (const order of ['asc', 'desc']) {
        expect((await get(`events?order=${order}`)).body.events, order).to.have.length(50);
        expect((await get(`events?order=${order}&limit=51`)).body.events, order).to.have.length(51);
      }
    });

    it('compares times exactly, with up to nine decimals of a second', async () => {
      const [, two] = await all(`stream=room:${roomId}&type=MessageSent`);
      const at = two?.recordedAt.replace('Z', '') ?? '';
      const texts = async (query: string) =>
        (await all(`stream=room:${roomId}&type=MessageSent&${query}`)).map(({ data }) => data.text);
      expect(await texts(`until=${at}Z`)).to.not.include('two');
      expect(await texts(`until=${at}000001Z`)).to.include('two');
      expect(await texts(`since=${at}000000Z`)).to.include('two');
      expect(await texts(`since=${at}000001Z`)).to.not.include('two');
    });

    it('is one event at its place, which is recorded as a read of events', async () => {
      const [one] = await all(`stream=room:${roomId}&type=MessageSent`);
      const place = `${one?.partition}/${one?.offset}`;
      const reads = () => all(`type=AuditRead&stream=user:${auditor.userId}&limit=200`);
      const before = (await reads()).length;
      const { status, body } = await get(`events/${place}`);
      expect({ status, body }).to.deep.equal({ status: 200, body: { event: one } });
      expect((await get(`events/${place}/`)).body).to.deep.equal({ event: one });
      const after = await reads();
      expect(after).to.have.length(before + 3, 'the two, and the first of `reads`');
      expect(after.at(-2)?.data).to.deep.include({
        resource: 'events',
        query: { partition: `${one?.partition}`, offset: `${one?.offset}` },
      });
      for (const none of ['0/999999', '4/0', '99/0', '0/-1', '0/1.5', '0/x', 'x/0', '00/0', '0/00'])
        expect(codeOf(await get(`events/${none}`)), none).to.deep.equal([404, 'not_found']);
      for (const offset of [0, 1])
        expect((await get(`events/${one?.partition}/${offset}`)).body.event).to.include({ offset });
      expect(codeOf(await get(`events/${place}`, ben))).to.deep.equal([403, 'forbidden']);
    });

    it('shows a room and a user as they are now where no time is given', async () => {
      const now = (await get(`rooms/${roomId}`)).body;
      expect(now).to.deep.equal(
        (await get(`rooms/${roomId}?at=${new Date(Date.now() + 1000).toISOString()}`)).body,
      );
      expect(now.messages.at(-1)).to.include({ seq: now.messages.length });
      expect((await get(`users/${ada.userId}`)).body).to.deep.include({ user: ada.user, isOnline: true });
    });

    it('follows the log, until the role is taken', async () => {
      const watcher = await Newcomer.at(server);
      await appoint(watcher);
      const response = await fetch(`${server.url}/audit/events/stream?stream=room:${roomId}&follow=true`, {
        headers: { authorization: `Bearer ${watcher.token}` },
      });
      expect(response.headers.get('content-type')).to.match(/^application\/x-ndjson/);
      let text = '';
      const ended = (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
      })();
      await eventually('what was said is there', () => text.includes('three'));
      await say(phone, roomId, 'four');
      await eventually('what is said comes', () => text.includes('four'));
      const offsets = linesOf(text).map(({ offset }) => offset);
      expect(offsets).to.deep.equal([...new Set(offsets)].sort((a, b) => a - b));
      await appoint(watcher, '--remove');
      await ended;
    });

    it('follows the log in silence with an empty line after 15 s', async function () {
      if (engine !== 'sqlite') this.skip();
      const gone = new AbortController();
      const url = `${server.url}/audit/events/stream?type=UserErased&follow=true`;
      const { body } = await fetch(url, {
        headers: { authorization: `Bearer ${auditor.token}` },
        signal: gone.signal,
      });
      const first = await body?.getReader().read();
      expect(new TextDecoder().decode(first?.value)).to.equal('\n');
      gone.abort();
    });

    it('follows the log until the time that was asked for', async () => {
      const until = new Date(Date.now() + 1000).toISOString();
      const response = await get(`events/stream?stream=room:${roomId}&follow=true&until=${until}`);
      const events = linesOf(response.text);
      expect(events.map(({ data }) => data.text)).to.include('three');
      expect(events.every(({ recordedAt }) => recordedAt < until)).to.equal(true);
      expect(Date.now()).to.be.greaterThan(Date.parse(until));
    });

    it('shows a room and a user as they were', async () => {
      const [, second] = await all(`stream=room:${roomId}&type=MessageSent`);
      const then = (await get(`rooms/${roomId}?at=2`)).body;
      expect(then).to.have.all.keys('room', 'members', 'messages', 'readUpTo');
      expect(then.room).to.include({ roomId, roomType: 'PRIVATE' });
      expect(then.members).to.have.deep.members([ada.user, ben.user]);
      expect(then.messages.map(({ message }: { message: string }) => message)).to.deep.equal(['one', 'two']);
      expect(then.readUpTo).to.deep.equal({ [ada.userId]: 2, [ben.userId]: 0 });
      const atSecond = (await get(`rooms/${roomId}?at=${second?.recordedAt}`)).body;
      expect(atSecond.messages.slice(0, 2)).to.deep.equal(then.messages);
      const user = (await get(`users/${ada.userId}?at=${second?.recordedAt}`)).body;
      expect(user).to.deep.include({ user: ada.user, friends: [ben.user], isOnline: true, lastSeen: null });
      expect(user.rooms).to.deep.equal([then.room]);
      const early = (await get(`users/${ben.userId}?at=${ben.user.createdAt}`)).body;
      expect(early).to.deep.equal({
        user: ben.user,
        friends: [],
        blocked: [],
        preferences: {
          whoWrites: 'everyone',
          whoInvites: 'everyone',
          findable: true,
          visible: true,
          receipts: true,
        },
        rooms: [],
        isOnline: false,
        lastSeen: null,
      });
      const before = new Date(Date.parse(ben.user.createdAt) - 1).toISOString();
      for (const path of [
        `users/${ben.userId}?at=${before}`,
        `rooms/${roomId}?at=${before}`,
        `rooms/${roomId}?at=99`,
        `rooms/${randomUUID()}?at=1`,
        'rooms/x?at=1',
      ])
        expect(codeOf(await get(path)), path).to.deep.equal([404, 'not_found']);
    });

    it('shows null for what was erased, and says so beside the data', async () => {
      const at = new Date().toISOString();
      const json = { password: ada.password };
      const { token } = ada;
      expect((await ask(server.url, `DELETE /user/${ada.userId}`, { token, json })).status).to.equal(204);
      const said = await all(`stream=room:${roomId}&type=MessageSent`);
      for (const { data, erased } of said)
        expect({ text: data.text, erased }).to.deep.equal({ text: null, erased: true });
      const [registered] = await all(`stream=user:${ada.userId}&type=UserRegistered`);
      expect(registered).to.deep.include({ erased: true });
      expect(registered?.data.username).to.equal(null);
      const { messages, members } = (await get(`rooms/${roomId}?at=1`)).body;
      expect(messages[0]).to.include({ message: null, erased: true });
      expect(members.find(({ userId }: { userId: string }) => userId === ada.userId)).to.include({
        username: null,
        erased: true,
      });
      // They were friends, and are none any more.
      const friendsAt = async (time: string): Promise<unknown[]> =>
        (await get(`users/${ben.userId}?at=${time}`)).body.friends;
      expect(await friendsAt(at)).to.have.length(1);
      expect(await friendsAt(new Date(Date.now() + 60_000).toISOString())).to.deep.equal([]);
    });

    it('is all but some types, and what is about one topic, page by page and as a stream', async () => {
      const until = `until=${new Date().toISOString()}`;
      const whole = await all(`limit=200&${until}`);
      expect(whole.some(({ type }) => type === 'AuditRead')).to.equal(true);
      const typesOf = (events: readonly Shown[]) => [...new Set(events.map(({ type }) => type))];
      for (const [query, isWanted] of [
        ['except=AuditRead', ({ type }) => type !== 'AuditRead'],
        ['except=AuditRead,MessageSent', ({ type }) => !['AuditRead', 'MessageSent'].includes(type)],
        ['topic=audit', ({ type }) => type === 'AuditRead'],
        ['topic=audit&except=AuditRead', () => false],
        ['topic=messages', ({ type }) => ['MessageSent', 'MessagesRead'].includes(type)],
      ] as readonly (readonly [string, (event: Shown) => boolean])[]) {
        const wanted = whole.filter(isWanted);
        expect(await all(`limit=3&${query}&${until}`), query).to.deep.equal(wanted);
        const newestFirst = await all(`limit=3&order=desc&${query}&${until}`);
        expect(newestFirst, query).to.deep.equal(wanted.toReversed());
        const stream = await get(`events/stream?${query}&${until}`);
        expect(linesOf(stream.text), query).to.deep.equal(wanted);
      }
      expect(typesOf(await all(`topic=people&${until}`))).to.include.members([
        'UserRegistered',
        'FriendAdded',
      ]);
      const { body: first } = await get(`events?limit=1&except=AuditRead&${until}`);
      const other = await get(`events?limit=1&except=MessageSent&${until}&from=${first.next}`);
      expect(codeOf(other), 'a next of another query').to.deep.equal([400, 'bad_request']);
    });
  });
}
