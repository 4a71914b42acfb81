import { randomUUID } from 'node:crypto';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { newDevice, type Person, signUp } from '../support/people.js';
import { rejection } from '../support/rejection.js';
import { DidNotStart, type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

/** Log and read models; the vault, which has the signed head, is kept apart. */
function copyLog(from: string, to: string): void {
  for (const name of readdirSync(to)) if (/^(log|read)\.db/.test(name)) rmSync(join(to, name));
  for (const name of readdirSync(from))
    if (/^(log|read)\.db/.test(name)) cpSync(join(from, name), join(to, name));
}

describe('A log restored from a backup', () => {
  const backUp = tempDir();
  let server: ServerProcess;
  let env: Record<string, string>;
  let ann: Person;
  const isReady = async () => (await ask(server.url, 'GET /ready')).status === 200;
  const checkpoint = async () => {
    const { token } = await new Rest(server.url).signIn(ann.username, ann.password);
    return ask(server.url, 'GET /audit/log/0/checkpoint', { token });
  };

  before(async () => {
    server = await startServer({ engine: 'sqlite' });
    env = { DATA_DIR: server.dataDir };
    ann = await signUp(server, 'ann');
    const ben = await signUp(server, 'ben');
    const writer = await newDevice(server, ben);
    const { roomId, messageId } = await writer.say(await writer.chatWith(ann), 'hello');
    writer.close();
    await parley(['role', 'auditor', 'ann'], env);
    await server.stop();
    copyLog(server.dataDir, backUp);
    await server.start();
    await signUp(server, 'bob');
    const device = await newDevice(server, ann);
    await device.client.request('report', {
      ...{ reportId: randomUUID(), roomId, messageIds: [messageId] },
      category: 'spam',
    });
    device.close();
    expect((await checkpoint()).status).to.equal(200);
    await server.stop();
    copyLog(backUp, server.dataDir);
  });
  after(() => server?.kill());

  it('stops the start with one line that names it', async () => {
    const refused = await rejection(server.start());
    expect(refused).to.be.instanceOf(DidNotStart);
    expect(refused.message).to.match(/"the log is older than its vault, .*: partition 0 .* were signed; /);
  });

  it('does not verify', async () => {
    const { code, err } = await parley(['audit', 'verify'], env);
    expect(code).to.equal(1);
    expect(err).to.match(/^wrong: .*\(partition 0/);
  });

  it('is signed again once an operator has accepted it, and keeps nothing for a report that it lost', async () => {
    const ran = await parley(['audit', 'accept', '0'], env);
    expect(ran).to.include({ code: 0, err: '' });
    expect(ran.out).to.match(/^partition 0 is accepted as it is, with \d+ events\n$/);
    // The vault kept the reported message.
    expect(await parley(['audit', 'verify'], env)).to.include({ code: 0, err: '' });
    await server.start();
    await eventually('the server is ready', isReady);
    expect((await checkpoint()).status).to.equal(200);
    expect(await parley(['audit', 'verify'], env)).to.include({ code: 0, err: '' });
  });
});
