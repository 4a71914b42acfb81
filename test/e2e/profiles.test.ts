import { expect } from 'chai';
import type { User } from '../../packages/client/src/types.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { ask, type Reply } from '../support/http.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { chatOf, Newcomer, say } from './newcomer.js';

const BIDI = ['\u200e', '\u200f', '\u061c', '\u202a', '\u202e', '\u2066', '\u2069'];
/** White space by Unicode, which JavaScript's `\s` has not all of; and a mark that is none, which `\s` has. */
const WHITE = '\u0020\u00a0\u0085\u1680\u2003\u2028\u202f\u205f\u3000';
const NO_WHITE = '\ufeff';

for (const engine of kindsWith('sqlite')) {
  describe(`profiles (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' } });
    });
    after(() => server?.stop());

    const patch = (who: Newcomer, json: unknown): Promise<Reply> =>
      ask(server.url, 'PATCH /user/me', { token: who.token, json });
    const change = async (who: Newcomer, json: unknown): Promise<User> => {
      const { status, body, text } = await patch(who, json);
      expect(status, text).to.equal(200);
      expect(body).to.have.all.keys('user', 'revision');
      return body.user;
    };
    const userOf = async (who: Newcomer, asker: Newcomer): Promise<User> =>
      (await ask(server.url, `GET /user/${who.userId}`, { token: asker.token })).body.user;
    const search = async (asker: Newcomer, q: string): Promise<string[]> => {
      const { body } = await ask(server.url, `GET /user/search?q=${encodeURIComponent(q)}`, asker);
      return body.users.map(({ userId }: User) => userId);
    };
    const changed = (device: RawSocket, { userId }: Newcomer) =>
      device.pushed('change user').filter(({ user }) => user.userId === userId);
    const pushOf = (device: RawSocket, displayName: string | undefined) =>
      device.push('change user', ({ user }) => user.displayName === displayName);

    it('are changed field by field, and null removes one', async () => {
      const me = await Newcomer.at(server);
      const all = { displayName: 'Zoë van Dam', about: 'Line 1\nLine 2', status: '🌴', locale: 'pt-BR' };
      expect(await change(me, all)).to.deep.equal({ ...me.user, ...all });
      expect(await change(me, { status: 'back' })).to.deep.equal({ ...me.user, ...all, status: 'back' });
      const { displayName } = all;
      const left = { ...me.user, displayName };
      expect(await change(me, { about: null, status: null, locale: null })).to.deep.equal(left);
      expect(await change(me, {})).to.deep.equal(left);
      expect(await change(me, { about: null })).to.deep.equal(left);
    });

    it('are recorded once, however often a change is repeated, with texts that auditors see', async () => {
      const me = await Newcomer.at(server);
      for (let i = 0; i < 3; i++) await change(me, { displayName: 'Anna L.', about: null });
      await change(me, { displayName: null });
      const stream = `user:${me.userId}`;
      const replayed = async (as: string) =>
        (
          await parley(
            ['audit', 'replay', '--stream', stream, '--type', 'ProfileChanged', '--as', as],
            server.settings,
          )
        ).out;
      const events = (await replayed('json'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events.map(({ data }) => data)).to.deep.equal([
        { userId: me.userId, displayName: 'Anna L.' },
        { userId: me.userId, displayName: null },
      ]);
      expect(events.map(({ actor }) => actor)).to.deep.equal([me.userId, me.userId]);
      expect(await replayed('transcript')).to.include('changed their profile: {"displayName":"Anna L."}');
    });

    it('are seen by every later query, with a locale in one’s own user only', async () => {
      const [me, other] = [await Newcomer.at(server), await Newcomer.at(server)];
      await ask(server.url, 'PATCH /user/me', { token: other.token, json: { locale: 'nl' } });
      const mine = { displayName: 'Zed', about: 'about', status: 'status' };
      const { body } = await patch(me, { ...mine, locale: 'de' });
      expect(await userOf(me, other)).to.deep.equal({ ...me.user, ...mine });
      expect(await userOf(me, me)).to.deep.equal({ ...me.user, ...mine, locale: 'de' });
      const device = await other.device();
      const { friend } = await device.request('add friend', { friendId: me.userId });
      expect(friend).to.deep.equal({ ...me.user, ...mine });
      const { friends } = await device.request('get friends', { revision: body.revision });
      expect(friends).to.deep.equal([friend]);
      const { room } = await device.request('init chat', { friendId: me.userId });
      expect(room.participants.find(({ userId }) => userId === me.userId)).to.deep.equal(friend);
      expect(room.participants.every((one) => !('locale' in one))).to.equal(true);
      await device.close();
    });

    it('show `identity` and sign-in one’s own, locale included', async () => {
      const me = await Newcomer.at(server);
      const user = await change(me, { displayName: 'Own', locale: 'de-CH' });
      const json = { username: me.user.username, password: me.password };
      expect((await ask(server.url, 'POST /user/signin', { json })).body.user).to.deep.equal(user);
      const socket = await RawSocket.connect(server.wsUrl);
      expect((await socket.request('identity', { token: me.token })).user).to.deep.equal(user);
      await socket.close();
    });

    it('are found by any part of the display name, in any case and literally, like user names', async () => {
      const [me, exact, begins, holds, gone] = await Promise.all(
        Array.from({ length: 5 }, () => Newcomer.at(server)),
      );
      if (!me || !exact || !begins || !holds || !gone) throw new Error('there are five');
      await change(holds, { displayName: 'Het Žluťoučký Kůň' });
      await change(begins, { displayName: 'žluťoučký kůň úpěl' });
      await change(exact, { displayName: 'ŽLUŤOUČKÝ KŮŇ' });
      await change(gone, { displayName: 'Žluťoučký kůň' });
      await change(gone, { displayName: 'another name' });
      await change(me, { displayName: 'žluťoučký kůň too' });
      expect(await search(me, 'žluťoučký Kůň')).to.deep.equal([exact.userId, begins.userId, holds.userId]);
      expect(await search(me, 'oučký k')).to.have.members([exact.userId, begins.userId, holds.userId]);
      for (const q of ['žluťoučký%', 'žluťoučký_kůň', '.*kůň', '\u0001žlu', '\u202ežlu'])
        expect(await search(me, q), q).to.deep.equal([]);
      expect(await search(me, 'another name')).to.deep.equal([gone.userId]);
      await change(exact, { about: 'the display name stays as it is' });
      expect((await search(me, 'žluťoučký kůň'))[0]).to.equal(exact.userId);
      await change(exact, { displayName: null });
      expect(await search(me, 'žluťoučký kůň')).to.deep.equal([begins.userId, holds.userId]);
      expect(await search(me, exact.user.username ?? ''), 'by the user name').to.include(exact.userId);
    });

    it('are pushed as they are now to friends, to members of a chat and to my other devices, and to nobody else', async () => {
      const [me, friend, pal, silent, stranger] = await Promise.all(
        Array.from({ length: 5 }, () => Newcomer.at(server)),
      );
      if (!me || !friend || !pal || !silent || !stranger) throw new Error('there are five');
      const mine = await me.device();
      const [friends, pals, silents, strangers] = await Promise.all(
        [friend, pal, silent, stranger].map((who) => who.device()),
      );
      if (!friends || !pals || !silents || !strangers) throw new Error('there are four');
      await friends.request('add friend', { friendId: me.userId });
      await say(pals, await chatOf(pals, me), 'hello');
      // The chat is not active for the other: they know nothing of it.
      await chatOf(mine, silent);
      await change(me, { displayName: 'Pushed', status: 'here', locale: 'nl' });
      const shown = { ...me.user, displayName: 'Pushed', status: 'here' };
      for (const device of [friends, pals]) {
        const push = await pushOf(device, 'Pushed');
        expect(push).to.have.all.keys('event', 'data');
        expect(push.data).to.deep.equal({ user: shown });
      }
      expect((await pushOf(mine, 'Pushed')).data).to.deep.equal({ user: { ...shown, locale: 'nl' } });
      // Whatever came to these before is there now.
      await change(silent, { displayName: 'last' });
      await change(stranger, { displayName: 'last' });
      await Promise.all([pushOf(silents, 'last'), pushOf(strangers, 'last')]);
      expect([changed(silents, me), changed(strangers, me)]).to.deep.equal([[], []]);
      await Promise.all([mine, friends, pals, silents, strangers].map((device) => device.close()));
    });

    it('are not pushed to who was away: what they ask for has them', async () => {
      const [me, friend] = [await Newcomer.at(server), await Newcomer.at(server)];
      const device = await friend.device();
      await device.request('add friend', { friendId: me.userId });
      const { cursor } = device;
      await device.close();
      // One on each node: what is pushed there has been pushed when they have it.
      const witnesses = [await me.device(), await me.device()];
      await change(me, { displayName: 'Meanwhile' });
      for (const witness of witnesses) await pushOf(witness, 'Meanwhile');
      const again = await friend.device(cursor);
      await again.push('identity', ({ caughtUp }) => caughtUp);
      expect(again.pushed('change user')).to.deep.equal([]);
      const { friends } = await again.request('get friends', {});
      expect(friends[0]).to.include({ displayName: 'Meanwhile' });
      await Promise.all([again, ...witnesses].map((device) => device.close()));
    });

    it('are exported with all their changes', async () => {
      const me = await Newcomer.at(server);
      await change(me, { displayName: 'First', locale: 'nl' });
      const user = await change(me, { displayName: 'Second' });
      const { text } = await ask(server.url, `GET /user/${me.userId}/export`, { token: me.token });
      const lines = text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines[0]).to.deep.equal({ kind: 'profile', user });
      const changes = lines.filter(({ kind }) => kind === 'profile change').map((line) => line.change);
      expect(changes).to.deep.equal([{ displayName: 'First', locale: 'nl' }, { displayName: 'Second' }]);
    });

    it('are known as of any time', async () => {
      const me = await Newcomer.at(server);
      await change(me, { displayName: 'Then' });
      const at = new Date().toISOString();
      // The next event has a later time.
      while (new Date().toISOString() === at);
      await change(me, { displayName: 'Now' });
      const asOf = async (...time: string[]) =>
        JSON.parse((await parley(['audit', 'as-of', 'user', me.userId, ...time], server.settings)).out).user;
      expect(await asOf(at)).to.include({ displayName: 'Then' });
      expect(await asOf()).to.include({ displayName: 'Now' });
    });

    it('go with an erased user', async () => {
      const [me, other] = [await Newcomer.at(server), await Newcomer.at(server)];
      const device = await other.device();
      await device.request('add friend', { friendId: me.userId });
      await change(me, { displayName: 'Soon gone', about: 'a', status: 's', locale: 'nl' });
      const json = { password: me.password };
      expect((await ask(server.url, `DELETE /user/${me.userId}`, { token: me.token, json })).status).to.equal(
        204,
      );
      const { userId, backgroundColor, createdAt } = me.user;
      const erased = { userId, username: null, backgroundColor, createdAt, erased: true };
      expect(await userOf(me, other)).to.deep.equal(erased);
      expect(await search(other, 'soon gone')).to.deep.equal([]);
      expect((await patch(me, { displayName: 'Back' })).status).to.equal(401);
      await device.close();
    });

    it('refuse what is wrong, by its path', async () => {
      const me = await Newcomer.at(server);
      const controls = [
        'a\u0000b',
        'a\nb',
        'a\u0085b',
        '\u2028a',
        'a\u007fb',
        ...BIDI.map((mark) => `a${mark}b`),
      ];
      const wrong: readonly (readonly [string, readonly unknown[]])[] = [
        ['displayName', ['', WHITE, 'x'.repeat(65), '😀'.repeat(65), '\ud800', 'a\udc00', 7, ...controls]],
        ['about', ['', WHITE, '\n\t', 'x'.repeat(501), 'a\ud800']],
        ['status', ['', WHITE, 'x'.repeat(81), '\udfff']],
        ['locale', ['', 'x', 'not a tag', 'en_US', 'en-', `en${'-abcdefgh'.repeat(4)}`, 7]],
        ['username', ['other']],
        ['bot', [true]],
      ];
      for (const [field, values] of wrong)
        for (const value of values) {
          const { status, body } = await patch(me, { [field]: value });
          expect(
            [status, body.code, body.fields?.[0]?.path],
            `${field} ${JSON.stringify(value)}`,
          ).to.deep.equal([400, 'bad_request', field]);
        }
      const right = {
        displayName: ['x'.repeat(64), '😀'.repeat(64), NO_WHITE, ' a ', '安娜', 'a\u200db'],
        about: ['x'.repeat(500), 'line\nline', '\u202eabc', 'a\u0000'],
        status: ['😀'.repeat(80)],
        locale: ['en', 'zh-Hant-TW', 'de-CH-1996'],
      };
      for (const [field, values] of Object.entries(right))
        for (const value of values)
          expect(await change(me, { [field]: value })).to.include({ [field]: value });
      expect(await change(me, { locale: 'EN-us' })).to.include({ locale: 'en-US' });
      expect((await ask(server.url, 'PATCH /user/me', { json: {} })).status).to.equal(401);
      expect((await ask(server.url, 'GET /user/me', { token: me.token })).status).to.equal(405);
    });
  });
}
