import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { chatOf, Newcomer, say, talk } from './newcomer.js';

const MANY = 450;

for (const engine of kindsWith('sqlite')) {
  describe(`what a user gets of all that is kept of them (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off' } });
    });
    after(() => server?.stop());

    const exported = async (who: Newcomer) => {
      const reply = await ask(server.url, `GET /user/${who.userId}/export`, who);
      expect(reply.status).to.equal(200);
      expect(reply.headers.get('content-type')).to.match(/^application\/x-ndjson/);
      const lines = reply.text.split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as { kind: string } & Record<string, unknown>);
    };

    it('is profile, friends, sessions, rooms with all their messages, and presence', async () => {
      const { ada, ben, phone, tablet, roomId } = await talk(server);
      await phone.request('add friend', { friendId: ben.userId });
      for (let n = 0; n < MANY; n += 50)
        await Promise.all(Array.from({ length: 50 }, (_, i) => say(phone, roomId, `message ${n + i}`)));
      const { message: edited } = await phone.request('edit message', {
        ...{ roomId, messageId: (await say(phone, roomId, 'one more')).messageId },
        ...{ editId: randomUUID(), message: 'one more, edited' },
      });
      const cem = await Newcomer.at(server);
      const cems = await cem.device();
      await chatOf(cems, ada);
      const lines = await exported(ada);
      const of = (kind: string) => lines.filter((line) => line.kind === kind);
      expect(lines[0]).to.deep.equal({ kind: 'profile', user: ada.user });
      expect(of('friend')).to.deep.equal([{ kind: 'friend', friend: ben.user }]);
      expect(of('session').length).to.equal(1);
      expect(of('session')[0]).to.have.keys('kind', 'createdAt', 'expiresAt');
      // Cem's is not active for her: nobody has said anything in it.
      expect(of('room').map(({ room }) => (room as { roomId: string }).roomId)).to.deep.equal([roomId]);
      const messages = of('message').map(({ message }) => message as { seq: number; message: string });
      expect(messages.map(({ seq }) => seq)).to.deep.equal(Array.from({ length: MANY + 2 }, (_, i) => i + 1));
      expect(messages[0]?.message).to.equal('hello');
      expect(of('edit')).to.deep.equal([
        {
          ...{ kind: 'edit', roomId, messageId: edited.messageId, seq: edited.seq },
          ...{ rev: 0, message: 'one more', at: edited.sentAt },
        },
      ]);
      expect(of('presence')[0]).to.include({ isOnline: true });
      await Promise.all([phone, tablet, cems].map((device) => device.close()));
    });

    it('is for themselves only', async () => {
      const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      const of = (token: string | undefined) => ask(server.url, `GET /user/${ada.userId}/export`, { token });
      expect((await of(ben.token)).status).to.equal(403);
      expect((await of(undefined)).status).to.equal(401);
    });
  });
}
