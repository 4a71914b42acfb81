import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chatOf, hear, Newcomer, say } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { HostServer } from '../support/hostServer.js';
import { ask } from '../support/http.js';
import type { RawSocket } from '../support/rawSocket.js';
import { EGRESS } from '../support/receiver.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { repository } from './dockerfile.js';
import { Program } from './program.js';

const program = join(repository, 'examples/bot/bot.mjs');

describe('The example of a bot', () => {
  let server: ServerProcess;
  let env: Record<string, string>;
  let bot: Program;
  let ada: Newcomer;
  let phone: RawSocket;
  let roomId: string;
  before(async () => {
    server = await startServer({ engine: 'sqlite', env: { ...EGRESS, RATE_LIMIT: 'off' } });
    const { key } = await HostServer.of(server, 'users,messages,events');
    env = { PARLEY_URL: server.url, PARLEY_KEY: key, PORT: String(await freePort()) };
    bot = await started();
    ada = await Newcomer.at(server);
    phone = await ada.device();
    const { body } = await ask(server.url, 'GET /user/search?q=bot', { token: ada.token });
    const { room } = await phone.request('init chat', { friendId: body.users[0].userId });
    roomId = room.roomId;
  });
  after(async () => {
    await phone?.close();
    await bot?.stop();
    await server?.stop();
  });

  async function started(): Promise<Program> {
    const running = new Program([process.execPath, program], env);
    await eventually('the bot listens', () => running.said.includes('listening on'));
    return running;
  }

  it('has at most 60 lines', () => {
    expect(readFileSync(program, 'utf8').trim().split('\n').length).to.be.at.most(60);
  });

  it('answers each message once', async () => {
    for (const text of ['one', 'two']) {
      const { messageId } = await say(phone, roomId, text);
      const answer = await hear(phone, `You said: ${text}`);
      expect(answer.replyTo).to.equal(messageId);
    }
  });

  it('answers what was said while it was away, and is started again with a new secret', async () => {
    await bot.stop();
    await say(phone, roomId, 'are you there?');
    bot = await started();
    await hear(phone, 'You said: are you there?');
    const { messages } = await phone.request('fetch messages', { roomId });
    const said = messages.map(({ message }: { message: string | null }) => message);
    expect(said.filter((text: string | null) => text === 'You said: are you there?')).to.have.length(1);
  });

  it('says nothing in the rooms of others', async () => {
    const ben = await Newcomer.at(server);
    const tablet = await ben.device();
    const other = await chatOf(tablet, ada);
    await say(tablet, other, 'not for the bot');
    await say(phone, roomId, 'last');
    await hear(phone, 'You said: last');
    const { messages } = await tablet.request('fetch messages', { roomId: other });
    expect(messages).to.have.length(1);
    await tablet.close();
  });
});
