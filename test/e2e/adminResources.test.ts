import { expect } from 'chai';
import type { User } from '../../src/domain/userMessageChat.js';
import { allKinds, hasEngine, type Running, startFresh } from '../support/engines.js';
import { HostServer } from '../support/hostServer.js';
import { ask, type Reply } from '../support/http.js';
import { parley } from '../support/parley.js';
import { EGRESS, Receiver } from '../support/receiver.js';
import { Newcomer } from './newcomer.js';

for (const engine of allKinds) {
  describe(`what the pages of admins and auditors read (${engine})`, function () {
    this.timeout(60_000);
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
      ]) {
        expect((await on(undefined, what)).status, what).to.equal(401);
        for (const who of [user, auditor, moderator])
          expect((await on(who, what)).status, what).to.equal(403);
        expect((await on(admin, what)).status, what).to.be.oneOf([400, 404]);
      }
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
  });
}
