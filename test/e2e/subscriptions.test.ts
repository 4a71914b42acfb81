import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { allKinds, hasEngine, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import type { RawSocket } from '../support/rawSocket.js';
import { EGRESS, eventsIn, Receiver, verifySignature } from '../support/receiver.js';
import { chatOf, Newcomer, say } from './newcomer.js';

for (const engine of allKinds) {
  describe(`subscriptions of the host's server (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let host: HostServer;
    let ada: Newcomer;
    let ben: Newcomer;
    let phone: RawSocket;
    let roomId: string;
    const receivers: Receiver[] = [];
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      const env = { ...EGRESS, RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off', PARTITIONS: '3' };
      server = await startFresh(engine, { env });
      host = await HostServer.of(server);
      [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      phone = await ada.device();
      roomId = await chatOf(phone, ben);
    });
    after(async () => {
      await phone?.close();
      await server?.stop();
      for (const receiver of receivers) await receiver.close();
    });

    const receive = async (): Promise<Receiver> => {
      const receiver = await Receiver.start();
      receivers.push(receiver);
      return receiver;
    };
    const eventsAt = ({ received }: Receiver) => received.flatMap(eventsIn);
    const textsAt = (receiver: Receiver) =>
      eventsAt(receiver).flatMap(({ type, data }) => (type === 'MessageSent' ? [data.text] : []));
    const act = async (id: string, verb: string, json?: unknown) => {
      const { status, body, text } = await host.ask(`POST /server/subscriptions/${id}/${verb}`, json);
      expect(status, text).to.equal(200);
      return body;
    };
    const newId = () => `sub-${randomUUID()}`;

    it('are made once, and then answered again; the secret is shown once', async () => {
      const [receiver, id] = [await receive(), newId()];
      const wanted = { url: `${receiver.url}?token=secret`, types: ['MessageSent'], rooms: [roomId] };
      const made = await host.ask(`PUT /server/subscriptions/${id}`, wanted);
      expect(made.status).to.equal(201);
      expect(made.body.secret).to.match(/^whsec_/);
      const { cursor, lagEvents, lagSeconds, ...shown } = made.body.subscription;
      expect(shown).to.deep.equal({ id, ...wanted, url: receiver.url, paused: false });
      expect(cursor).to.be.a('string');
      // Others may have gone online meanwhile.
      for (const lag of [lagEvents, lagSeconds]) expect(lag).to.be.a('number');
      const again = await host.ask(`PUT /server/subscriptions/${id}`, wanted);
      expect(again.status).to.equal(200);
      expect(again.body).to.have.all.keys('subscription');
      const all = await host.ask('GET /server/subscriptions');
      expect(all.body.subscriptions.map((one: { id: string }) => one.id)).to.include(id);
      const set = (await host.allEvents()).filter(({ data }) => data.subscriptionId === id);
      expect(
        set.map(({ type }) => type),
        'a repeat changes nothing',
      ).to.deep.equal(['SubscriptionSet']);
      expect(JSON.stringify(set)).to.not.include('token=secret');
      expect(set[0]).to.have.property('via').that.is.a('string');
      expect((await host.ask(`DELETE /server/subscriptions/${id}`)).status).to.equal(204);
      for (const what of ['GET', 'DELETE'])
        expect((await host.ask(`${what} /server/subscriptions/${id}`)).status).to.equal(404);
    });

    it('get each event signed, opened, in order, at the path that was given', async () => {
      const [receiver, id] = [await receive(), newId()];
      const secret = await host.subscribe(id, { url: `${receiver.url}?of=me`, rooms: [roomId] });
      const texts = ['one', 'two', 'three'];
      for (const text of texts) await say(phone, roomId, text);
      await eventually('all have come', () => textsAt(receiver).length === 3);
      expect(textsAt(receiver)).to.deep.equal(texts);
      for (const received of receiver.received) {
        verifySignature(received, secret);
        const [event] = eventsIn(received);
        expect(received.json).to.include({ type: event?.type, timestamp: event?.recordedAt });
        expect(received.id).to.match(new RegExp(`^evt_[0-9a-f-]{36}_${event?.partition}_${event?.offset}$`));
        expect(received.path).to.equal('/hook?of=me');
        expect(event?.stream).to.equal(`room:${roomId}`);
      }
      const asked = (await host.allEvents()).filter(({ stream }) => stream === `room:${roomId}`);
      const from = eventsAt(receiver)[0]?.offset ?? 0;
      expect(asked.filter(({ offset }) => offset >= from)).to.deep.equal(eventsAt(receiver));
    });

    it('try again after an answer that is no 2xx, and say so; `resume` tries at once', async () => {
      const [receiver, id] = [await receive(), newId()];
      // A second try, 5 s later, is not answered before the first was looked at.
      let release = (): void => {};
      const isSeen = new Promise<void>((resolve) => (release = resolve));
      receiver.answer = async () => {
        if (receiver.received.length === 1) return 503;
        await isSeen;
        return 204;
      };
      await host.subscribe(id, { url: receiver.url, types: ['MessageSent'], rooms: [roomId] });
      await say(phone, roomId, 'refused at first');
      await eventually('it fails', async () => (await host.subscription(id)).failing !== undefined);
      const { failing, lagEvents, lagSeconds, paused } = await host.subscription(id);
      expect(failing).to.include({ status: 503 });
      expect(Date.parse(failing?.next ?? '') - Date.parse(failing?.since ?? '')).to.equal(5000);
      expect([lagEvents >= 1, lagSeconds > 0, paused]).to.deep.equal([true, true, false]);
      release();
      await act(id, 'resume');
      await eventually('it has come', async () => (await host.subscription(id)).lagEvents === 0);
      expect(await host.subscription(id)).to.not.have.property('failing');
      const [first, ...others] = receiver.received;
      expect(textsAt(receiver)[0]).to.equal('refused at first');
      expect(others).to.have.length.above(0);
      for (const again of others) expect([again.id, again.body]).to.deep.equal([first?.id, first?.body]);
    });

    it('follow no redirect', async () => {
      const [receiver, target, id] = [await receive(), await receive(), newId()];
      receiver.answer = () => (response) => void response.writeHead(307, { location: target.url }).end();
      await host.subscribe(id, { url: receiver.url, rooms: [roomId] });
      await say(phone, roomId, 'not to be led away');
      await eventually('it fails', async () => (await host.subscription(id)).failing?.status === 307);
      expect(target.received).to.deep.equal([]);
      await host.ask(`DELETE /server/subscriptions/${id}`);
    });

    it('are paused by a 410 and by the host, and go on where they were', async () => {
      const [receiver, id] = [await receive(), newId()];
      receiver.answer = () => 410;
      await host.subscribe(id, { url: receiver.url, rooms: [roomId] });
      await say(phone, roomId, 'not wanted now');
      await eventually('it is paused', async () => (await host.subscription(id)).paused);
      receiver.answer = () => 200;
      expect((await act(id, 'resume')).subscription.paused).to.equal(false);
      await eventually('it goes on', () => textsAt(receiver).length === 2);
      expect((await act(id, 'pause')).subscription.paused).to.equal(true);
      // Other nodes look once a second.
      const idle = async () => (await host.subscription(id)).lagEvents;
      await say(phone, roomId, 'while it is paused');
      if (engine === 'sqlite') expect(await idle()).to.be.at.least(1);
      await act(id, 'resume');
      await eventually('it has come', () => textsAt(receiver).at(-1) === 'while it is paused');
    });

    it('begin and go on at the start, a time, a cursor, or now', async () => {
      const [receiver, id] = [await receive(), newId()];
      const { sentAt } = await say(phone, roomId, 'long before');
      // What comes since then has a later time.
      while (new Date().toISOString() <= sentAt);
      const between = new Date().toISOString();
      const { body: page } = await host.ask('GET /server/events');
      expect(page.events).to.deep.equal([]);
      const last = await say(phone, roomId, 'just now');
      const all = (await host.allEvents('&types=MessageSent'))
        .filter(({ data }) => data.roomId === roomId)
        .map(({ data }) => data.text);
      await host.subscribe(id, { url: receiver.url, types: ['MessageSent'], rooms: [roomId], from: 'start' });
      await eventually('all have come', () => textsAt(receiver).length === all.length);
      expect(textsAt(receiver)).to.deep.equal(all);
      const offsetOfLast = eventsAt(receiver).at(-1)?.offset;
      for (const to of [between, page.next]) {
        receiver.received.length = 0;
        await act(id, 'seek', { to });
        await eventually('it has come again', () => textsAt(receiver).length === 1);
        expect(textsAt(receiver)).to.deep.equal(['just now']);
        expect(eventsAt(receiver)[0]).to.include({ offset: offsetOfLast });
      }
      receiver.received.length = 0;
      await act(id, 'seek', { to: 'now' });
      await say(phone, roomId, 'and then');
      await eventually('only what came since', () => textsAt(receiver).length === 1);
      expect(textsAt(receiver)).to.deep.equal(['and then']);
      const sought = (await host.allEvents('&types=SubscriptionSought')).map(({ data }) => data);
      expect(sought.filter(({ subscriptionId }) => subscriptionId === id).map(({ to }) => to)).to.deep.equal([
        between,
        page.next,
        'now',
      ]);
      expect(last.seq).to.be.a('number');
    });

    it('get lists with `batch`, the same in every try', async () => {
      const [receiver, id] = [await receive(), newId()];
      await host.subscribe(id, { url: receiver.url, types: ['MessageSent'], from: 'start', batch: 100 });
      await eventually('lists have come', async () => (await host.subscription(id)).lagEvents === 0);
      const asked = await host.allEvents('&types=MessageSent');
      for (const { json, id: of } of receiver.received) {
        expect(json).to.have.property('data').that.is.an('array');
        const [first] = eventsIn({ json });
        expect(json).to.include({ type: 'events', timestamp: first?.recordedAt });
        expect(of.endsWith(`_${first?.partition}_${first?.offset}`)).to.equal(true);
      }
      const ofPartition = (events: { partition: number }[], partition: number) =>
        events.filter((event) => event.partition === partition);
      for (const partition of [0, 1, 2])
        expect(ofPartition(eventsAt(receiver), partition)).to.deep.equal(ofPartition(asked, partition));
      await host.ask(`DELETE /server/subscriptions/${id}`);
    });

    it('get no text that was deleted or erased since', async () => {
      const [receiver, id] = [await receive(), newId()];
      const eve = await Newcomer.at(server);
      const tablet = await eve.device();
      const withEve = await chatOf(tablet, ben);
      const kept = await say(tablet, withEve, 'kept until the erasure');
      const deleted = await say(tablet, withEve, 'to be deleted');
      const wanted = { url: receiver.url, types: ['MessageSent'], rooms: [withEve], from: 'start' };
      await host.subscribe(id, wanted);
      await eventually('both have come', () => textsAt(receiver).length === 2);
      expect(textsAt(receiver)).to.deep.equal([kept.message, deleted.message]);
      await tablet.request('delete message', { roomId: withEve, messageId: deleted.messageId });
      receiver.received.length = 0;
      await act(id, 'seek', { to: 'start' });
      await eventually('both come again', () => textsAt(receiver).length === 2);
      expect(textsAt(receiver)).to.deep.equal([kept.message, null]);
      expect(eventsAt(receiver)[1]).to.include({ erased: true });
      const erased = await ask(server.url, `DELETE /user/${eve.userId}`, {
        ...{ token: eve.token, json: { password: eve.password } },
      });
      expect(erased.status).to.equal(204);
      receiver.received.length = 0;
      await act(id, 'seek', { to: 'start' });
      await eventually('both come once more', () => textsAt(receiver).length === 2);
      expect(textsAt(receiver)).to.deep.equal([null, null]);
      await tablet.closed;
    });

    it('sign with both secrets for a day after `rotate`', async () => {
      const [receiver, id] = [await receive(), newId()];
      const before = await host.subscribe(id, { url: receiver.url, rooms: [roomId] });
      const { secret, subscription } = await act(id, 'rotate');
      expect(subscription.id).to.equal(id);
      expect(secret)
        .to.match(/^whsec_/)
        .and.not.equal(before);
      // Another node may send with the first one for a second more.
      await eventually('it is signed with both', async () => {
        await say(phone, roomId, 'signed twice');
        const received = receiver.received.at(-1);
        return String(received?.headers['webhook-signature']).includes(' ');
      });
      for (const one of [before, secret]) {
        const received = receiver.received.at(-1);
        if (received) verifySignature(received, one);
      }
    });

    it('are given by asking, which waits for the first event', async () => {
      const { body } = await host.ask('GET /server/events');
      const began = performance.now();
      const waiting = host.ask(
        `GET /server/events?from=${body.next}&types=MessageSent,MessageEdited&wait=30s`,
      );
      const idle = await host.ask(`GET /server/events?from=${body.next}&wait=50ms`);
      expect(idle.body.events).to.deep.equal([]);
      await say(phone, roomId, 'waited for');
      const found = await waiting;
      expect(found.body.events.map(({ data }: { data: { text: string } }) => data.text)).to.deep.equal([
        'waited for',
      ]);
      expect(performance.now() - began).to.be.below(30_000);
      const rest = await host.ask(`GET /server/events?from=${found.body.next}&types=MessageSent`);
      expect(rest.body.events).to.deep.equal([]);
      const all = await host.allEvents();
      expect(all.some(({ type }) => ['UserWentOnline', 'AuditRead'].includes(type))).to.equal(false);
      const presence = await host.allEvents('&types=UserWentOnline');
      expect(presence.length).to.be.at.least(1);
      for (const partition of [0, 1, 2]) {
        const offsets = all.filter((event) => event.partition === partition).map(({ offset }) => offset);
        expect(offsets).to.deep.equal([...new Set(offsets)].sort((a, b) => a - b));
      }
    });

    it('refuse other keys, addresses, places and ids', async () => {
      const other = await HostServer.of(server, 'users');
      for (const what of ['GET /server/subscriptions', 'GET /server/events', 'PUT /server/subscriptions/x']) {
        expect((await ask(server.url, what)).status).to.equal(401);
        expect((await ask(server.url, what, { token: ada.token })).status).to.equal(401);
        expect((await other.ask(what)).status).to.equal(403);
      }
      const { url } = await receive();
      const urls = [
        'http://example.com/x',
        'https://10.0.0.1/',
        'https://[::ffff:10.0.0.1]/',
        'https://[::1]/',
      ];
      urls.push(
        url.replace('//', '//ada:secret@'),
        'ftp://127.0.0.1/',
        'nowhere',
        'https://169.254.169.254/',
      );
      for (const wrong of urls) {
        const { status, body } = await host.ask('PUT /server/subscriptions/wrong', { url: wrong });
        expect([status, body.code, body.reason], wrong).to.deep.equal([400, 'bad_request', 'url']);
        expect(body.fields[0].path).to.equal('url');
      }
      const refuse = async (json: object, path: string) => {
        const { status, body } = await host.ask('PUT /server/subscriptions/wrong', json);
        expect([status, body.fields?.[0]?.path], JSON.stringify(json)).to.deep.equal([400, path]);
      };
      const ahead = (await host.ask('GET /server/events')).body.next.replace(/./, 'M');
      for (const from of ['', 'then', '2026-02-30', ahead]) await refuse({ url, from }, 'from');
      await refuse({ url, types: ['Unknown'] }, 'types.0');
      await refuse({ url, batch: 101 }, 'batch');
      await refuse({ url, rooms: ['x'] }, 'rooms.0');
      await refuse({ url, more: 1 }, 'more');
      for (const id of ['.x', 'x'.repeat(65), 'a b'])
        expect(
          (await host.ask(`PUT /server/subscriptions/${encodeURIComponent(id)}`, { url })).status,
        ).to.equal(404);
      for (const query of ['wait=31s', 'wait=1', 'types=Unknown', 'limit=0', 'limit=201', 'from=then', 'x=1'])
        expect((await host.ask(`GET /server/events?${query}`)).status, query).to.equal(400);
      expect((await host.ask('GET /server/subscriptions/wrong')).status).to.equal(404);
    });

    it('are at most 50', async () => {
      const { url } = await receive();
      const { body } = await host.ask('GET /server/subscriptions');
      const ids: string[] = [];
      for (let n = body.subscriptions.length; n < 50; n++) {
        const id = newId();
        // None of these occurs here: each would be sent to 50 receivers.
        await host.subscribe(id, { url, types: ['ReportDecided'] });
        ids.push(id);
      }
      const more = await host.ask(`PUT /server/subscriptions/${newId()}`, { url });
      expect([more.status, more.body.code, more.body.reason]).to.deep.equal([403, 'forbidden', 'too_many']);
      for (const id of ids)
        expect((await host.ask(`DELETE /server/subscriptions/${id}`)).status).to.equal(204);
      await host.subscribe(newId(), { url });
    });

    it('are listed by the command line and measured', async () => {
      const [receiver, id] = [await receive(), newId()];
      receiver.answer = () => 500;
      await host.subscribe(id, { url: `${receiver.url}?token=secret`, rooms: [roomId] });
      await say(phone, roomId, 'for the list');
      await eventually('it fails', async () => (await host.subscription(id)).failing !== undefined);
      const { code, out } = await parley(['subscription', 'list'], server.settings);
      expect(code).to.equal(0);
      const line = out.split('\n').find((one) => one.startsWith(id)) ?? '';
      expect(line).to.match(/ 1 event behind, .*failing since .* with 500, next try at /);
      expect(out).to.not.include('token=secret');
      await eventually('some node measures it', async () => {
        const { text } = await ask(server.url, 'GET /metrics');
        return new RegExp(`parley_subscription_lag_events\\{subscription="${id}"\\} [1-9]`).test(text);
      });
    });
  });
}
