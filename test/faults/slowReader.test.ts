import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { Device, newDevice, signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';

const READERS = 200;
/** 32 KiB each on the wire; 48 MiB are more than the kernel and the server's bound together hold. */
const LARGE = '🌧'.repeat(8192);
const FLOOD = 1536;
const TALK = 40;
/** What the server may grow by; what it must not keep is 48 MiB in 32 KiB frames, twice over in a heap. */
const MOST_MIB = 160;

const residentMiB = (pid: number): number => {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
};

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

    stuck.socket.pause();
    for (let n = 0; n < FLOOD; n += 8) {
      const send = () =>
        flooder.client.request('send message', { roomId: flood, messageId: randomUUID(), message: LARGE });
      await Promise.all(Array.from({ length: 8 }, send));
      if (n % (FLOOD / TALK) < 8) await talker.say(talk, `said during the flood, at ${n}`);
      most = Math.max(most, residentMiB(server.pid));
    }
    const said = talker.timeline(talk).messages;
    await eventually('all readers have all that was said', () =>
      readers.every((reader) => reader.timeline(talk).messages.length === said.length),
    );
    for (const reader of readers) expect(reader.pushed).to.deep.equal(said);
    expect(lost, 'readers that lost their connection').to.equal(0);

    stuck.socket.resume();
    expect(await stuck.closed).to.equal(4408);
    expect(most - before, 'MiB that the server grew by').to.be.below(MOST_MIB);
  });
});
