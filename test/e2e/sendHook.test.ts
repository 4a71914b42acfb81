import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { createStore } from '../../packages/client/src/index.js';
import { newSigningSecret } from '../../src/base/webhooks.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { eventually, untilFound } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { at } from '../support/json.js';
import type { RawSocket, Refusal } from '../support/rawSocket.js';
import { EGRESS, type Received, Receiver, verifySignature } from '../support/receiver.js';
import { DidNotStart, startServer } from '../support/server.js';
import { chatOf, hear, Newcomer } from './newcomer.js';

const secret = newSigningSecret();
/** Answers a question. */
const say = (answer: unknown) => () => (response: { end(text: string): unknown }) =>
  void response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
const allow = say({ allow: true });

for (const engine of kindsWith('sqlite')) {
  describe(`the host is asked before a message (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let hook: Receiver;
    let ada: Newcomer;
    let ben: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let roomId: string;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      hook = await Receiver.start();
      const env = { ...EGRESS, RATE_LIMIT: 'off', HOOK_SEND: hook.url, HOOK_SECRET: secret };
      server = await startFresh(engine, { env });
      [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      [phone, tablet] = [await ada.device(), await ben.device()];
      roomId = await chatOf(phone, ben);
    });
    beforeEach(() => {
      hook.answer = allow;
      hook.received.length = 0;
    });
    after(async () => {
      for (const device of [phone, tablet]) await device?.close();
      await server?.stop();
      await hook?.close();
    });

    const message = (text: string, messageId: string = randomUUID()) => ({
      roomId,
      messageId,
      message: text,
    });
    /** Why it is refused for good. The hook has 500 ms, in which a busy machine may not get to it. */
    const refusal = (event: string, data: object): Promise<Refusal> =>
      untilFound('the host was asked in time', async () => {
        const told = await phone.refusal(event, data);
        return told.code === 'overloaded' ? undefined : told;
      });
    const seqs = async () =>
      (await phone.request('fetch messages', { roomId })).messages.map(({ seq }) => seq);

    it('with a signed question for each new message and edit', async () => {
      const sent = message('may I?');
      const { message: answered } = await phone.persist('send message', sent);
      await hear(tablet, 'may I?');
      const editId = randomUUID();
      await phone.persist('edit message', { ...message('and now?', sent.messageId), editId });
      for (const received of hook.received) verifySignature(received, secret);
      // A question that could not be answered in time is asked again.
      const questions = hook.received.filter(({ body }, i, all) => body !== all[i - 1]?.body);
      const [first, second] = questions as [Received, Received];
      expect(questions).to.have.length(2);
      expect(first.id).to.equal(`snd_${answered.messageId}`);
      expect(first.json).to.deep.equal({ type: 'before.send', data: { userId: ada.userId, ...sent } });
      expect(second.json).to.have.deep.property('data', {
        ...{ userId: ada.userId, roomId, messageId: sent.messageId },
        ...{ message: 'and now?', editId },
      });
    });

    it('and its word refuses them, with nothing stored', async () => {
      const before = await seqs();
      const [{ messageId } = { messageId: '' }] = (await phone.request('fetch messages', { roomId }))
        .messages;
      for (const [answer, detail] of [
        [{ allow: false, detail: 'no_links' }, { detail: 'no_links' }],
        [{ allow: false }, {}],
      ] as const) {
        hook.answer = say(answer);
        const refusals = [
          await refusal('send message', message('buy this')),
          await refusal('edit message', { ...message('buy that', messageId), editId: randomUUID() }),
        ];
        for (const { message: _, ...told } of refusals) {
          expect(told).to.deep.equal({ code: 'forbidden', reason: 'host', ...detail });
        }
      }
      expect(await seqs()).to.deep.equal(before);
    });

    it('but a message and an edit that exist already get their answer, whatever it says', async () => {
      const sent = message('once');
      const edit = { ...message('twice', sent.messageId), editId: randomUUID() };
      await phone.persist('send message', sent);
      const edited = await phone.persist('edit message', edit);
      for (const answer of [say({ allow: false }), say('no JSON')]) {
        hook.answer = answer;
        expect((await phone.request('send message', sent)).message).to.deep.equal(edited.message);
        expect((await phone.request('edit message', edit)).message).to.deep.equal(edited.message);
      }
    });

    it('and if it is away, the client repeats the message, which is sent later', async () => {
      hook.answer = () => 500;
      const store = createStore({
        ...{ url: server.url, getToken: () => ada.token, webSocket: WebSocket },
        backoff: { baseMs: 10, capMs: 10 },
      });
      try {
        store.start();
        const room = store.openRoom(roomId);
        const states = () =>
          room.get().entries.flatMap((entry) => {
            const text = entry.state === 'stored' ? entry.message.message : entry.message;
            return text?.startsWith('late ') ? [`${text} ${entry.state}`] : [];
          });
        room.send('late 1');
        room.send('late 2');
        await eventually('it was asked twice', () => hook.received.length > 1);
        expect(states()).to.deep.equal(['late 1 sending', 'late 2 sending']);
        const asked = hook.received.map(({ json }) => at(json, 'data', 'message'));
        expect(new Set(asked), 'the second waits for the first').to.deep.equal(new Set(['late 1']));
        hook.answer = allow;
        await eventually('both are stored', () => !states().some((state) => state.endsWith('sending')));
        expect(states()).to.deep.equal(['late 1 stored', 'late 2 stored']);
      } finally {
        store.close();
      }
    });

    for (const [what, answer] of [
      ['an error', () => 500],
      [
        'a redirect',
        () => (response: { writeHead(status: number, headers: object): { end(): unknown } }) =>
          void response.writeHead(307, { location: hook.url }).end(),
      ],
      ['another answer', say({ allowed: true })],
      ['no word', say({ allow: false, detail: 'two words' })],
      ['too much', say(JSON.stringify({ allow: true, more: 'x'.repeat(5000) }))],
      ['silence for 500 ms', () => () => {}],
    ] as const)
      it(`and ${what} is overloaded, as it could not be asked`, async () => {
        const before = await seqs();
        hook.answer = answer as Receiver['answer'];
        const told = await phone.refusal('send message', message('unheard'));
        expect(told).to.include({ code: 'overloaded' });
        expect(told.retryAfterMs).to.be.a('number');
        expect(await seqs()).to.deep.equal(before);
      });

    it('at most 64 times at once on a node', async () => {
      if (engine === 'nodes') return;
      let [open, most] = [0, 0];
      let release = (): void => {};
      const isFull = new Promise<void>((resolve) => (release = resolve));
      hook.answer = () => (response) => {
        most = Math.max(most, ++open);
        // Answered, or given up after 500 ms.
        response.once('close', () => open--);
        // One question more would have come before the answer to this.
        if (open === 64) void ask(server.url, 'GET /health').then(release);
        void isFull.then(() => allow()(response));
      };
      const devices = await Promise.all(Array.from({ length: 99 }, () => ben.device()));
      await Promise.all(devices.map((device) => device.persist('send message', message('many'))));
      expect(most).to.equal(64);
      await Promise.all(devices.map((device) => device.close()));
    });
  });
}

describe('HOOK_SEND', function () {
  this.timeout(120_000);

  it('is logged at most once in 10 s while it is away, with the cause and no stack', async () => {
    const hook = await Receiver.start();
    const server = await startServer({
      engine: 'sqlite',
      env: { ...EGRESS, HOOK_SEND: hook.url, HOOK_SECRET: secret },
    });
    const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    await hook.close();
    const since = Date.now();
    for (let i = 0; i < 20; i++) {
      const refusal = phone.refusal('send message', { roomId, messageId: randomUUID(), message: 'x' });
      expect(await refusal).to.include({ code: 'overloaded' });
    }
    const most = 1 + Math.ceil((Date.now() - since) / 10_000);
    await phone.close();
    await server.stop();
    const lines = server.log.split('\n').filter((line) => line.includes('the host could not be asked'));
    expect(lines.length).to.be.within(1, most);
    const { level, why, ...others } = JSON.parse(lines[0] ?? '');
    expect(level).to.equal('warn');
    expect(why).to.include('was not reached').and.to.include('ECONNREFUSED');
    expect(JSON.stringify(others)).to.not.include('stack');
  });

  it('lets messages pass without the host where HOOK_SEND_FAIL is open', async () => {
    const hook = await Receiver.start();
    const server = await startServer({
      engine: 'sqlite',
      env: { ...EGRESS, HOOK_SEND: hook.url, HOOK_SECRET: secret, HOOK_SEND_FAIL: 'open' },
    });
    const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    const send = (text: string) => ({ roomId, messageId: randomUUID(), message: text });
    hook.answer = say({ allow: false });
    // One that the hook is not asked about within 500 ms passes.
    let late = 0;
    await eventually('one is refused', async () => {
      const { error } = await phone.answer(phone.send('send message', send('refused')));
      if (error) expect(error).to.include({ reason: 'host' });
      else late++;
      return error !== undefined;
    });
    await hook.close();
    expect((await phone.request('send message', send('passed'))).message.seq).to.equal(late + 1);
    await phone.close();
    await server.stop();
  });

  for (const [env, line] of [
    [
      { HOOK_SEND: 'http://127.0.0.1:1/', HOOK_SECRET: secret },
      /"HOOK_SEND: must be https at a public address/,
    ],
    [
      { HOOK_SEND: 'https://10.0.0.1/', HOOK_SECRET: secret },
      /"HOOK_SEND: must be https at a public address/,
    ],
    [{ HOOK_SEND: 'https://ada:b@example.com/', HOOK_SECRET: secret }, /"HOOK_SEND: must have no user name/],
    [{ HOOK_SEND: 'https://example.com/' }, /"HOOK_SEND: set HOOK_SECRET too/],
    [{ HOOK_SEND: 'https://example.com/', HOOK_SECRET: 'whsec_short' }, /"HOOK_SECRET: must be whsec_/],
  ] as const)
    it(`stops the start: ${Object.values(env).join(' ').slice(0, 40)}`, async () => {
      const started = await startServer({ engine: 'sqlite', env }).catch((error: unknown) => error);
      expect(started).to.be.instanceOf(DidNotStart);
      expect((started as DidNotStart).log).to.match(line);
      expect((started as DidNotStart).exit.code).to.equal(1);
    });
});
