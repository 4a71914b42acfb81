import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Message, User } from '../../packages/client/src/types.js';
import { hasEngine, kindsWith } from '../support/engines.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import type { RawSocket } from '../support/rawSocket.js';
import { type Searchable, startSearchable } from './erasure/traces.js';
import { chatOf, hear, Newcomer, say } from './newcomer.js';

for (const kind of kindsWith('sqlite'))
  describe(`reports (${kind})`, function () {
    this.timeout(180_000);
    let system: Searchable;
    let ada: Newcomer;
    let ben: Newcomer;
    let eve: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let laptop: RawSocket;
    let roomId: string;

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
      const { server } = system;
      [ada, ben, eve] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
      [phone, tablet, laptop] = [await ada.device(), await ben.device(), await eve.device()];
      roomId = await chatOf(phone, ben);
    });
    after(async () => {
      for (const device of [phone, tablet, laptop]) await device?.close();
      await system?.server.stop();
    });

    const run = (...args: string[]) => parley(args, system.server.settings);
    /** Reports by Ben, about whom nothing else is said. */
    const report = (data: object) =>
      tablet.request('report', { reportId: randomUUID(), category: 'spam', ...data });
    const refusal = async (device: RawSocket, data: object): Promise<string> => {
      const whole = { reportId: randomUUID(), category: 'spam', ...data };
      return (await device.refusal('report', whole)).code;
    };

    it('are answered with a revision; the same again is answered, and another body is a conflict', async () => {
      const { messageId } = await say(phone, roomId, 'buy this');
      await hear(tablet, 'buy this');
      const reportId = randomUUID();
      const body = { reportId, roomId, messageIds: [messageId], userId: ada.userId, note: 'again and again' };
      for (let i = 0; i < 2; i++) {
        const { revision } = await report(body);
        await tablet.request('get active chats', { revision });
      }
      for (const change of [
        { note: 'other' },
        { category: 'other' },
        { userId: eve.userId },
        { messageIds: undefined },
      ])
        expect(await refusal(tablet, { ...body, ...change })).to.equal('conflict');
      expect(await refusal(laptop, { reportId, userId: ada.userId })).to.equal('conflict');
    });

    it('of what one may not see are not_found, as of what does not exist', async () => {
      const { messageId } = await say(phone, roomId, 'among us');
      for (const data of [
        { roomId },
        { roomId, messageIds: [messageId] },
        { roomId: randomUUID() },
        { userId: randomUUID() },
      ])
        expect(await refusal(laptop, data), JSON.stringify(data)).to.equal('not_found');
      expect(await refusal(tablet, { roomId, messageIds: [messageId, randomUUID()] })).to.equal('not_found');
    });

    it('keep the text of a message that is deleted after them, which members no longer see', async () => {
      const [first, second] = [
        await say(phone, roomId, 'reported'),
        await say(phone, roomId, 'not reported'),
      ];
      await report({ roomId, messageIds: [first.messageId] });
      const before = await system.textSecretsOf(ada.userId);
      for (const { messageId, seq } of [first, second]) {
        expect(await run('message', 'delete', roomId, messageId)).to.include({ code: 0 });
        await tablet.push('delete message', (data) => data.seq === seq);
        await phone.push('delete message', (data) => data.seq === seq);
      }
      const seen = await tablet.request('fetch messages', { roomId, limit: 2 });
      expect(seen.messages.map(({ message }) => message)).to.deep.equal([null, null]);
      expect(await system.tracesOf(before), 'keys of the other one are gone').to.deep.equal([]);
      const verified = await run('audit', 'verify');
      expect(verified.out, verified.err).to.include('verified: nothing is wrong');
    });

    describe('of moderators', () => {
      let mod: Newcomer;
      const rest = (what: string, json?: object, who = mod) =>
        ask(system.server.url, what, { token: who.token, ...(json ? { json } : {}) });
      before(async () => {
        mod = await Newcomer.at(system.server);
        expect(await run('role', 'moderator', mod.user.username ?? '')).to.include({ code: 0 });
      });

      it('are refused to all others, before anything else is said', async () => {
        const id = randomUUID();
        for (const what of [
          'GET /admin/reports',
          `GET /admin/reports/${id}`,
          `POST /admin/reports/${id}/decision`,
          'GET /admin/reports/x',
        ]) {
          expect((await ask(system.server.url, what, {})).status, what).to.equal(401);
          expect((await rest(what, what.startsWith('POST') ? {} : undefined, ada)).status, what).to.equal(
            403,
          );
        }
        expect((await rest(`GET /admin/reports/${id}`)).status).to.equal(404);
        expect((await rest('GET /admin/reports/x')).status).to.equal(404);
        expect((await rest('GET /admin/reports?state=new')).status).to.equal(400);
        expect((await rest('GET /admin/reports?next=x')).status).to.equal(400);
        const decision = { note: 'why' };
        expect((await rest(`POST /admin/reports/${id}/decision`, decision)).status).to.equal(404);
      });

      it('show the reported message, deleted since, and five before and after it; each look is an event', async () => {
        const texts = Array.from({ length: 15 }, (_, i) => `line ${i}`);
        const said = [];
        for (const text of texts) said.push(await say(phone, roomId, text));
        const reported = said[7];
        if (!reported) throw new Error('fifteen were said');
        const reportId = randomUUID();
        const note = 'this goes on and on';
        await report({ reportId, roomId, messageIds: [reported.messageId], userId: ada.userId, note });
        expect(await run('message', 'delete', roomId, reported.messageId)).to.include({ code: 0 });
        const { status, body } = await rest(`GET /admin/reports/${reportId.toUpperCase()}`);
        expect(status).to.equal(200);
        expect(body.report).to.deep.include({
          ...{ reportId, reporterId: ben.userId, userId: ada.userId, roomId, category: 'spam', note },
          messageIds: [reported.messageId],
        });
        const shown = body.messages.map(({ message }: { message: string }) => message);
        expect(shown).to.deep.equal(texts.slice(2, 13));
        expect(body.messages[5]).to.deep.include({ deleted: { by: 'system' }, seq: reported.seq });
        expect(body.users.map(({ userId }: User) => userId)).to.have.members([ada.userId, ben.userId]);
        const listed = await rest('GET /admin/reports?limit=200');
        expect(listed.body.reports.map((one: { reportId: string }) => one.reportId)).to.include(reportId);
        const { out } = await run('audit', 'replay', '--stream', `user:${mod.userId}`, '--type', 'AuditRead');
        const looks = out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line).data);
        expect(looks).to.deep.include({ userId: mod.userId, resource: 'report', query: { id: reportId } });
        expect(looks).to.deep.include({ userId: mod.userId, resource: 'reports', query: { limit: '200' } });
      });

      it('show the newest text of a message that its sender has edited and deleted meanwhile', async () => {
        const { messageId } = await say(phone, roomId, 'first text');
        const reportId = randomUUID();
        await report({ reportId, roomId, messageIds: [messageId] });
        const edit = { roomId, messageId, editId: randomUUID(), message: 'second text' };
        await phone.request('edit message', edit);
        await phone.request('delete message', { roomId, messageId });
        const shown = async () => (await rest(`GET /admin/reports/${reportId}`)).body.messages.at(-1).message;
        expect(await shown()).to.equal('second text');
        const { messages } = await tablet.request('fetch messages', { roomId, limit: 1 });
        expect(messages[0]).to.deep.include({ messageId, message: null, deleted: { by: ada.userId } });
        const { out } = await run('audit', 'replay', '--stream', `room:${roomId}`);
        for (const text of ['first text', 'second text']) expect(out, 'auditors do not').to.not.include(text);
        expect((await rest(`POST /admin/reports/${reportId}/decision`, { note: 'seen' })).status).to.equal(
          204,
        );
        expect(await shown()).to.equal(null);
      });

      it('are decided once: messages are deleted by the moderator, and what was kept is destroyed', async () => {
        const [kept, other] = [
          await say(phone, roomId, 'deleted early'),
          await say(phone, roomId, 'deleted now'),
        ];
        const reportId = randomUUID();
        const ids = [kept.messageId, other.messageId];
        await report({ reportId, roomId, messageIds: ids });
        expect(await run('message', 'delete', roomId, kept.messageId)).to.include({ code: 0 });
        const before = await system.textSecretsOf(ada.userId);
        const decide = (json: object) => rest(`POST /admin/reports/${reportId}/decision`, json);
        const wrong = await decide({ delete: [randomUUID()], note: 'no' });
        expect([wrong.status, wrong.body.fields[0].path]).to.deep.equal([400, 'delete.0']);
        expect((await decide({ note: ' ' })).status).to.equal(400);
        const decision = { delete: [other.messageId], note: 'spam indeed' };
        expect((await decide(decision)).status).to.equal(204);
        const told = await tablet.push('delete message', ({ seq }) => seq === other.seq);
        expect(told.data.by).to.equal(mod.userId);
        // The first is the row of all rooms, out of which this room was cut before.
        expect(await system.tracesOf(before.slice(1)), 'what held their keys').to.deep.equal([]);
        expect((await decide(decision)).status, 'the same again').to.equal(204);
        for (const change of [{ note: 'else' }, { delete: [kept.messageId] }, { delete: undefined }])
          expect((await decide({ ...decision, ...change })).status).to.equal(409);
        const { body } = await rest(`GET /admin/reports/${reportId}`);
        expect(body.report.decided).to.deep.include({ by: mod.userId, note: 'spam indeed' });
        const gone = body.messages.filter(({ messageId }: Message) => ids.includes(messageId));
        expect(gone.map(({ message }: Message) => message)).to.deep.equal([null, null]);
        const closed = await rest('GET /admin/reports?state=closed');
        expect(closed.body.reports[0].reportId).to.equal(reportId);
        const verified = await run('audit', 'verify');
        expect(verified.out, verified.err).to.include('verified: nothing is wrong');
      });

      /** A newcomer who has written to Ben, and those of the messages. */
      const pest = async () => {
        const who = await Newcomer.at(system.server);
        const device = await who.device();
        const room = await chatOf(device, ben);
        return { who, device, room, said: await say(device, room, 'buy this') };
      };
      const decide = (reportId: string, json: object) =>
        rest(`POST /admin/reports/${reportId}/decision`, json);
      const signIn = async ({ user, password }: Newcomer) => {
        const json = { username: user.username, password };
        const { status, body } = await ask(system.server.url, 'POST /user/signin', { json });
        return [status, body.reason];
      };
      const suspensionsOf = async ({ userId }: Newcomer) => {
        const { out } = await run('audit', 'replay', '--stream', `user:${userId}`, '--type', 'UserSuspended');
        const lines = out.split('\n').filter((line) => line !== '');
        return lines.map((line) => JSON.parse(line).data.by);
      };

      it('suspend the reported user once, however often the decision is repeated', async () => {
        const { who, device, room, said } = await pest();
        const reportId = randomUUID();
        await report({ reportId, roomId: room, messageIds: [said.messageId], userId: who.userId });
        const decision = { delete: [said.messageId], suspend: true, note: 'spam' };
        for (const suspend of [false, 'yes']) {
          const { status, body } = await decide(reportId, { ...decision, suspend });
          expect([status, body.fields[0].path]).to.deep.equal([400, 'suspend']);
        }
        expect((await decide(reportId, decision)).status).to.equal(204);
        expect(await device.closed).to.equal(4401);
        await tablet.push('delete message', (data) => data.roomId === room && data.seq === said.seq);
        expect(await signIn(who)).to.deep.equal([403, 'suspended']);
        expect((await decide(reportId, decision)).status, 'the same again').to.equal(204);
        expect((await decide(reportId, { ...decision, suspend: undefined })).status).to.equal(409);
        const { body } = await rest(`GET /admin/reports/${reportId}`);
        const { note: _, ...decided } = decision;
        expect(body.report.decided.decision).to.deep.equal(decided);
        expect(await suspensionsOf(who)).to.deep.equal([mod.userId]);
      });

      it('suspend the one sender of the reported messages; of several, or none, it is wrong', async () => {
        const { who, device, room, said } = await pest();
        const reply = await say(tablet, room, 'no, thank you');
        const again = await say(device, room, 'buy that');
        const decision = { suspend: true, note: 'spam' };
        for (const messageIds of [[said.messageId, reply.messageId], undefined]) {
          const reportId = randomUUID();
          await report({ reportId, roomId: room, ...(messageIds ? { messageIds } : {}) });
          const { status, body } = await decide(reportId, decision);
          expect([status, body.fields[0].path]).to.deep.equal([400, 'suspend']);
          const shown = (await rest(`GET /admin/reports/${reportId}`)).body.report;
          expect(shown.decided, 'it is open').to.equal(undefined);
        }
        const reportId = randomUUID();
        await report({ reportId, roomId: room, messageIds: [said.messageId, again.messageId] });
        await device.request('delete message', { roomId: room, messageId: said.messageId });
        expect((await decide(reportId, decision)).status).to.equal(204);
        expect(await device.closed).to.equal(4401);
        expect(await signIn(who)).to.deep.equal([403, 'suspended']);
      });

      it('suspend nobody who holds a role, and record nothing then; an operator may', async () => {
        const { who, device, room, said } = await pest();
        expect(await run('role', 'auditor', who.user.username ?? '')).to.include({ code: 0 });
        const reportId = randomUUID();
        await report({ reportId, roomId: room, messageIds: [said.messageId] });
        const decision = { delete: [said.messageId], suspend: true, note: 'spam' };
        const { status, body } = await decide(reportId, decision);
        expect([status, body.code]).to.deep.equal([403, 'forbidden']);
        const shown = (await rest(`GET /admin/reports/${reportId}`)).body;
        expect(shown.report.decided).to.equal(undefined);
        expect(shown.messages.at(-1)).to.include({ message: 'buy this' });
        expect((await signIn(who))[0]).to.equal(200);
        for (let i = 0; i < 2; i++) {
          const { code, out, err } = await run('report', 'decide', reportId, '--note', 'seen', '--suspend');
          expect([code, err]).to.deep.equal([0, '']);
          expect(out).to.equal(`report ${reportId} is decided, and the user is suspended\n`);
        }
        expect(await device.closed).to.equal(4401);
        expect(await suspensionsOf(who)).to.deep.equal(['system']);
      });

      it('are seen and decided by an operator too', async () => {
        const { messageId } = await say(phone, roomId, 'for the operator');
        const reportId = randomUUID();
        await report({ reportId, roomId, messageIds: [messageId] });
        expect((await run('report', 'list')).out).to.include(reportId);
        const shown = JSON.parse((await run('report', 'show', reportId)).out);
        expect(shown.messages.at(-1)).to.include({ messageId, message: 'for the operator' });
        const decide = ['report', 'decide', reportId, '--note', 'seen', '--delete', messageId];
        for (let i = 0; i < 2; i++) {
          const { code, out, err } = await run(...decide);
          expect([code, err]).to.deep.equal([0, '']);
          expect(out).to.equal(`report ${reportId} is decided, and 1 of its messages is deleted\n`);
        }
        expect(await run('report', 'decide', reportId, '--note', 'other')).to.include({ code: 1 });
        expect((await run('report', 'list', '--closed')).out).to.include(reportId);
        expect(await run('report', 'show', randomUUID())).to.include({ code: 1 });
        expect(await run('report', 'show', 'x')).to.include({ code: 2 });
      });
    });

    it('are 20 a day; one more is rate_limited, and a repeat is none more', async () => {
      const ids = Array.from({ length: 20 }, () => randomUUID());
      const body = { userId: ada.userId, category: 'harassment' } as const;
      for (const reportId of ids) await laptop.request('report', { reportId, ...body });
      expect(await refusal(laptop, body)).to.equal('rate_limited');
      await laptop.request('report', { reportId: ids[0] ?? '', ...body });
    });
  });
