import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { User } from '../../src/domain/userMessageChat.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { ask, type Reply } from '../support/http.js';
import { parley } from '../support/parley.js';
import { dataAt, EGRESS, Receiver } from '../support/receiver.js';
import { Newcomer } from './newcomer.js';

for (const engine of kindsWith('sqlite')) {
  describe(`what the pages of admins and auditors read (${engine})`, function () {
    this.timeout(120_000);
    const isEmbedded = engine === 'sqlite';
    let server: Running;
    let [moderator, admin, auditor]: Newcomer[] = [];
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { ...EGRESS, RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' } });
      [moderator, admin, auditor] = [
        await Newcomer.at(server),
        await Newcomer.at(server),
        await Newcomer.at(server),
      ];
      for (const [role, one] of Object.entries({ moderator, admin, auditor }))
        expect(await parley(['role', role, one?.user.username ?? ''], server.settings)).to.include({
          code: 0,
        });
    });
    after(() => server?.stop());

    const on = (who: { token: string } | undefined, what: string, json?: unknown): Promise<Reply> =>
      ask(server.url, what, { token: who?.token, ...(json === undefined ? {} : { json }) });
    const readsOf = async (who: Newcomer | undefined) => {
      const { body } = await on(auditor, `GET /audit/events?stream=user:${who?.userId}&type=AuditRead`);
      return body.events.map(({ data }: { data: object }) => data);
    };

    it('tells users their own roles, of which an admin has those of a moderator too', async () => {
      const roles = async (who: Newcomer | undefined) => (await on(who, 'GET /user/me/roles')).body.roles;
      const user = await Newcomer.at(server);
      expect(await roles(user)).to.deep.equal([]);
      expect(await roles(moderator)).to.deep.equal(['moderator']);
      expect(await roles(admin)).to.deep.equal(['moderator', 'admin']);
      expect(await roles(auditor)).to.deep.equal(['auditor']);
      expect((await on(undefined, 'GET /user/me/roles')).status).to.equal(401);
      expect((await on(user, 'GET /user/me/roles?of=x')).status).to.equal(400);
      expect(await readsOf(moderator), 'nothing is recorded').to.deep.equal([]);
    });

    it('is for admins alone, whatever else is wrong', async () => {
      const user = await Newcomer.at(server);
      for (const what of [
        ...['GET /admin/users/x/sessions', 'DELETE /admin/users/x/sessions'],
        ...['GET /admin/subscriptions?x=1', 'POST /admin/subscriptions/!/seek'],
        'GET /admin/storage?x=1',
        ...['pause', 'resume', 'rotate'].map((verb) => `POST /admin/subscriptions/!/${verb}`),
        ...['GET /admin/keys?x=1', 'DELETE /admin/keys/x'],
      ]) {
        expect((await on(undefined, what)).status, what).to.equal(401);
        for (const who of [user, auditor, moderator])
          expect((await on(who, what)).status, what).to.equal(403);
        expect((await on(admin, what)).status, what).to.be.oneOf([400, 404]);
      }
    });

    it('tells admins how much is stored, without a record of the look', async () => {
      const figures = async () => {
        const { status, body, text } = await on(admin, 'GET /admin/storage');
        expect(status, text).to.equal(200);
        return body;
      };
      const before = (await readsOf(admin)).length;
      const first = await figures();
      expect(first.engine).to.equal(isEmbedded ? 'embedded' : 'mongodb');
      for (const store of ['log', 'vault', 'readModels'])
        expect(first[store].bytes, store).to.be.greaterThan(1000);
      expect(first.log.oldest <= first.log.newest, 'the oldest is not the newest').to.equal(true);
      expect('disk' in first).to.equal(isEmbedded);
      if (isEmbedded) expect(first.disk.freeBytes).to.be.within(1, first.disk.totalBytes);
      await Newcomer.at(server);
      await eventually('the new event is counted', async () => {
        const next = await figures();
        return next.log.events > first.log.events && next.readModels.lagEvents === 0;
      });
      expect((await readsOf(admin)).length, 'nothing is recorded').to.equal(before);
      if (!isEmbedded) return;
      expect('lastBackup' in first).to.equal(false);
      const target = join(mkdtempSync(join(tmpdir(), 'backup-')), 'one');
      const { code, err } = await parley(['backup', target], server.settings);
      expect(code, err).to.equal(0);
      const { madeAt } = JSON.parse(readFileSync(join(target, 'backup.json'), 'utf8'));
      await eventually('the backup is known', async () => (await figures()).lastBackup?.madeAt === madeAt);
      rmSync(dirname(target), { recursive: true });
    });

    it('lists the open sessions of a user, and ends them all', async () => {
      const user = await Newcomer.at(server);
      const second = await user.signedIn();
      const path = `/admin/users/${user.userId}/sessions`;
      const listed = await on(admin, `GET ${path}`);
      expect(listed.status).to.equal(200);
      const { sessions } = listed.body as { sessions: { createdAt: string; expiresAt: string }[] };
      expect(sessions).to.have.length(2);
      for (const session of sessions) expect(session).to.have.all.keys('createdAt', 'expiresAt');
      expect(sessions.map(({ createdAt }) => createdAt)).to.deep.equal(
        sessions.map(({ createdAt }) => createdAt).toSorted((a, b) => (a < b ? 1 : -1)),
      );
      expect(await readsOf(admin)).to.deep.include({
        ...{ userId: admin?.userId, resource: 'sessions', query: { userId: user.userId } },
      });
      expect((await on(admin, `DELETE ${path}`)).status).to.equal(204);
      expect(await second.device.closed).to.equal(4401);
      expect((await on(user, `GET /user/${user.userId}`)).status).to.equal(401);
      expect((await on(admin, `GET ${path}`)).body.sessions).to.deep.equal([]);
    });

    it('tells moderators since when a user is suspended, by whom and why', async () => {
      const user = await Newcomer.at(server);
      const path = `/admin/users/${user.userId}/suspension`;
      expect((await on(moderator, `GET ${path}`)).status, 'not suspended').to.equal(404);
      for (const who of [user, auditor]) expect((await on(who, `GET ${path}`)).status).to.equal(403);
      const began = new Date().toISOString();
      expect((await on(moderator, `PUT ${path}`, { reason: 'for a first time' })).status).to.equal(204);
      const first = await on(admin, `GET ${path}`);
      expect(first.status, first.text).to.equal(200);
      const { since, ...suspension } = first.body.suspension;
      expect(suspension).to.deep.equal({ by: moderator?.userId, reason: 'for a first time' });
      expect(since >= began && since <= new Date().toISOString(), since).to.equal(true);
      expect(await readsOf(admin)).to.deep.include({
        ...{ userId: admin?.userId, resource: 'suspension', query: { userId: user.userId } },
      });
      expect((await on(moderator, `DELETE ${path}`, { reason: 'enough' })).status).to.equal(204);
      expect((await on(moderator, `GET ${path}`)).status, 'restored').to.equal(404);

      const host = await HostServer.of(server, 'users');
      const byHost = await host.ask(`PUT /server/users/${user.userId}/suspension`, { reason: 'by the host' });
      expect(byHost.status, byHost.text).to.equal(204);
      const second = (await on(moderator, `GET ${path}`)).body.suspension;
      expect(second).to.include({ by: 'system', reason: 'by the host' });
      expect(second.via).to.be.a('string');
      expect(
        (await on(moderator, `GET /admin/users/${admin?.userId?.replace(/^./, '0')}/suspension`)).status,
      ).to.equal(404);
    });

    it('shows the suspension of a moderator who was erased since, without a reason', async () => {
      const [user, gone] = [await Newcomer.at(server), await Newcomer.at(server)];
      const given = (...more: string[]) =>
        parley(['role', 'moderator', gone.user.username ?? '', ...more], server.settings);
      expect(await given()).to.include({ code: 0 });
      const path = `/admin/users/${user.userId}/suspension`;
      expect((await on(gone, `PUT ${path}`, { reason: 'a secret of both' })).status).to.equal(204);
      expect(await given('--remove')).to.include({ code: 0 });
      expect((await on(admin, `DELETE /admin/users/${gone.userId}`)).status).to.equal(204);
      const { suspension } = (await on(moderator, `GET ${path}`)).body;
      expect(suspension).to.include({ by: gone.userId, reason: null });
    });

    it('finds users by name for auditors, whoever they have blocked, and records it', async () => {
      const user = await Newcomer.at(server);
      const device = await user.device();
      await device.request('block user', { userId: auditor?.userId ?? '', block: true });
      const { username = '' } = user.user;
      const path = `/audit/users?q=${username?.slice(1)}`;
      const { status, body } = await on(auditor, `GET ${path}`);
      expect(status).to.equal(200);
      expect(body.users).to.deep.equal([user.user]);
      expect(await readsOf(auditor)).to.deep.include({
        ...{ userId: auditor?.userId, resource: 'user', query: { q: username?.slice(1) } },
      });
      for (const who of [user, moderator, admin]) expect((await on(who, `GET ${path}`)).status).to.equal(403);
      // Neither a friend, nor who cannot be found by others, nor the auditor is left out.
      await device.request('change preferences', { findable: false });
      await device.close();
      const friend = await Newcomer.at(server);
      const own = await auditor?.device();
      await own?.request('add friend', { friendId: friend.userId });
      await own?.close();
      for (const one of [user, friend, auditor]) {
        const part = one?.user.username?.slice(1) ?? '';
        for (const [who, resource] of [
          [auditor, 'audit'],
          [admin, 'admin'],
        ] as const) {
          const { body: found } = await on(who, `GET /${resource}/users?q=${part}`);
          const ids = found.users.map(
            (hit: { userId?: string; user?: User }) => hit.userId ?? hit.user?.userId,
          );
          expect(ids, resource).to.include(one?.userId);
        }
      }
      expect((await on(auditor, 'GET /audit/users')).status).to.equal(400);
    });

    it('shows the subscriptions of the host, and lets one go on from another place', async () => {
      const host = await HostServer.of(server);
      const receiver = await Receiver.start();
      await host.subscribe('seen', { url: `${receiver.url}?token=secret`, types: ['UserRegistered'] });
      const shown = await on(admin, 'GET /admin/subscriptions');
      expect(shown.status, shown.text).to.equal(200);
      expect(shown.body.subscriptions).to.have.length(1);
      expect(shown.body.subscriptions[0]).to.include({ id: 'seen', url: receiver.url, paused: false });
      expect(shown.text).not.to.include('token=secret');
      expect(await readsOf(admin)).to.deep.include({
        ...{ userId: admin?.userId, resource: 'subscriptions', query: {} },
      });
      const sought = await on(admin, 'POST /admin/subscriptions/seen/seek', { to: 'start' });
      expect(sought.status, sought.text).to.equal(200);
      expect(sought.body.subscription).to.include({ id: 'seen' });
      const [event] = (await host.allEvents()).filter(({ type }) => type === 'SubscriptionSought');
      expect(event).to.deep.include({ actor: admin?.userId });
      expect(event?.data).to.include({ subscriptionId: 'seen', to: 'start' });
      expect((await on(admin, 'POST /admin/subscriptions/other/seek', { to: 'now' })).status).to.equal(404);
      const wrong = await on(admin, 'POST /admin/subscriptions/seen/seek', { to: 'sometime' });
      expect([wrong.status, wrong.body.fields?.[0]?.path]).to.deep.equal([400, 'to']);
      await receiver.close();
    });

    it('lists server keys without their secrets, and revokes one', async () => {
      const added = await parley(['key', 'add', 'The shop', '--scopes', 'users,messages'], server.settings);
      const secret = added.out.trim();
      const makeUser = () =>
        ask(server.url, `PUT /server/users/ext:${randomUUID()}`, { token: secret, json: {} });
      expect((await makeUser()).status).to.equal(201);
      const listed = await on(admin, 'GET /admin/keys');
      const { keyId, ...key } = listed.body.keys.at(-1);
      expect(key).to.have.all.keys('name', 'scopes', 'createdAt');
      expect(key).to.deep.include({ name: 'The shop', scopes: ['users', 'messages'] });
      expect(listed.text).not.to.include(secret);
      expect(await readsOf(admin)).to.deep.include({
        ...{ userId: admin?.userId, resource: 'keys', query: {} },
      });
      expect((await on(admin, `DELETE /admin/keys/${keyId.toUpperCase()}`)).status).to.equal(204);
      expect((await makeUser()).status, 'at once').to.equal(401);
      expect((await on(admin, `DELETE /admin/keys/${keyId}`)).status, 'a repeat').to.equal(204);
      const { body: after } = await on(admin, 'GET /admin/keys');
      expect(after.keys.at(-1)).to.have.property('revokedAt');
      const { body } = await on(auditor, 'GET /audit/events?type=KeyRevoked&order=desc');
      expect(body.events).to.have.length(1);
      expect(body.events[0]).to.deep.include({ actor: admin?.userId });
      expect(body.events[0].data).to.include({ keyId });
    });

    it('lets no admin make a server key, and revokes none that there is not', async () => {
      const before = (await on(admin, 'GET /admin/keys')).text;
      const json = { name: 'mine', scopes: ['messages'] };
      expect((await on(admin, 'POST /admin/keys', json)).status).to.equal(405);
      expect((await on(admin, `DELETE /admin/keys/${randomUUID()}`)).status).to.equal(404);
      expect((await on(admin, 'GET /admin/keys')).text).to.equal(before);
    });

    it('pauses and resumes a subscription, and makes a new secret for it', async () => {
      const host = await HostServer.of(server);
      const receiver = await Receiver.start();
      const secret = await host.subscribe('moved', { url: receiver.url, types: ['UserRegistered'] });
      const post = (verb: string) => on(admin, `POST /admin/subscriptions/moved/${verb}`);
      const paused = await post('pause');
      expect(paused.status, paused.text).to.equal(200);
      expect(paused.body.subscription).to.include({ id: 'moved', paused: true });
      const user = await Newcomer.at(server);
      const names = () => dataAt(receiver.received, 'username');
      expect((await host.subscription('moved')).paused).to.equal(true);
      expect((await post('resume')).body.subscription).to.include({ paused: false });
      await eventually('it goes on from its place', () => names().includes(user.user.username));

      const rotated = await post('rotate');
      expect(rotated.status, rotated.text).to.equal(200);
      expect(rotated.body.secret)
        .to.match(/^whsec_/)
        .and.not.equal(secret);
      expect(rotated.body.subscription).to.include({ id: 'moved' });
      // Another node knows the new secret within a second.
      await eventually('both sign', async () => {
        await Newcomer.at(server);
        return receiver.received.some(
          ({ headers }) => String(headers['webhook-signature']).split(' ').length === 2,
        );
      });
      const events = (await host.allEvents()).filter(({ data }) => data.subscriptionId === 'moved');
      const decided = events.filter(({ actor }) => actor === admin?.userId);
      expect(decided.map(({ type, data: { paused: is = false, secret: n } }) => [type, is, n])).to.deep.equal(
        [
          ['SubscriptionSet', true, 1],
          ['SubscriptionSet', false, 1],
          ['SubscriptionSet', false, 2],
        ],
      );
      expect((await on(admin, 'POST /admin/subscriptions/other/pause')).status).to.equal(404);
      expect((await on(admin, 'POST /admin/subscriptions/moved/pause', { for: '1h' })).status).to.equal(400);
      await receiver.close();
    });
  });
}
