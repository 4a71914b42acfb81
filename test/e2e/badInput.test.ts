import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Message } from '../../packages/client/src/types.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import type { RawSocket, Refusal } from '../support/rawSocket.js';
import { chatOf, hear, Newcomer, say } from './newcomer.js';

/** All white space by Unicode. */
const WHITE = '\t \u00a0\u0085\u1680\u2003\u2028\u202f\u205f\u3000';
const LONE = ['\ud800', 'a\udc00b'];
const CONTROL = ['a\u0000', 'a\nb', 'a\u0085b', 'a\u007f', '\u2029a'];
const DIRECTION = ['a\u202eb', '\u200ea', '\u2066a', 'a\u061c'];

/** Of people alone: what the server records by itself, or of a look, is left out. */
const NOT_BY_COMMAND = ['AuditRead', 'UserWentOnline', 'UserWentOffline'];

for (const kind of kindsWith('sqlite'))
  describe(`bad input, row by row of the contract (${kind})`, function () {
    this.timeout(180_000);
    let server: Running;
    let ada: Newcomer;
    let ben: Newcomer;
    let eve: Newcomer;
    let mod: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let laptop: RawSocket;
    /** Of Ada and Ben; Eve is in none of these. */
    let pair: string;
    /** Ada is the only owner, Ben an admin, Dan a member who has come last. */
    let group: string;
    let dan: Newcomer;
    let watch: RawSocket;
    let hello: Message;
    /** From before Dan came. */
    let early: Message;

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      server = await startFresh(kind, { env: { RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' } });
      const five = [];
      for (let i = 0; i < 5; i++) five.push(await Newcomer.at(server));
      [ada, ben, eve, dan, mod] = five as [Newcomer, Newcomer, Newcomer, Newcomer, Newcomer]; // There are five.
      for (const role of ['moderator', 'admin'])
        expect(await parley(['role', role, mod.user.username ?? ''], server.settings)).to.include({
          code: 0,
        });
      [phone, tablet] = [await ada.device(), await ben.device()];
      [laptop, watch] = [await eve.device(), await dan.device()];
      pair = await chatOf(phone, ben);
      hello = await say(phone, pair, 'hello');
      await hear(tablet, 'hello');
      group = randomUUID();
      await phone.request('create group', { roomId: group, name: 'us', memberIds: [ben.userId] });
      early = await say(phone, group, 'before Dan');
      await phone.request('change role', { roomId: group, userId: ben.userId, role: 'admin' });
      await phone.request('add members', { roomId: group, userIds: [dan.userId] });
      await say(phone, group, 'since Dan');
      await hear(watch, 'since Dan');
    });
    after(async () => {
      for (const device of [phone, tablet, laptop, watch]) await device?.close();
      await server?.stop();
    });

    const rest = async (
      who: Newcomer,
      what: string,
      json?: unknown,
    ): Promise<Refusal & { status: number }> => {
      const { status, body } = await ask(server.url, what, {
        token: who.token,
        ...(json === undefined ? {} : { json }),
      });
      return { ...body, status };
    };
    /** How it is refused: the code, with the reason or the path of what is wrong. */
    const why = ({ code, reason, fields }: Refusal): string =>
      [code, ...(reason ? [reason] : []), ...new Set((fields ?? []).map(({ path }) => path))].join(' ');
    const refusal = async (device: RawSocket, event: string, data: object): Promise<string> =>
      why(await device.refusal(event, data));

    /** What the log has of commands. */
    async function recorded(): Promise<string[]> {
      const { out } = await parley(['audit', 'replay'], server.settings);
      return out.split('\n').filter((line) => line !== '' && !NOT_BY_COMMAND.includes(JSON.parse(line).type));
    }
    let known: string[] | undefined;
    /** Runs refusals, after which the log is what it was. */
    async function changingNothing(work: () => Promise<void>): Promise<void> {
      const before = known ?? (await recorded());
      known = undefined;
      await work();
      const behind = await recorded();
      expect(behind).to.have.deep.members(before);
      known = behind;
    }

    it('is an emoji that is none, or two', () =>
      changingNothing(async () => {
        const react = { roomId: pair, messageId: hello.messageId, on: true };
        for (const emoji of ['', 'a', '1', '👍👍', '👍🏽👍', ':+1:', '\u200d', '🇩', '👍 ', ' '])
          expect(await refusal(tablet, 'react', { ...react, emoji }), emoji).to.equal('bad_request emoji');
      }));

    it('is a role, category, filter, preference, setting or state that is not listed', () =>
      changingNothing(async () => {
        const wrong: readonly (readonly [string, object, string])[] = [
          ['change role', { roomId: group, userId: ben.userId, role: 'chief' }, 'role'],
          ['report', { reportId: randomUUID(), userId: ben.userId, category: 'rude' }, 'category'],
          ['get active chats', { filter: 'new' }, 'filter'],
          ['change preferences', { whoWrites: 'nobody' }, 'whoWrites'],
          ['change preferences', { whoInvites: 'friends' }, 'whoInvites'],
          ['change preferences', { findable: 'yes' }, 'findable'],
          ['change preferences', { visible: null }, 'visible'],
          ['change preferences', { receipts: 1 }, 'receipts'],
          ['change group', { roomId: group, history: 'some' }, 'history'],
          ['change group', { roomId: group, whoAdds: 'owners' }, 'whoAdds'],
          ['change group', { roomId: group, whoSends: 'nobody' }, 'whoSends'],
          ['create group', { roomId: randomUUID(), name: 'x', memberIds: [], history: 'none' }, 'history'],
        ];
        for (const [event, data, path] of wrong)
          expect(await refusal(phone, event, data), JSON.stringify(data)).to.equal(`bad_request ${path}`);
        expect(why(await rest(mod, 'GET /admin/reports?state=new'))).to.equal('bad_request state');
        expect(await parley(['role', 'chief', 'nobody'], server.settings)).to.include({ code: 2, out: '' });
      }));

    it('is a seq above the newest, where one is named', () =>
      changingNothing(async () => {
        const wrong: readonly (readonly [string, object, string])[] = [
          ['read messages', { roomId: pair, upTo: 2 }, 'upTo'],
          ['read messages', { roomId: group, upTo: 3 }, 'upTo'],
          ['get readers', { roomId: group, seq: 3 }, 'seq'],
        ];
        for (const [event, data, path] of wrong)
          expect(await refusal(tablet, event, data), JSON.stringify(data)).to.equal(`bad_request ${path}`);
        for (const bound of ['before', 'after'])
          await tablet.request('fetch messages', { roomId: pair, [bound]: 1000 });
        await tablet.request('fetch messages', { roomId: pair, around: 1000 });
        const both = { roomId: pair, around: hello.messageId, before: 2 };
        expect(await refusal(tablet, 'fetch messages', both)).to.equal('bad_request around');
        const unknown = { roomId: pair, around: randomUUID() };
        expect(await refusal(tablet, 'fetch messages', unknown)).to.match(/^not_found/);
      }));

    it('is a name, note or text of white space, with a lone surrogate, or in names with control characters', () =>
      changingNothing(async () => {
        const message = { roomId: pair, messageId: randomUUID() };
        const texts: readonly (readonly [string, object, string])[] = [
          ['send message', message, 'message'],
          ['edit message', { ...message, messageId: hello.messageId, editId: randomUUID() }, 'message'],
          ['report', { reportId: randomUUID(), userId: ben.userId, category: 'spam' }, 'note'],
          ['change group', { roomId: group }, 'about'],
          ['create group', { roomId: randomUUID(), name: 'x', memberIds: [] }, 'about'],
        ];
        const names: readonly (readonly [string, object, string])[] = [
          ['create group', { roomId: randomUUID(), memberIds: [] }, 'name'],
          ['change group', { roomId: group }, 'name'],
        ];
        for (const [event, data, field] of [...texts, ...names])
          for (const text of [WHITE, ' ', ...LONE])
            expect(
              await refusal(phone, event, { ...data, [field]: text }),
              `${event} ${field} ${JSON.stringify(text)}`,
            ).to.equal(`bad_request ${field}`);
        for (const [event, data, field] of names)
          for (const text of ['', ...CONTROL, ...DIRECTION])
            expect(
              await refusal(phone, event, { ...data, [field]: text }),
              `${event} ${JSON.stringify(text)}`,
            ).to.equal(text === '' ? `bad_request ${field}` : `bad_request characters ${field}`);
        const profile: Readonly<Record<string, readonly string[]>> = {
          displayName: [WHITE, ...LONE, ...CONTROL, ...DIRECTION],
          about: [WHITE, ...LONE],
          status: [WHITE, ...LONE],
        };
        for (const [field, values] of Object.entries(profile))
          for (const text of values)
            expect(
              why(await rest(ada, 'PATCH /user/me', { [field]: text })),
              `${field} ${JSON.stringify(text)}`,
            ).to.equal(
              [...CONTROL, ...DIRECTION].includes(text)
                ? `bad_request characters ${field}`
                : `bad_request ${field}`,
            );
        for (const text of [WHITE, ...LONE]) {
          for (const what of ['PUT', 'DELETE']) {
            const suspension = `${what} /admin/users/${eve.userId}/suspension`;
            expect(why(await rest(mod, suspension, { reason: text })), what).to.equal('bad_request reason');
          }
          const decision = `POST /admin/reports/${randomUUID()}/decision`;
          expect(why(await rest(mod, decision, { note: text }))).to.equal('bad_request note');
        }
      }));

    it('is not_found for a message or room that one may not see, exactly as for one that does not exist', () =>
      changingNothing(async () => {
        const none = {
          pair: roomIdOf(randomUUID(), randomUUID()),
          group: randomUUID(),
          messageId: randomUUID(),
        };
        const ids = (room: string, messageId: string): readonly (readonly [string, object])[] => [
          ['send message', { roomId: room, messageId: randomUUID(), message: 'x' }],
          ['edit message', { roomId: room, messageId, editId: randomUUID(), message: 'x' }],
          ['get edits', { roomId: room, messageId }],
          ['get message', { roomId: room, messageId }],
          ['delete message', { roomId: room, messageId }],
          ['react', { roomId: room, messageId, emoji: '👍', on: true }],
          ['pin message', { roomId: room, messageId, on: true }],
          ['fetch messages', { roomId: room }],
          ['read messages', { roomId: room }],
          ['get chat', { roomId: room }],
          ['change chat', { roomId: room, pinned: true }],
          ['join room', { roomIds: [room] }],
          ['leave room', { roomId: room }],
          ['notify typing', { roomId: room, isTyping: true }],
          ['accept chat', { roomId: room }],
          ['report', { reportId: randomUUID(), roomId: room, messageIds: [messageId], category: 'spam' }],
        ];
        const ofGroups = (room: string): readonly (readonly [string, object])[] => [
          ['change group', { roomId: room, name: 'x' }],
          ['add members', { roomId: room, userIds: [eve.userId] }],
          ['remove member', { roomId: room, userId: ben.userId }],
          ['leave group', { roomId: room }],
          ['change role', { roomId: room, userId: ben.userId, role: 'member' }],
          ['get members', { roomId: room }],
          ['get readers', { roomId: room, seq: 1 }],
          ['get happenings', { roomId: room }],
        ];
        const said = async (device: RawSocket, event: string, data: object): Promise<string> => {
          let text = JSON.stringify(await device.refusal(event, data));
          for (const id of [pair, group, hello.messageId, early.messageId, ...Object.values(none)])
            text = text.replaceAll(id, '<id>');
          return text;
        };
        // Somebody who is in neither room.
        for (const [room, messageId, unknownRoom] of [
          [pair, hello.messageId, none.pair],
          [group, early.messageId, none.group],
        ] as const)
          for (const [i, [event, data]] of [...ids(room, messageId), ...ofGroups(room)].entries()) {
            const [, unknown = {}] = [...ids(unknownRoom, none.messageId), ...ofGroups(unknownRoom)][i] ?? [];
            // A group is no chat to accept, which its form says to everybody.
            if (event === 'accept chat' && room === group) continue;
            const mine = await said(laptop, event, data);
            expect(JSON.parse(mine), event).to.include({ code: 'not_found' });
            expect(mine, event).to.equal(await said(laptop, event, unknown));
          }
        // A message of a room of mine, from before my window.
        for (const [event, data] of ids(group, early.messageId))
          if ('messageId' in data && event !== 'send message') {
            const unknown = { ...data, messageId: none.messageId };
            const mine = await said(watch, event, data);
            expect(JSON.parse(mine), event).to.include({ code: 'not_found' });
            expect(mine, event).to.equal(await said(watch, event, unknown));
          }
        const reply = { roomId: group, messageId: randomUUID(), message: 'x' };
        for (const replyTo of [early.messageId, none.messageId])
          expect(await refusal(watch, 'send message', { ...reply, replyTo })).to.equal('bad_request replyTo');
        expect(await refusal(watch, 'get readers', { roomId: group, seq: early.seq })).to.equal('not_found');
        const report = { reportId: randomUUID(), roomId: group, category: 'spam' };
        for (const messageId of [early.messageId, none.messageId])
          expect(await refusal(watch, 'report', { ...report, messageIds: [messageId] })).to.equal(
            'not_found',
          );
        // Who asks comes first, whether it exists or not.
        for (const id of [randomUUID(), 'x']) {
          expect((await rest(ada, `GET /admin/reports/${id}`)).status).to.equal(403);
          expect((await rest(mod, `GET /admin/reports/${id}`)).status).to.equal(404);
          for (const what of ['PUT', 'DELETE'])
            expect(
              (await rest(mod, `${what} /admin/users/${id}/suspension`, { reason: 'x' })).status,
            ).to.equal(404);
          for (const what of ['DELETE /admin/users/', 'POST /admin/users/'])
            expect(
              (await rest(mod, `${what}${id}${what.startsWith('POST') ? '/password' : ''}`)).status,
            ).to.equal(404);
        }
      }));

    it('is the only owner’s demotion or removal, by whomever', () =>
      changingNothing(async () => {
        for (const [who, device] of Object.entries({ owner: phone, admin: tablet, member: watch })) {
          const owner = { roomId: group, userId: ada.userId };
          for (const role of ['admin', 'member'])
            expect(await refusal(device, 'change role', { ...owner, role }), who).to.equal(
              'conflict last_owner',
            );
          expect(await refusal(device, 'remove member', owner), who).to.equal('conflict last_owner');
        }
        // To others there is no such group.
        const owner = { roomId: group, userId: ada.userId };
        expect(await refusal(laptop, 'remove member', owner)).to.equal('not_found');
      }));

    it('is a change of a deleted message', async () => {
      known = undefined;
      const said = [await say(phone, pair, 'to be gone'), await say(phone, group, 'to be gone too')];
      for (const { roomId, messageId } of said) {
        await phone.request('edit message', { roomId, messageId, editId: randomUUID(), message: 'edited' });
        await phone.request('delete message', { roomId, messageId });
      }
      await changingNothing(async () => {
        for (const { roomId, messageId } of said) {
          const message = { roomId, messageId };
          for (const [event, data] of [
            ['edit message', { ...message, editId: randomUUID(), message: 'again' }],
            ['react', { ...message, emoji: '👍', on: true }],
            ['react', { ...message, emoji: '👍', on: false }],
            ['pin message', { ...message, on: true }],
            ['pin message', { ...message, on: false }],
          ] as const)
            expect(await refusal(phone, event, data), event).to.equal('conflict gone');
          // Deleting it once more is answered, and so is a repeated `send message`.
          await phone.request('delete message', message);
        }
      });
    });

    it('of any kind is named by its path where a field is unknown or missing', () =>
      changingNothing(async () => {
        const wrong: readonly (readonly [string, object, string])[] = [
          ['edit message', { roomId: pair, messageId: hello.messageId, message: 'x' }, 'editId'],
          ['delete message', { roomId: pair }, 'messageId'],
          ['pin message', { roomId: pair, messageId: hello.messageId }, 'on'],
          ['block user', { userId: ben.userId }, 'block'],
          ['report', { reportId: randomUUID(), category: 'spam' }, 'roomId'],
          ['change role', { roomId: group, userId: ben.userId }, 'role'],
          ['create group', { roomId: randomUUID(), name: 'x' }, 'memberIds'],
        ];
        for (const [event, data, path] of wrong)
          expect(await refusal(phone, event, data), event).to.equal(`bad_request ${path}`);
        for (const [event, data] of [
          ['change preferences', { whoReads: 'everyone' }],
          ['change group', { roomId: group, size: 9 }],
          ['delete message', { roomId: pair, messageId: hello.messageId, why: 'x' }],
        ] as const)
          expect((await phone.refusal(event, data)).code, event).to.equal('bad_request');
      }));
  });
