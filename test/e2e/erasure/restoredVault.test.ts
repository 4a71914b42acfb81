import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import { eventually } from '../../support/eventually.js';
import { newDevice, signUp } from '../../support/people.js';
import { rejection } from '../../support/rejection.js';
import { startServer } from '../../support/server.js';
import { tempDir } from '../../support/tempDir.js';

describe('A vault from a backup of before an erasure', function () {
  this.timeout(120_000);

  it('is rid of the erased user again when a server starts on it, and of nobody else', async () => {
    const dataDir = tempDir();
    const backup = join(tempDir(), 'vault.db');
    const vault = join(dataDir, 'vault.db');
    const server = await startServer({ engine: 'sqlite', dataDir });
    const [ada, ben] = [await signUp(server, 'Ada'), await signUp(server, 'Ben')];
    const [phone, tablet] = [await newDevice(server, ada), await newDevice(server, ben)];
    const roomId = await phone.chatWith(ben);
    await phone.say(roomId, 'a word of mine');
    phone.close();
    await server.stop();
    cpSync(vault, backup);
    await server.start();
    await new Rest(server.url).erase(phone.token, ada.user.userId, ada.password);
    await server.stop();
    for (const suffix of ['', '-wal', '-shm']) rmSync(vault + suffix, { force: true });
    cpSync(backup, vault);
    await server.start();
    await eventually('the message has no text', async () => {
      const { messages } = await tablet.client.request('fetch messages', { roomId });
      return messages[0]?.message === null;
    });
    await eventually('it is done', () => server.log.includes('erasing the user again'));
    const signingIn = new Rest(server.url).signIn('Ada', ada.password);
    expect(await rejection(signingIn)).to.include({ code: 'unauthenticated' });
    await new Rest(server.url).signIn('Ben', ben.password);
    tablet.close();
    await server.stop();
  });
});
