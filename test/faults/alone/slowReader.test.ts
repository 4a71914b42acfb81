import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { eventually } from '../../support/eventually.js';
import { Device, newDevice, signUp } from '../../support/people.js';
import { RawSocket } from '../../support/rawSocket.js';
import { type ServerProcess, startServer } from '../../support/server.js';

const READERS = 200;
/** 32 KiB each on the wire. */
const LARGE = '🌧'.repeat(8192);
const BATCH = 8;
/** 64 MiB: more than the system's buffers and the server's bound together hold. */
const FLOOD = 256;
/** What the server may grow by, most of it garbage of the flood; what waits has a bound of its own. */
const MOST_MIB = 256;

const residentMiB = (pid: number): number => {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
};

async function waitingMiB(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const [, bytes] = /^parley_bytes_waiting (\d+)/m.exec(metrics) ?? [];
  return Number(bytes) / 1024 ** 2;
}

describe('a reader that never reads, among 200 that do', function () {
  this.timeout(600_000);
  let server: ServerProcess;
  const devices: Device[] = [];

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  after(async () => {
    for (const device of devices) device.close();
    await server?.stop();
  });

  it('is closed with 4408; the others get everything, and memory stays bounded', async () => {
    server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: 'off' } });
    const names = ['ada', 'ben', 'cleo'] as const;
    const [ada, ben, cleo] = await Promise.all(names.map((name) => signUp(server, name)));
    if (!ada || !ben || !cleo) throw new Error('three were signed up');
    const [talker, flooder] = [await newDevice(server, ben), await newDevice(server, cleo)];
    const talk = await talker.chatWith(ada);
    const flood = await flooder.chatWith(ada);
    await flooder.say(flood, 'the first message makes the chat active for the other');

    const first = await newDevice(server, ada);
    const more = Array.from({ length: READERS - 1 }, () => new Device(server, first.token, {}));
    const readers = [first, ...more];
    devices.push(talker, flooder, ...readers);
    const stuck = await RawSocket.open(server.wsUrl, first.token);
    // The flood is for the one that does not read: 200 times as much would test the machine.
    await Promise.all(readers.map(({ client }) => client.request('leave room', { roomId: flood })));
    let lost = 0;
    for (const { client } of readers) client.onState(({ state }) => (lost += state === 'waiting' ? 1 : 0));
    const before = residentMiB(server.pid);
    let most = before;
    let waiting = 0;
    let mostWaiting = 0;

    stuck.socket.pause();
    // The server has let go of the one that does not read when what waited for it is gone.
    for (let n = 0; mostWaiting < 4 || waiting > 1; n++) {
      expect(n, 'batches of the flood').to.be.below(FLOOD);
      const send = () =>
        flooder.client.request('send message', { roomId: flood, messageId: randomUUID(), message: LARGE });
      await Promise.all(Array.from({ length: BATCH }, send));
      await talker.say(talk, `said during the flood, after batch ${n}`);
      waiting = await waitingMiB(server.url);
      mostWaiting = Math.max(mostWaiting, waiting);
      most = Math.max(most, residentMiB(server.pid));
    }
    expect(mostWaiting, 'MiB that waited to be written').to.be.below(10);
    expect(most - before, 'MiB that the server grew by').to.be.below(MOST_MIB);
    // The close frame comes behind what the system's own buffers hold, within 5 s.
    stuck.socket.resume();
    expect(await stuck.closed).to.equal(4408);

    const said = talker.timeline(talk).messages;
    await eventually('all readers have all that was said', () =>
      readers.every((reader) => reader.timeline(talk).messages.length === said.length),
    );
    for (const reader of readers) expect(reader.pushed).to.deep.equal(said);
    expect(lost, 'readers that lost their connection').to.equal(0);
  });
});
