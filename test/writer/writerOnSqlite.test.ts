import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadHead } from '../../src/log/commit.js';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import { ada, adaAndBob, bob, eventsOf, openChat, send, World } from './world.js';

describe('a writer on the embedded log', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-writer-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('goes on after a restart with what it acknowledged before', async () => {
    const file = join(folder, 'log.db');
    const ids = Array.from({ length: 400 }, (_, i) => `m${i}`);
    const log = await openSqliteLog({ file });
    const world = await World.start(log);
    await world.execute(openChat(ada, bob));
    const first = await Promise.all(ids.map((id, i) => world.execute(send(i % 2 === 0 ? ada : bob, id))));
    expect(first.map(({ message }) => message.seq)).to.deep.equal(ids.map((_, i) => i + 1));
    await world.writer.giveUp();
    await log.close();

    const again = await openSqliteLog({ file });
    const next = await World.start(again);
    // Other keys: what was sealed before does not open, but senders and seqs are there.
    expect(await next.outcome(send(bob, 'm0'))).to.equal('conflict');
    const { message } = await next.execute(send(bob, 'm400', undefined, { replyTo: 'm0' }));
    expect(message.seq).to.equal(401);
    await next.writer.giveUp();
    const commits = await again.read(0, 0, 10_000);
    const stream = eventsOf(commits).filter((event) => event.stream === `room:${adaAndBob}`);
    expect(stream.map(({ version }) => version)).to.deep.equal(stream.map((_, i) => i + 1));
    expect((await loadHead(again, 0)).epoch).to.equal(2);
    await again.close();
  });
});
