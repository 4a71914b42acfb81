import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { ask, type Reply } from '../support/http.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { hear, Newcomer, say } from './newcomer.js';

for (const engine of kindsWith('nodes')) {
  describe(`the host's server (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let key: string;
    let keyId: string;
    let auditor: Newcomer;
    let ids = 0;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' } });
      key = await newKey('users,rooms,messages,events');
      keyId = (await keys())[0].keyId;
      auditor = await Newcomer.at(server);
      expect(await parley(['role', 'auditor', auditor.user.username ?? ''], server.settings)).to.include({
        code: 0,
      });
    });
    after(() => server?.stop());

    const newKey = async (scopes: string): Promise<string> => {
      const added = await parley(['key', 'add', scopes, '--scopes', scopes], server.settings);
      expect(added).to.include({ code: 0, err: '' });
      return added.out.trim();
    };
    const keys = async () => {
      const { out } = await parley(['key', 'list'], server.settings);
      return out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    };
    const on = (what: string, json?: unknown, token: string | undefined = key): Promise<Reply> =>
      ask(server.url, what, { token, ...(json === undefined ? {} : { json }) });
    const newId = (): string => `ext:${engine} person/${process.pid}.${++ids}`;
    const path = (id: string): string => encodeURIComponent(id);
    const newUser = async (body: object = {}) => {
      const id = newId();
      const { status, body: made } = await on(`PUT /server/users/${path(id)}`, body);
      expect(status).to.equal(201);
      return { id, path: `/server/users/${path(id)}`, userId: made.user.userId as string, user: made.user };
    };
    const tokenOf = async ({ path: of }: { path: string }, json?: object): Promise<string> => {
      const { status, body } = await on(`POST ${of}/tokens`, json);
      expect(status).to.equal(201);
      return body.token;
    };
    const eventsOf = async (stream: string) => {
      const { body } = await on(`GET /audit/events?stream=${stream}&limit=200`, undefined, auditor.token);
      return body.events as { type: string; actor: string; via?: string; data: Record<string, unknown> }[];
    };
    const refusal = ({ status, body: { code, reason } }: Reply) =>
      reason === undefined ? [status, code] : [status, code, reason];

    it('is for those who have a key with the scope, whatever else is wrong', async () => {
      const requests: Record<string, readonly string[]> = {
        users: [
          'GET /server/users/x',
          ...['PUT /server/users/x', 'DELETE /server/users/x', 'POST /server/users/x/tokens'],
          ...['DELETE /server/users/x/sessions', 'PUT /server/users/x/friends/y'],
          ...[
            'DELETE /server/users/x/friends/y',
            'PUT /server/users/x/blocks/y',
            'DELETE /server/users/x/blocks/y',
          ],
          ...['PUT /server/users/x/suspension', 'DELETE /server/users/x/suspension'],
        ],
        rooms: [
          ...['PUT /server/rooms/x', 'PUT /server/rooms/private', 'PUT /server/rooms/x/members/y'],
          ...['DELETE /server/rooms/x/members/y', 'GET /server/rooms/x', 'GET /server/rooms/x/members'],
          'GET /server/users/x/rooms',
        ],
        messages: [
          ...['PUT /server/rooms/x/messages/y', 'DELETE /server/rooms/x/messages/y'],
          'GET /server/rooms/x/messages',
        ],
      };
      const person = await Newcomer.at(server);
      for (const [scope, whats] of Object.entries(requests)) {
        const others = ['users', 'rooms', 'messages', 'events'].filter((other) => other !== scope);
        const without = await newKey(others.join());
        for (const what of whats) {
          expect((await ask(server.url, what)).status, what).to.equal(401);
          expect((await on(what, undefined, person.token)).status, what).to.equal(401);
          expect((await on(what, undefined, without)).status, what).to.equal(403);
          expect((await on(what)).status, what).to.be.oneOf([400, 404]);
        }
      }
      expect((await on(`GET /user/${person.userId}`)).status, 'a key is no session').to.equal(401);
    });

    it('refuses a revoked key at once on every node', async () => {
      const gone = await newKey('users');
      const { keyId: goneId } = (await keys()).at(-1);
      const put = () => on(`PUT /server/users/${path(newId())}`, {}, gone);
      expect((await put()).status).to.equal(201);
      expect(await parley(['key', 'revoke', goneId], server.settings)).to.include({ code: 0 });
      for (let i = 0; i < 4; i++) expect((await put()).status).to.equal(401);
    });

    describe('its users', () => {
      it('are made by an id of its own, once, and found by it from then on', async () => {
        const body = { displayName: 'Ada L.', bot: true, locale: 'pt-br' };
        const made = await newUser(body);
        expect(made.user).to.include({ displayName: 'Ada L.', bot: true, locale: 'pt-BR' });
        expect(made.user.username).to.match(/^u\.[a-z0-9]{12}$/);
        const again = await on(`PUT ${made.path}`, body);
        expect([again.status, again.body.user]).to.deep.equal([200, made.user]);
        const byId = await on(`PUT /server/users/${made.userId}`, {});
        expect([byId.status, byId.body.user]).to.deep.equal([200, made.user]);
        expect((await on(`PUT /server/users/${randomUUID()}`, {})).status).to.equal(404);
        const changed = await on(`PUT ${made.path}`, { displayName: null, bot: false });
        expect(changed.body.user).to.not.have.any.keys('displayName', 'bot');
        expect(changed.body.user.locale).to.equal('pt-BR');
      });

      it('are recorded with the key that has made them', async () => {
        const { id, userId } = await newUser({ displayName: 'Ada' });
        const events = await eventsOf(`user:${userId}`);
        expect(events.map(({ type }) => type)).to.deep.equal([
          'UserRegistered',
          'IdentityLinked',
          'ProfileChanged',
        ]);
        for (const event of events) expect([event.actor, event.via]).to.deep.equal([userId, keyId]);
        expect(events[1]?.data).to.deep.equal({ userId, subject: id.slice('ext:'.length) });
        const { out } = await parley(
          ['audit', 'replay', '--as', 'transcript', '--stream', `user:${userId}`],
          server.settings,
        );
        expect(
          out
            .trim()
            .split('\n')
            .every((line) => line.endsWith(`(through key ${keyId})`)),
        ).to.equal(true);
      });

      it('have the name that is asked for, if it is free, for ever', async () => {
        const username = `host-${randomUUID().slice(0, 8)}`;
        const made = await newUser({ username });
        expect(made.user.username).to.equal(username);
        expect((await on(`PUT ${made.path}`, { username: username.toUpperCase() })).status).to.equal(200);
        expect(refusal(await on(`PUT ${made.path}`, { username: `${username}x` }))).to.deep.equal([
          409,
          'conflict',
        ]);
        const other = newId();
        const taken = await on(`PUT /server/users/${path(other)}`, { username: username.toUpperCase() });
        expect(refusal(taken)).to.deep.equal([409, 'conflict']);
        expect(
          (await on(`PUT /server/users/${path(other)}`, {})).status,
          'nothing is left of the refusal',
        ).to.equal(201);
      });

      it('are made once by requests at the same time', async () => {
        const id = newId();
        const replies = await Promise.all(
          Array.from({ length: 8 }, () => on(`PUT /server/users/${path(id)}`, {})),
        );
        expect(new Set(replies.map(({ body }) => body.user.userId)).size).to.equal(1);
        expect(replies.map(({ status }) => status).sort()).to.deep.equal([...Array(7).fill(200), 201]);
      });

      it('refuses what is no id, name or field', async () => {
        const wrong = [`ext:`, `ext:${'x'.repeat(129)}`, 'ext:a\nb', 'extra', 'x'];
        for (const id of wrong)
          expect((await on(`PUT /server/users/${path(id)}`, {})).status, id).to.equal(404);
        const { path: of } = await newUser();
        for (const [body, at] of [
          [{ username: 'no name' }, 'username'],
          [{ displayName: ' ' }, 'displayName'],
          [{ locale: 'no locale' }, 'locale'],
          [{ bot: 1 }, 'bot'],
          [{ password: 'x' }, 'password'],
        ] as const) {
          const reply = await on(`PUT ${of}`, body);
          expect([reply.status, reply.body.fields[0].path], at).to.deep.equal([400, at]);
        }
      });

      it('get tokens with which they sign in, for as long as it says', async () => {
        const made = await newUser();
        const token = await tokenOf(made);
        const device = await RawSocket.open(server.wsUrl, token);
        expect((await on(`GET /user/${made.userId}`, undefined, token)).body.user).to.deep.equal(made.user);
        const { body } = await on(`POST ${made.path}/tokens`, { ttl: '90s' });
        expect(Date.parse(body.expiresAt) - Date.now()).to.be.within(60_000, 90_000);
        for (const ttl of ['0s', '31d', '5', 'soon']) {
          const refused = await on(`POST ${made.path}/tokens`, { ttl });
          expect([refused.status, refused.body.fields[0].path], ttl).to.deep.equal([400, 'ttl']);
        }
        expect((await on(`POST /server/users/${randomUUID()}/tokens`)).status).to.equal(404);
        const closed = device.closed;
        expect((await on(`DELETE ${made.path}/sessions`)).status).to.equal(204);
        expect(await closed).to.equal(4401);
        expect((await on(`GET /user/${made.userId}`, undefined, token)).status).to.equal(401);
        const actions = (await eventsOf(`user:${made.userId}`)).filter(
          ({ type }) => type === 'UserAdministered',
        );
        expect(actions.map(({ data, via }) => [data.action, data.by, via])).to.deep.equal([
          ['token issued', 'system', keyId],
          ['token issued', 'system', keyId],
          ['sessions ended', 'system', keyId],
        ]);
      });

      it('have no password, and confirm their erasure with a token of the last 5 minutes', async () => {
        const made = await newUser();
        const token = await tokenOf(made);
        const other = await tokenOf(await newUser());
        const erase = (json?: object) => on(`DELETE /user/${made.userId}`, json, token);
        for (const password of ['', 'undefined', 'a mild autumn evening']) {
          const json = { username: made.user.username, password };
          expect((await on('POST /user/signin', json)).status).to.equal(401);
        }
        expect(refusal(await erase({ token: other }))).to.deep.equal([403, 'forbidden', 'sign_in_again']);
        expect((await erase({ token })).status).to.equal(204);
        expect((await on(`GET /user/${made.userId}`, undefined, token)).status).to.equal(401);
        const again = await on(`PUT ${made.path}`, {});
        expect(refusal(again), 'the id makes no other user').to.deep.equal([404, 'not_found']);
        expect(again.body.detail).to.equal(`user ${made.id} is erased`);
      });

      it('are read with both ids, also after their erasure', async () => {
        const made = await newUser({ displayName: 'Ada L.' });
        const externalId = made.id.slice('ext:'.length);
        const expected = [200, { user: made.user, externalId }];
        const read = async (id: string) => {
          const { status, body } = await on(`GET /server/users/${path(id)}`);
          return [status, body];
        };
        expect(await read(made.id)).to.deep.equal(expected);
        expect(await read(made.userId)).to.deep.equal(expected);
        for (const id of [made.id, made.userId])
          expect((await on(`PUT /server/users/${path(id)}`, {})).body).to.deep.equal(expected[1]);
        const withoutLink = await Newcomer.at(server);
        const [status, body] = await read(withoutLink.userId);
        expect([status, Object.keys(body as object)]).to.deep.equal([200, ['user']]);
        expect((await on(`DELETE ${made.path}`)).status).to.equal(204);
        for (const [id, known] of [
          [made.id, { externalId }],
          [made.userId, {}],
        ] as const) {
          const { body: erased } = await on(`GET /server/users/${path(id)}`);
          expect(erased.user).to.include({ userId: made.userId, erased: true, username: null });
          expect({ ...erased, user: undefined }).to.deep.equal({ ...known, user: undefined });
        }
        for (const id of [randomUUID(), 'ext:nobody', 'x']) expect((await read(id))[0], id).to.equal(404);
      });

      it('are suspended, restored and erased; a repeat is answered again', async () => {
        const made = await newUser();
        const token = await tokenOf(made);
        const suspension = `${made.path}/suspension`;
        for (let i = 0; i < 2; i++)
          expect((await on(`PUT ${suspension}`, { reason: 'spam' })).status).to.equal(204);
        expect((await on(`GET /user/${made.userId}`, undefined, token)).status).to.equal(401);
        const forbidden = [403, 'forbidden', 'suspended'];
        expect(refusal(await on(`POST ${made.path}/tokens`))).to.deep.equal(forbidden);
        for (let i = 0; i < 2; i++)
          expect((await on(`DELETE ${suspension}`, { reason: 'a mistake' })).status).to.equal(204);
        await tokenOf(made);
        for (let i = 0; i < 2; i++) expect((await on(`DELETE ${made.path}`)).status).to.equal(204);
        const { body } = await on(`GET /user/${made.userId}`, undefined, auditor.token);
        expect(body.user).to.include({ erased: true, username: null });
        const events = await eventsOf(`user:${made.userId}`);
        const decided = events.filter(({ type }) => /^User(Suspended|Restored|Administered)$/.test(type));
        expect(decided.map(({ data, via }) => [data.by, via])).to.deep.equal(
          Array(5).fill(['system', keyId]),
        );
        const erased = events.filter(({ type }) => type === 'UserErased');
        expect(erased.map(({ actor, via }) => [actor, via])).to.deep.equal([[made.userId, keyId]]);
      });

      it('who hold a role are for the command line alone', async () => {
        const made = await newUser();
        const { username } = made.user;
        expect(await parley(['role', 'moderator', username], server.settings)).to.include({ code: 0 });
        for (const [what, json] of [
          [`POST ${made.path}/tokens`],
          [`PUT ${made.path}/suspension`, { reason: 'x' }],
          [`DELETE ${made.path}/suspension`, { reason: 'x' }],
          [`DELETE ${made.path}`],
        ] as const)
          expect(refusal(await on(what, json)), what).to.deep.equal([403, 'forbidden']);
        expect((await on(`DELETE ${made.path}/sessions`)).status).to.equal(204);
      });

      it('are friends, or block each other, as their own doing', async () => {
        const [ada, ben] = [await newUser(), await newUser()];
        const [friends, blocks] = ['friends', 'blocks'].map((ties) => `${ada.path}/${ties}/${path(ben.id)}`);
        for (let i = 0; i < 2; i++) expect((await on(`PUT ${friends}`)).status).to.equal(204);
        const friendsOf = async (of: { path: string; userId: string }) =>
          (await on(`GET /user/${of.userId}`, undefined, await tokenOf(of))).body.friends.map(
            ({ userId }: { userId: string }) => userId,
          );
        expect(await friendsOf(ben)).to.deep.equal([ada.userId]);
        for (let i = 0; i < 2; i++) expect((await on(`DELETE ${friends}`)).status).to.equal(204);
        expect(await friendsOf(ada)).to.deep.equal([]);
        for (let i = 0; i < 2; i++) expect((await on(`PUT ${blocks}`)).status).to.equal(204);
        expect((await on(`PUT ${ben.path}/friends/${ada.userId}`)).status).to.equal(404);
        for (let i = 0; i < 2; i++) expect((await on(`DELETE ${blocks}`)).status).to.equal(204);
        expect((await on(`PUT ${ben.path}/friends/${ada.userId}`)).status).to.equal(204);
        expect((await on(`PUT ${ada.path}/friends/${ada.userId}`)).status).to.equal(400);
        expect((await on(`PUT ${ada.path}/friends/${randomUUID()}`)).status).to.equal(404);
      });
    });

    describe('its rooms', () => {
      it('are groups of its members with their roles, made once and changed from then on', async () => {
        const [ada, ben, cid] = [await newUser(), await newUser(), await newUser()];
        const device = await RawSocket.open(server.wsUrl, await tokenOf(ben));
        const roomId = randomUUID();
        const group = {
          name: 'The shop',
          about: 'Orders',
          members: [{ id: ada.id, role: 'owner' }, { id: ben.userId }],
        };
        const made = await on(`PUT /server/rooms/${roomId}`, group);
        expect(made.status).to.equal(201);
        expect(made.body.room).to.include({
          roomId,
          roomType: 'GROUP',
          name: 'The shop',
          about: 'Orders',
          members: 2,
        });
        expect(made.body.room).to.not.have.any.keys('unread', 'readUpTo', 'windows', 'role');
        await device.push('init chat', ({ room }) => room.roomId === roomId);
        const again = await on(`PUT /server/rooms/${roomId}`, group);
        expect([again.status, again.body.room]).to.deep.equal([200, made.body.room]);
        const more = { name: 'Shop', whoSends: 'admins', members: [{ id: cid.id, role: 'admin' }] };
        const changed = await on(`PUT /server/rooms/${roomId}`, more);
        expect([changed.status, changed.body.room.name, changed.body.room.members]).to.deep.equal([
          200,
          'Shop',
          3,
        ]);
        const { members } = await device.request('get members', { roomId });
        expect(members.map(({ user, role }) => [user.userId, role])).to.deep.equal([
          [ada.userId, 'owner'],
          [ben.userId, 'member'],
          [cid.userId, 'admin'],
        ]);
        const events = await eventsOf(`room:${roomId}`);
        for (const { actor, via } of events) expect([actor, via]).to.deep.equal(['system', keyId]);
        expect(events.map(({ type }) => type)).to.deep.equal([
          ...['GroupCreated', 'MemberJoined', 'MemberJoined', 'GroupChanged', 'MemberJoined'],
        ]);
      });

      it('have an owner in any case', async () => {
        const [ada, ben] = [await newUser(), await newUser()];
        const roomId = randomUUID();
        const members = [{ id: ada.id }, { id: ben.id, role: 'admin' }];
        expect((await on(`PUT /server/rooms/${roomId}`, { name: 'x', members })).status).to.equal(201);
        const device = await RawSocket.open(server.wsUrl, await tokenOf(ada));
        const rolesOf = async () =>
          (await device.request('get members', { roomId })).members.map(({ role }) => role);
        expect(await rolesOf()).to.deep.equal(['member', 'owner']);
        const member = (of: { id: string }) => `/server/rooms/${roomId}/members/${path(of.id)}`;
        const lastOwner = [409, 'conflict', 'last_owner'];
        expect(refusal(await on(`PUT ${member(ben)}`, { role: 'member' }))).to.deep.equal(lastOwner);
        expect(refusal(await on(`DELETE ${member(ben)}`))).to.deep.equal(lastOwner);
        const swapped = [
          { id: ben.id, role: 'member' },
          { id: ada.id, role: 'owner' },
        ];
        expect((await on(`PUT /server/rooms/${roomId}`, { name: 'x', members: swapped })).status).to.equal(
          200,
        );
        expect(await rolesOf()).to.deep.equal(['owner', 'member']);
        for (let i = 0; i < 2; i++) expect((await on(`DELETE ${member(ben)}`)).status).to.equal(204);
        for (let i = 0; i < 2; i++) expect((await on(`PUT ${member(ben)}`)).status).to.equal(204);
        expect(await rolesOf()).to.deep.equal(['owner', 'member']);
      });

      it('are refused with an unknown user, another id, or nobody in them', async () => {
        const ada = await newUser();
        const put = (id: string, body: object) =>
          on(`PUT /server/rooms/${id}`, { name: 'x', members: [], ...body });
        expect(refusal(await put(randomUUID(), { members: [{ id: randomUUID() }] }))).to.deep.equal([
          404,
          'not_found',
        ]);
        expect(refusal(await put(randomUUID(), { members: [{ id: 'ext:nobody' }] }))).to.deep.equal([
          404,
          'not_found',
        ]);
        const fieldOf = async (reply: Promise<Reply>) => (await reply).body.fields[0].path;
        expect(await fieldOf(put(randomUUID(), {}))).to.equal('members');
        const v5 = '9f5d7a0e-6f0e-5c3b-8a54-6d0b3f1c2e71';
        expect(await fieldOf(put(v5, { members: [{ id: ada.id }] }))).to.equal('roomId');
        expect(await fieldOf(put(randomUUID(), { members: [{ id: 'ada' }] }))).to.equal('members.0.id');
        expect(await fieldOf(put(randomUUID(), { members: [{ id: ada.id, role: 'king' }] }))).to.equal(
          'members.0.role',
        );
        expect((await on(`PUT /server/rooms/${randomUUID()}/members/${ada.userId}`)).status).to.equal(404);
      });

      it('hold more members than one command adds', async () => {
        const people = await Promise.all(Array.from({ length: 120 }, () => newUser()));
        const members = people.map(({ userId }) => ({ id: userId }));
        const { status, body } = await on(`PUT /server/rooms/${randomUUID()}`, { name: 'many', members });
        expect([status, body.room.members]).to.deep.equal([201, 120]);
      });

      it('are read with their members, without a text', async () => {
        const [ada, ben, cid] = [await newUser(), await newUser(), await newUser()];
        const roomId = randomUUID();
        const members = [{ id: ada.id, role: 'owner' }, { id: ben.id }, { id: cid.id, role: 'admin' }];
        const made = await on(`PUT /server/rooms/${roomId}`, { name: 'The shop', members });
        const { lastMessage: _, ...room } = made.body.room;
        const read = await on(`GET /server/rooms/${roomId}`);
        expect([read.status, read.body]).to.deep.equal([200, { room }]);
        const pages: unknown[] = [];
        for (let next: string | undefined; pages.length < 3; ) {
          const query = next === undefined ? '?limit=1' : `?limit=1&next=${next}`;
          const { status, body } = await on(`GET /server/rooms/${roomId}/members${query}`);
          expect(status).to.equal(200);
          pages.push(...body.members.map((one: { user: object; role: string }) => [one.user, one.role]));
          next = body.next;
          expect(next === undefined).to.equal(pages.length === 3);
        }
        expect(pages).to.deep.equal([
          [ada.user, 'owner'],
          [ben.user, 'member'],
          [cid.user, 'admin'],
        ]);
        const pair = (await on('PUT /server/rooms/private', { members: [ada.id, ben.id] })).body.room;
        const device = await RawSocket.open(server.wsUrl, await tokenOf(ada));
        await say(device, pair.roomId, 'secret');
        const { body, text } = await on(`GET /server/rooms/${pair.roomId}`);
        expect(body.room).to.include({ roomId: pair.roomId, roomType: 'PRIVATE' });
        const { body: ofAda, text: told } = await on(`GET /server/users/${path(ada.id)}/rooms`);
        expect(ofAda).to.have.all.keys('rooms');
        expect(ofAda.rooms).to.deep.equal([body.room, room]);
        expect(text + told)
          .to.not.include('secret')
          .and.to.not.include('lastMessage');
        const first = await on(`GET ${ada.path}/rooms?limit=1`);
        expect(first.body.rooms).to.deep.equal([body.room]);
        const second = await on(`GET ${ada.path}/rooms?limit=1&next=${first.body.next}`);
        expect(second.body.rooms).to.deep.equal([room]);
        for (const what of [
          `rooms/${randomUUID()}`,
          `rooms/${randomUUID()}/members`,
          'users/ext:nobody/rooms',
        ])
          expect((await on(`GET /server/${what}`)).status, what).to.equal(404);
        for (const what of [
          `rooms/${roomId}?x=1`,
          `rooms/${roomId}/members?next=x`,
          `users/${ada.userId}/rooms?limit=0`,
        ])
          expect((await on(`GET /server/${what}`)).status, what).to.equal(400);
        for (const { userId } of [cid, ben]) await on(`DELETE /server/rooms/${roomId}/members/${userId}`);
        expect((await on(`DELETE ${ada.path}`)).status).to.equal(204);
        expect((await on(`GET /server/rooms/${roomId}/members`)).body).to.deep.equal({ members: [] });
        expect((await on(`GET /server/rooms/${roomId}`)).status).to.equal(404);
      });

      it('are the one room of two users, active for both', async () => {
        const [ada, ben] = [await newUser(), await newUser()];
        const put = () => on('PUT /server/rooms/private', { members: [ada.id, ben.userId] });
        const made = await put();
        expect([made.status, made.body.room.roomType]).to.deep.equal([201, 'PRIVATE']);
        const again = await put();
        expect([again.status, again.body.room.roomId]).to.deep.equal([200, made.body.room.roomId]);
        const { body } = await on(`GET /user/${ben.userId}`, undefined, await tokenOf(ben));
        expect(body.activeChats.map(({ roomId }: { roomId: string }) => roomId)).to.deep.equal([
          made.body.room.roomId,
        ]);
        expect((await on('PUT /server/rooms/private', { members: [ada.id, ada.id] })).status).to.equal(400);
      });
    });

    describe('its messages', () => {
      const pair = async () => {
        const [ada, ben] = [await newUser(), await newUser()];
        const { body } = await on('PUT /server/rooms/private', { members: [ada.id, ben.id] });
        return {
          ada,
          ben,
          roomId: body.room.roomId as string,
          messages: `/server/rooms/${body.room.roomId}/messages`,
        };
      };

      it('are sent as a user, exactly once', async () => {
        const { ada, ben, messages } = await pair();
        const device = await RawSocket.open(server.wsUrl, await tokenOf(ben));
        const own = await RawSocket.open(server.wsUrl, await tokenOf(ada));
        const messageId = randomUUID();
        const body = { senderId: ada.id, message: 'hello', data: { order: 7 }, mentions: [ben.userId] };
        const sent = await on(`PUT ${messages}/${messageId}`, body);
        expect(sent.status).to.equal(201);
        expect(sent.body.message).to.include({ messageId, senderId: ada.userId, message: 'hello', seq: 1 });
        for (const one of [device, own]) expect(await hear(one, 'hello')).to.deep.equal(sent.body.message);
        const again = await on(`PUT ${messages}/${messageId}`, body);
        expect([again.status, again.body]).to.deep.equal([200, sent.body]);
        for (const other of [{ message: 'other' }, { senderId: ben.id }])
          expect(refusal(await on(`PUT ${messages}/${messageId}`, { ...body, ...other }))).to.deep.equal([
            409,
            'conflict',
          ]);
      });

      it('are sent with the rights of that user', async () => {
        const { ada, ben, messages } = await pair();
        const stranger = await newUser();
        const send = (senderId: string) => on(`PUT ${messages}/${randomUUID()}`, { senderId, message: 'x' });
        expect(refusal(await send(stranger.id))).to.deep.equal([404, 'not_found']);
        expect(refusal(await send('ext:nobody'))).to.deep.equal([404, 'not_found']);
        expect((await on(`PUT ${ben.path}/blocks/${ada.userId}`)).status).to.equal(204);
        expect(refusal(await send(ada.id))).to.deep.equal([403, 'forbidden', 'not_taken']);
        expect((await on(`PUT ${ada.path}/suspension`, { reason: 'spam' })).status).to.equal(204);
        expect(refusal(await send(ada.id))).to.deep.equal([403, 'forbidden', 'suspended']);
      });

      it('are read, and each read is recorded', async () => {
        const { ada, ben, roomId, messages } = await pair();
        const device = await RawSocket.open(server.wsUrl, await tokenOf(ben));
        for (const text of ['one', 'two', 'three']) await say(device, roomId, text);
        const read = async (query = '') => {
          const { status, body } = await on(`GET ${messages}${query}`);
          expect(status).to.equal(200);
          return [body.messages.map(({ message }: { message: string }) => message), body.hasMore];
        };
        expect(await read()).to.deep.equal([['one', 'two', 'three'], false]);
        expect(await read('?limit=2')).to.deep.equal([['two', 'three'], true]);
        expect(await read('?before=3&limit=1')).to.deep.equal([['two'], true]);
        expect(await read('?after=1')).to.deep.equal([['two', 'three'], false]);
        for (const query of ['?before=1&after=1', '?limit=0', '?before=x', '?x=1'])
          expect((await on(`GET ${messages}${query}`)).status, query).to.equal(400);
        expect((await on(`GET /server/rooms/${randomUUID()}/messages`)).status).to.equal(404);
        const reads = (await eventsOf(`user:${keyId}`)).filter(
          ({ data }) => (data.query as { roomId: string }).roomId === roomId,
        );
        expect(reads.map(({ type, actor, via, data }) => [type, actor, via, data.resource])).to.deep.equal(
          Array(4).fill(['AuditRead', 'system', keyId, 'messages']),
        );
        expect(reads[2]?.data.query).to.deep.equal({ roomId, before: '3', limit: '1' });
        expect(ada.userId).to.not.equal(ben.userId);
      });

      it('are deleted as their sender, or as whoever may', async () => {
        const { ada, ben, roomId, messages } = await pair();
        const device = await RawSocket.open(server.wsUrl, await tokenOf(ben));
        const [one, two] = [await say(device, roomId, 'one'), await say(device, roomId, 'two')];
        const drop = ({ messageId }: { messageId: string }, json?: object) =>
          on(`DELETE ${messages}/${messageId}`, json);
        expect(refusal(await drop(one, { senderId: ada.id }))).to.deep.equal([
          403,
          'forbidden',
          'not_sender',
        ]);
        expect((await drop(one, { senderId: ben.id })).status).to.equal(204);
        for (let i = 0; i < 2; i++) expect((await drop(two)).status).to.equal(204);
        expect((await drop({ messageId: randomUUID() })).status).to.equal(404);
        const { body } = await on(`GET ${messages}`);
        expect(body.messages.map(({ message, deleted }: never) => [message, deleted])).to.deep.equal(
          Array(2).fill([null, { by: ben.userId }]),
        );
      });
    });

    it('leaves a log that verifies', async function () {
      if (engine !== 'sqlite') this.skip();
      expect(await parley(['audit', 'verify'], server.settings)).to.include({ code: 0, err: '' });
    });
  });
}
