import { expect } from 'chai';
import { textFrame } from '../../src/gateway/protocol.js';
import { Flusher, Sender } from '../../src/gateway/sender.js';
import { FakeClient, textsOf, turn } from './fakeClient.js';

const KIB = 1024;

function setUp() {
  const flusher = new Flusher();
  const connect = () => {
    const client = new FakeClient();
    const moves: number[] = [];
    const owner = { handleSent: () => void moves.push(sender.waitingBytes) };
    const sender: Sender = new Sender(client, flusher, owner);
    return { client, sender, moves };
  };
  return { flusher, connect };
}

const sized = (bytes: number, fill = 'x') => Buffer.alloc(bytes, fill);

describe('a sender', () => {
  it('joins the frames of one turn in one write, in order', async () => {
    const { client, sender } = setUp().connect();
    for (const text of ['one', 'two', 'three']) sender.send(textFrame(text));
    expect(client.writes).to.have.length(0);
    await turn();
    expect(client.writes).to.have.length(1);
    expect(client.texts).deep.equal(['one', 'two', 'three']);
    sender.send(textFrame('four'));
    await turn();
    expect(client.writes.slice(1).flatMap(textsOf)).deep.equal(['four']);
  });

  it('hands at most 64 KiB to the socket at a time, of a fragmented message whole frames', async () => {
    const { client, sender } = setUp().connect();
    for (const kib of [40, 24, 1]) sender.send(sized(kib * KIB));
    const long = ['x'.repeat(150 * KIB), 'é'.repeat(64 * KIB)];
    for (const text of long) sender.send(textFrame(text));
    sender.send(textFrame('short'));
    await turn();
    const sizes = client.writes.map(({ length }) => length / KIB);
    expect(sizes.slice(0, 4)).deep.equal([64, 1, 64, 64]);
    expect(Math.max(...sizes)).equal(64);
    expect(textsOf(Buffer.concat(client.writes.slice(2)))).deep.equal([...long, 'short']);
    // Each write begins with a frame: a pong of the library may be written before it.
    for (const write of client.writes.slice(2)) expect([0x00, 0x01, 0x80, 0x81]).include(write[0]);
  });

  it('writes no more once the socket is full, and goes on when it has drained', async () => {
    const { client, sender } = setUp().connect();
    client.isReading = false;
    for (let i = 0; i < 4; i++) sender.send(sized(64 * KIB));
    await turn();
    expect(client.writes).to.have.length(1);
    sender.send(sized(64 * KIB));
    await turn();
    expect(client.writes).to.have.length(1);
    client.take();
    expect(client.writes).to.have.length(2);
    client.read();
    expect(client.writes).to.have.length(5);
    expect(sender.waitingBytes).equal(0);
  });

  it('listens to the socket only while that is full', async () => {
    const { client, sender } = setUp().connect();
    client.isReading = false;
    expect(client.listeners).equal(0);
    for (let i = 0; i < 2; i++) sender.send(sized(64 * KIB));
    await turn();
    expect(client.listeners).equal(1);
    client.read();
    expect(client.listeners).equal(0);
  });

  it('counts what is queued and what the socket holds as waiting', async () => {
    const { client, sender } = setUp().connect();
    client.isReading = false;
    sender.send(sized(1000));
    expect(sender.waitingBytes).equal(1000);
    await turn();
    expect(sender.waitingBytes).equal(1000);
    client.take();
    expect(sender.waitingBytes).equal(0);
  });

  it('is stuck when 1 MiB waits and no byte of it has left for 10 s', async () => {
    const { client, sender } = setUp().connect();
    client.isReading = false;
    sender.send(textFrame('x'.repeat(1100 * KIB)));
    await turn();
    expect([sender.isStuck(5000), sender.isStuck(14_999), sender.isStuck(15_000)]).deep.equal([
      false,
      false,
      true,
    ]);
    client.take();
    expect([sender.isStuck(15_000), sender.isStuck(25_000)]).deep.equal([false, true]);
    client.take();
    client.take();
    expect(sender.isStuck(90_000), 'less than 1 MiB waits').equal(false);
  });

  it('tells after each flush that less may be waiting, with a drain or without', async () => {
    const { client, sender, moves } = setUp().connect();
    sender.send(sized(10));
    await turn();
    expect(moves).deep.equal([0]);
    client.isReading = false;
    for (let i = 0; i < 2; i++) sender.send(sized(64 * KIB));
    await turn();
    client.take();
    expect(moves).deep.equal([0, 128 * KIB, 64 * KIB]);
  });

  it('hands everything to the socket when it finishes, full or not', async () => {
    const { client, sender } = setUp().connect();
    client.isReading = false;
    sender.send(sized(64 * KIB));
    await turn();
    for (const text of ['the answer', 'the last push']) sender.send(textFrame(text));
    sender.finish();
    expect(client.writes.slice(1).flatMap(textsOf)).deep.equal(['the answer', 'the last push']);
    client.read();
    sender.send(textFrame('more'));
    sender.finish();
    await turn();
    expect(client.writes, 'each once').to.have.length(3);
  });

  it('drops what waits when it is cleared', async () => {
    const { client, sender } = setUp().connect();
    sender.send(textFrame('never read'));
    sender.clear();
    await turn();
    expect([client.writes.length, sender.waitingBytes]).deep.equal([0, 0]);
  });

  it('writes nothing to a socket that has ended', async () => {
    const { client, sender } = setUp().connect();
    client.writable = false;
    sender.send(textFrame('too late'));
    await turn();
    sender.finish();
    expect(client.writes).to.have.length(0);
  });
});

describe('the flusher of all senders', () => {
  it('gives senders of the same frames one and the same buffer', async () => {
    const { connect } = setUp();
    const all = [connect(), connect(), connect()];
    const frames = [textFrame('one'), textFrame('two')];
    for (const { sender } of all) for (const frame of frames) sender.send(frame);
    await turn();
    const [first, second, third] = all.map(({ client }) => client.writes[0]);
    expect(first && textsOf(first)).deep.equal(['one', 'two']);
    expect(second).equal(first);
    expect(third).equal(first);
  });

  it('never gives a sender the frames of another', async () => {
    const { connect } = setUp();
    const [ann, bob, cem] = [connect(), connect(), connect()];
    const shared = textFrame('shared');
    for (const { sender } of [ann, bob, cem]) sender.send(shared);
    bob.sender.send(textFrame('to bob'));
    ann.sender.send(textFrame('to ann'));
    await turn();
    expect(ann.client.texts).deep.equal(['shared', 'to ann']);
    expect(bob.client.texts).deep.equal(['shared', 'to bob']);
    expect(cem.client.texts).deep.equal(['shared']);
    const second = textFrame('second');
    for (const frame of [shared, second, textFrame('third')]) ann.sender.send(frame);
    for (const frame of [shared, second]) bob.sender.send(frame);
    await turn();
    expect(bob.client.texts.slice(2), 'no more than it was sent').deep.equal(['shared', 'second']);
  });

  it('keeps no buffer beyond the turn', async () => {
    const { flusher } = setUp();
    const frames = [textFrame('one'), textFrame('two')];
    const kept = flusher.join(frames);
    expect(flusher.join(frames)).equal(kept);
    flusher.mark(setUp().connect().sender);
    await turn();
    expect(flusher.join(frames)).not.equal(kept);
  });
});
