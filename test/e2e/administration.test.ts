import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { User } from '../../packages/client/src/types.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask, type Reply } from '../support/http.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { Newcomer, talk } from './newcomer.js';

const NEW_PASSWORD = 'another mild evening';

for (const engine of kindsWith('nodes')) {
  describe(`the administration of users (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let moderator: Newcomer;
    let admin: Newcomer;
    let auditor: Newcomer;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' } });
      [moderator, admin, auditor] = [
        await Newcomer.at(server),
        await Newcomer.at(server),
        await Newcomer.at(server),
      ];
      for (const [role, { user }] of Object.entries({ moderator, admin, auditor }))
        expect(await parley(['role', role, user.username ?? ''], server.settings)).to.include({ code: 0 });
    });
    after(() => server?.stop());

    const on = (who: { token: string } | undefined, what: string, json?: unknown): Promise<Reply> =>
      ask(server.url, what, { token: who?.token, ...(json === undefined ? {} : { json }) });
    const signIn = ({ user, password }: Newcomer, other?: string): Promise<Reply> =>
      on(undefined, 'POST /user/signin', { username: user.username, password: other ?? password });
    const suspend = (who: Newcomer, of: { userId: string }, json: unknown = { reason: 'spam' }) =>
      on(who, `PUT /admin/users/${of.userId}/suspension`, json);
    const restore = (who: Newcomer, of: { userId: string }, json: unknown = { reason: 'a mistake' }) =>
      on(who, `DELETE /admin/users/${of.userId}/suspension`, json);
    const eventsOf = async ({ userId }: Newcomer, ...types: string[]) => {
      const { body } = await on(auditor, `GET /audit/events?stream=user:${userId}&limit=200`);
      return body.events.filter(({ type }: { type: string }) => types.includes(type));
    };

    it('is for those who hold the role alone, whatever else is wrong', async () => {
      const user = await Newcomer.at(server);
      const asAdmin = ['GET /admin/users?x=1', 'POST /admin/users/x/password', 'DELETE /admin/users/x'];
      const asModerator = ['PUT /admin/users/x/suspension', 'DELETE /admin/users/x/suspension'];
      for (const what of [...asAdmin, ...asModerator]) {
        expect((await on(undefined, what)).status, what).to.equal(401);
        for (const who of [user, auditor]) expect((await on(who, what)).status, what).to.equal(403);
      }
      for (const what of asAdmin) expect((await on(moderator, what)).status, what).to.equal(403);
      for (const what of asModerator)
        for (const who of [moderator, admin]) expect((await on(who, what)).status, what).to.equal(404);
    });

    describe('by a suspension', () => {
      it('ends sessions within a second, refuses tokens and sign-ins, and leaves what was sent', async function () {
        // On a machine that stands still for a moment a second may pass.
        this.retries(2);
        const { ada, ben, phone, tablet, roomId } = await talk(server);
        const second = await ada.signedIn();
        const closing = Promise.all([phone, second.device].map((device) => device.closed));
        expect((await suspend(moderator, ada)).status).to.equal(204);
        const answered = performance.now();
        expect(await closing).to.deep.equal([4401, 4401]);
        expect(performance.now() - answered).to.be.below(1000);
        for (const token of [ada.token, second.token]) {
          expect((await on({ token }, `GET /user/${ada.userId}`)).status).to.equal(401);
          const socket = await RawSocket.connect(server.wsUrl);
          expect(await socket.refusal('identity', { token })).to.include({ code: 'unauthenticated' });
          await socket.close();
        }
        const refused = await signIn(ada);
        expect([refused.status, refused.body.code, refused.body.reason]).to.deep.equal([
          403,
          'forbidden',
          'suspended',
        ]);
        const wrong = await signIn(ada, 'not the password');
        expect([wrong.status, wrong.body.code, wrong.body.reason]).to.deep.equal([
          401,
          'unauthenticated',
          undefined,
        ]);
        const { body } = await on(ben, `GET /user/${ada.userId}`);
        expect(body.user).to.deep.equal({ ...ada.user, suspended: true });
        const { messages } = await tablet.request('fetch messages', { roomId });
        expect(messages.map(({ message }) => message)).to.deep.equal(['hello']);
        await tablet.push('change user', ({ user }) => user.suspended === true);
        await tablet.close();
      });

      it('is recorded once with its reason, however often it is repeated, and ends', async () => {
        const user = await Newcomer.at(server);
        for (let i = 0; i < 2; i++) expect((await suspend(moderator, user)).status).to.equal(204);
        for (let i = 0; i < 2; i++) expect((await restore(admin, user)).status).to.equal(204);
        expect((await signIn(user)).body.user).to.deep.equal(user.user);
        const events = await eventsOf(user, 'UserSuspended', 'UserRestored');
        expect(events.map(({ type, actor, data }: never) => ({ type, actor, data }) as object)).to.deep.equal(
          [
            {
              type: 'UserSuspended',
              actor: moderator.userId,
              data: { userId: user.userId, by: moderator.userId, reason: 'spam' },
            },
            {
              type: 'UserRestored',
              actor: admin.userId,
              data: { userId: user.userId, by: admin.userId, reason: 'a mistake' },
            },
          ],
        );
      });

      it('leaves no session to a sign-in at the same time', async () => {
        for (let round = 0; round < 5; round++) {
          const user = await Newcomer.at(server);
          const [, ...replies] = await Promise.all([suspend(moderator, user), signIn(user), signIn(user)]);
          for (const { status, body } of replies) {
            expect(status).to.be.oneOf([200, 403]);
            if (status === 200)
              expect((await on(body, `GET /user/${user.userId}`)).status, 'the session').to.equal(401);
          }
        }
      });

      it('refuses what is wrong, and those who hold a role', async () => {
        const user = await Newcomer.at(server);
        for (const json of [
          {},
          { reason: '' },
          { reason: ' \u0085' },
          { reason: 'x'.repeat(1001) },
          { reason: 1 },
        ]) {
          const { status, body } = await suspend(moderator, user, json);
          expect([status, body.fields[0].path]).to.deep.equal([400, 'reason']);
        }
        for (const change of [suspend, restore]) {
          expect((await change(moderator, { userId: randomUUID() })).status).to.equal(404);
          for (const holder of [moderator, admin, auditor])
            expect((await change(admin, holder)).body).to.include({ code: 'forbidden' });
        }
        expect((await signIn(admin)).status).to.equal(200);
      });
    });

    describe('by a code for a new password', () => {
      const issue = async (of: Newcomer) => {
        const { status, body, text } = await on(admin, `POST /admin/users/${of.userId}/password`);
        expect(status, text).to.equal(201);
        return body as { code: string; expiresAt: string };
      };
      const reset = ({ user }: Newcomer, code: string, newPassword = NEW_PASSWORD): Promise<Reply> =>
        on(undefined, 'POST /user/password-reset', { username: user.username, code, newPassword });

      it('has 128 bits and 24 hours, sets a password once, and ends all sessions', async () => {
        const user = await Newcomer.at(server);
        const device = await user.device();
        const { code, expiresAt } = await issue(user);
        expect(code.replaceAll('-', '')).to.match(/^[0-9a-f]{32}$/);
        const life = Date.parse(expiresAt) - Date.now();
        expect(life).to.be.within(24 * 3_600_000 - 60_000, 24 * 3_600_000);
        expect((await signIn(user)).status, 'until it is used').to.equal(200);
        expect((await reset(user, ` ${code.toUpperCase()} `)).status).to.equal(204);
        expect(await device.closed).to.equal(4401);
        expect((await on(user, `GET /user/${user.userId}`)).status).to.equal(401);
        expect((await signIn(user)).status).to.equal(401);
        expect((await signIn(user, NEW_PASSWORD)).status).to.equal(200);
        expect((await reset(user, code, 'a third mild evening')).status).to.equal(401);
      });

      it('is good once among many tries at once', async () => {
        const user = await Newcomer.at(server);
        const { code } = await issue(user);
        const passwords = ['one mild evening', 'two mild evenings', 'three mild evenings'];
        const statuses: number[] = [];
        for (const { status } of await Promise.all(passwords.map((one) => reset(user, code, one))))
          statuses.push(status);
        expect(statuses.filter((status) => status === 204)).to.have.length(1);
        expect(statuses.every((status) => [204, 401, 429].includes(status))).to.equal(true);
      });

      it('is good no more after a later one, and after a change of the password', async () => {
        const user = await Newcomer.at(server);
        const { code: first } = await issue(user);
        const { code: second } = await issue(user);
        expect((await reset(user, first)).status).to.equal(401);
        const changed = { password: user.password, newPassword: NEW_PASSWORD };
        expect((await on(user, 'PUT /user/password', changed)).status).to.equal(204);
        expect((await reset(user, second)).status).to.equal(401);
      });

      it('answers alike for an unknown name and a wrong code, and names what else is wrong', async () => {
        const user = await Newcomer.at(server);
        const { code } = await issue(user);
        const replies = [
          await reset(
            user,
            code.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
          ),
          await reset(user, ''),
          await on(undefined, 'POST /user/password-reset', {
            ...{ username: 'nobody-at-all', code, newPassword: NEW_PASSWORD },
          }),
          await on(undefined, 'POST /user/password-reset', {
            ...{ username: '\u212A', code, newPassword: NEW_PASSWORD },
          }),
        ];
        for (const { status, body } of replies) {
          expect(status).to.equal(401);
          expect(body).to.deep.equal(replies[0]?.body);
        }
        const short = await reset(user, code, 'short');
        expect([short.status, short.body.fields[0].path]).to.deep.equal([400, 'newPassword']);
        expect((await reset(user, code)).status, 'it is still good').to.equal(204);
      });

      it('is a decision in the log, and not to be had for who holds a role', async () => {
        const user = await Newcomer.at(server);
        const { code } = await issue(user);
        const [event, ...others] = await eventsOf(user, 'UserAdministered');
        expect(others).to.deep.equal([]);
        expect(event).to.deep.include({
          actor: admin.userId,
          data: { userId: user.userId, by: admin.userId, action: 'password reset' },
        });
        expect(JSON.stringify(event)).not.to.include(code);
        for (const holder of [moderator, admin, auditor])
          expect((await on(admin, `POST /admin/users/${holder.userId}/password`)).body).to.include({
            code: 'forbidden',
          });
        expect((await on(admin, `POST /admin/users/${randomUUID()}/password`)).status).to.equal(404);
      });
    });

    it('erases as users erase themselves, and not who holds a role', async () => {
      const { ada, ben, tablet, roomId, phone } = await talk(server);
      expect((await on(admin, `DELETE /admin/users/${ada.userId}`)).status).to.equal(204);
      await tablet.push('erase user', (data) => data.roomId === roomId && data.userId === ada.userId);
      const { user } = (await on(ben, `GET /user/${ada.userId}`)).body;
      expect(user).to.include({ username: null, erased: true });
      expect((await signIn(ada)).status).to.equal(401);
      expect(await phone.closed).to.equal(4401);
      expect(
        (await eventsOf(ada, 'UserAdministered', 'UserErased')).map(({ type }: { type: string }) => type),
      ).to.deep.equal(['UserAdministered', 'UserErased']);
      for (const what of ['DELETE', 'POST'])
        expect(
          (await on(admin, `${what} /admin/users/${ada.userId}${what === 'POST' ? '/password' : ''}`)).status,
        ).to.equal(404);
      for (const holder of [moderator, admin, auditor])
        expect((await on(admin, `DELETE /admin/users/${holder.userId}`)).body).to.include({
          code: 'forbidden',
        });
      await tablet.close();
    });

    it('lists users a page at a time, by a part of a name too, and records who looked', async () => {
      const tag = `list${process.pid}${engine}`;
      const users: Newcomer[] = [];
      for (let i = 0; i < 5; i++) users.push(await Newcomer.at(server));
      for (const [i, user] of users.entries())
        await on(user, 'PATCH /user/me', { displayName: `${tag.toUpperCase()} ${5 - i}` });
      const [first] = users;
      const device = await first?.device();
      const list = async (query: string) => {
        const { status, body, text } = await on(admin, `GET /admin/users?${query}`);
        expect(status, text).to.equal(200);
        return body as {
          users: { user: User; isOnline: boolean; sessions: number; roles: string[] }[];
          next?: string;
        };
      };
      const walk = async (query: string): Promise<string[]> => {
        const ids: string[] = [];
        for (let next = '', more = true; more; ) {
          const page = await list(`${query}${next}`);
          ids.push(...page.users.map(({ user }) => user.userId));
          more = page.next !== undefined;
          next = `&next=${page.next}`;
        }
        return ids;
      };
      expect(await walk(`limit=2&q=${tag}`)).to.deep.equal(users.map(({ userId }) => userId).reverse());
      const all = await walk('limit=2');
      expect(all).to.include.members([admin, moderator, ...users].map(({ userId }) => userId));
      expect(new Set(all).size).to.equal(all.length);
      expect(all).to.deep.equal([...all].sort());
      await eventually('they are online', async () => {
        const found = (await list(`q=${first?.user.username}`)).users;
        return found.length === 1 && found[0]?.isOnline === true;
      });
      const [one] = (await list(`q=${moderator.user.username}`)).users;
      expect(one).to.deep.include({ user: moderator.user, roles: ['moderator'] });
      expect(one?.sessions).to.be.at.least(1);
      const { status, body } = await on(admin, `GET /admin/users?q=${tag}&next=${admin.userId}`);
      expect([status, body.fields?.[0]?.path], 'of a page that has changed').to.deep.equal([400, 'next']);
      for (const wrong of ['limit=0', 'limit=201', 'q=', `q=${'x'.repeat(33)}`, 'next=x', 'order=asc'])
        expect((await on(admin, `GET /admin/users?${wrong}`)).status, wrong).to.equal(400);
      const reads = await eventsOf(admin, 'AuditRead');
      expect(reads.map(({ data }: { data: object }) => data)).to.deep.include({
        ...{ userId: admin.userId, resource: 'users', query: { limit: '2', q: tag } },
      });
      await device?.close();
    });
  });
}
