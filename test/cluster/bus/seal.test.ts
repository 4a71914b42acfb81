import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { connect, type NatsConnection } from 'nats';
import { parseNatsServers } from '../../../src/base/settings.js';
import type { Note } from '../../../src/cluster/bus.js';
import { ForgedMessage, type Purpose, StrangerError } from '../../../src/cluster/busSeal.js';
import { encodeCommit, encodeNote, encodeRequest } from '../../../src/cluster/busWire.js';
import { NatsBus } from '../../../src/cluster/natsBus.js';
import { frameOf, messageLeaf } from '../../conformance/busFrames.js';
import { eventually } from '../../support/eventually.js';
import { natsUrl } from '../../support/nats.js';
import { TrustedNodes } from '../../support/trust.js';

const LONG_MS = 60_000;
const typing = (userId: string): Note => ({ kind: 'typing', to: ['x'], roomId: 'r', userId, isTyping: true });

describe('a sealed message of a node', () => {
  const [ada, bob] = [randomUUID(), randomUUID()];
  const purposes: Purpose[] = ['commits', 'notes', `request to ${bob}`, 'reply to a tag'];
  const data = fc.uint8Array({ maxLength: 300 });

  it('is opened by another node for its purpose, and shows nothing of its text', () =>
    fc.assert(
      fc.property(data, fc.constantFrom(...purposes), (text, purpose) => {
        const nodes = new TrustedNodes(randomUUID());
        const [sender, receiver] = [nodes.seal(ada), nodes.seal(bob)];
        const { bytes, tag } = sender.seal(purpose, text);
        if (text.length > 3) expect(Buffer.from(bytes).includes(Buffer.from(text))).to.equal(false);
        const opened = receiver.open(purpose, bytes);
        expect({ ...opened, data: Buffer.from(opened.data) }).to.deep.equal({
          data: Buffer.from(text),
          from: ada,
          tag,
        });
      }),
    ));

  it('is refused if a bit of it is changed, or if it is cut off', () =>
    fc.assert(
      fc.property(data, fc.nat(), fc.boolean(), (text, at, isCut) => {
        const nodes = new TrustedNodes(randomUUID());
        const [sender, receiver] = [nodes.seal(ada), nodes.seal(bob)];
        const { bytes } = sender.seal('notes', text);
        const changed = isCut ? bytes.slice(0, at % bytes.length) : Uint8Array.from(bytes);
        if (!isCut) changed[at % bytes.length] = (changed[at % bytes.length] ?? 0) ^ (1 << (at % 8));
        // A change in the sender's id makes it that of a stranger.
        expect(() => receiver.open('notes', changed)).to.throw(/not sealed|was not made|not in the list/);
        expect(Buffer.from(receiver.open('notes', bytes).data)).to.deep.equal(Buffer.from(text));
      }),
    ));

  it('is taken for no other purpose', () => {
    const nodes = new TrustedNodes(randomUUID());
    const [sender, receiver] = [nodes.seal(ada), nodes.seal(bob)];
    for (const purpose of purposes)
      for (const other of purposes.filter((one) => one !== purpose)) {
        const { bytes } = sender.seal(purpose, Buffer.from('text'));
        expect(() => receiver.open(other, bytes), `${purpose} as ${other}`).to.throw(ForgedMessage);
      }
  });

  it('is refused under another master key, and of another log', () => {
    const nodes = new TrustedNodes(randomUUID());
    const receiver = nodes.seal(bob);
    for (const others of [new TrustedNodes(nodes.logId), new TrustedNodes(randomUUID(), nodes.master)]) {
      const sender = others.seal(ada);
      receiver.trust([{ node: ada, credential: sender.credential }]);
      expect(() => receiver.open('notes', sender.seal('notes', Buffer.from('text')).bytes)).to.throw(
        ForgedMessage,
      );
    }
  });

  it('is taken once, and never behind a later one', () => {
    const nodes = new TrustedNodes(randomUUID());
    const [sender, receiver] = [nodes.seal(ada), nodes.seal(bob)];
    const [first, second, third] = [1, 2, 3].map((n) => sender.seal('notes', Buffer.of(n)).bytes);
    const open = (message: Uint8Array = Buffer.of()) => Buffer.from(receiver.open('notes', message).data);
    expect(open(first)).to.deep.equal(Buffer.of(1));
    expect(open(third)).to.deep.equal(Buffer.of(3));
    for (const again of [first, second, third]) expect(() => open(again)).to.throw(ForgedMessage);
    nodes.read();
    expect(() => open(third), 'after the list is read again').to.throw(ForgedMessage);
    const other = nodes.seal(randomUUID());
    expect(() => other.open('notes', third ?? Buffer.of()), 'by a node that starts later').to.throw(
      ForgedMessage,
    );
  });

  it('of a node that has left the list is refused', () => {
    const nodes = new TrustedNodes(randomUUID());
    const [sender, receiver] = [nodes.seal(ada), nodes.seal(bob)];
    receiver.trust([]);
    expect(() => receiver.open('notes', sender.seal('notes', Buffer.of()).bytes)).to.throw(StrangerError);
  });

  it('of a stranger makes the node read the list, at most once a second', () => {
    let now = 0;
    let read = 0;
    const nodes = new TrustedNodes(randomUUID());
    const receiver = nodes.stranger(bob, () => now);
    receiver.onStranger = () => read++;
    const sender = nodes.seal(ada);
    const meet = () =>
      expect(() => receiver.open('notes', sender.seal('notes', Buffer.of()).bytes)).to.throw(StrangerError);
    for (let i = 0; i < 10; i++) meet();
    expect(read).to.equal(1);
    now += 1000;
    meet();
    expect(receiver.trusts(ada)).to.equal(false);
    expect(read).to.equal(2);
  });
});

describe('on NATS', () => {
  const closing: (() => Promise<unknown>)[] = [];
  let nodes: TrustedNodes;
  let spy: NatsConnection;
  /** All that was sent, with its subject. */
  let recorded: { subject: string; data: Uint8Array }[];
  let prefix: string;

  before(async function () {
    if ((await natsUrl()) === undefined) this.skip();
  });
  beforeEach(async () => {
    nodes = new TrustedNodes(randomUUID());
    prefix = `parley.${nodes.logId.replaceAll('-', '').slice(0, 12)}`;
    const url = await natsUrl();
    spy = await connect({ servers: url?.replace('nats://', '') ?? '' });
    closing.push(() => spy.close());
    const records: typeof recorded = [];
    recorded = records;
    for (const subject of [`${prefix}.>`, '_INBOX.>'])
      spy.subscribe(subject, { callback: (_, { subject, data }) => records.push({ subject, data }) });
    await spy.flush();
  });
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });

  /** A node, and what reached it. `list`: the database that it reads and is in. */
  async function open(list = nodes, isListed = true) {
    const node = randomUUID();
    const seal = isListed ? list.seal(node) : list.stranger(node);
    const servers = parseNatsServers((await natsUrl()) ?? '') ?? [];
    const bus = new NatsBus({ servers, logId: nodes.logId, node, seal, report: () => {} });
    closing.push(() => bus.close());
    const got: unknown[] = [];
    bus.subscribe(({ id }) => got.push(id));
    bus.onNote((note) => got.push(note));
    bus.serve(async (body) => {
      got.push(body);
      return body;
    });
    await eventually('the bus is connected', () => bus.isConnected);
    return { bus, seal, got };
  }
  type Node = Awaited<ReturnType<typeof open>>;

  /** Resolves when all that was sent before has arrived. */
  async function arrived(from: Node, to: Node): Promise<void> {
    await spy.flush();
    const ask = { last: randomUUID() };
    expect(await from.bus.request(to.bus.node, ask, LONG_MS)).to.deep.equal({ reply: ask });
    expect(to.got.pop()).to.deep.equal(ask);
  }

  it('texts, names and passwords of what nodes tell each other cannot be read', async () => {
    const [one, other] = [await open(), await open()];
    one.bus.publish(frameOf(1, [messageLeaf(1, 'a secret text')]));
    one.bus.broadcast(typing('a secret name'));
    expect(await one.bus.request(other.bus.node, 'a secret password', LONG_MS)).to.deep.equal({
      reply: 'a secret password',
    });
    await arrived(one, other);
    expect(other.got).to.have.length(3);
    expect(recorded.length, 'the spy sees all of it').to.be.at.least(4);
    for (const { data } of recorded) {
      const text = Buffer.from(data).toString('latin1');
      for (const word of ['secret', 'text', 'name', 'commit', 'typing', 'reply'])
        expect(text).not.to.include(word);
    }
  });

  it('what a stranger sends does nothing', async () => {
    const [one, other] = [await open(), await open()];
    spy.publish(`${prefix}.commits`, encodeCommit(frameOf(1, [messageLeaf(1, 'invented')])));
    spy.publish(`${prefix}.notes`, encodeNote(typing('invented')));
    spy.publish(`${prefix}.node.${other.bus.node}`, encodeRequest('appoint an auditor'));
    const outside = new TrustedNodes(nodes.logId, randomBytes(32)).seal(randomUUID());
    const sealed = (purpose: Purpose, data: Uint8Array) => outside.seal(purpose, data).bytes;
    spy.publish(`${prefix}.commits`, sealed('commits', encodeCommit(frameOf(1, []))));
    spy.publish(`${prefix}.notes`, sealed('notes', encodeNote(typing('invented'))));
    await arrived(one, other);
    expect(other.got).to.deep.equal([]);
  });

  it('a recorded message that is played again does nothing, not even after a restart', async () => {
    const [one, other] = [await open(), await open()];
    one.bus.publish(frameOf(1, [messageLeaf(1, 'text')]));
    one.bus.broadcast(typing('somebody'));
    await one.bus.request(other.bus.node, 'once', LONG_MS);
    await arrived(one, other);
    expect(other.got).to.have.length(3);
    const tape = [...recorded];
    const restarted = await open();
    for (const { subject, data } of tape) {
      spy.publish(subject, data);
      if (subject.includes('.node.')) spy.publish(`${prefix}.node.${restarted.bus.node}`, data);
    }
    for (const node of [other, restarted]) await arrived(one, node);
    expect(other.got).to.have.length(3);
    expect(restarted.got).to.deep.equal([]);
  });

  it('a recorded or invented reply is not taken for that of another request', async () => {
    const [one, other] = [await open(), await open()];
    await one.bus.request(other.bus.node, 'first', LONG_MS);
    await eventually('the reply is recorded', () =>
      recorded.some(({ subject }) => subject.startsWith('_INBOX')),
    );
    const reply = recorded.find(({ subject }) => subject.startsWith('_INBOX'));
    const silent = randomUUID();
    nodes.seal(silent);
    spy.subscribe(`${prefix}.node.${silent}`, {
      callback: (_, message) => void message.respond(reply?.data ?? Buffer.of()),
    });
    await spy.flush();
    expect(await one.bus.request(silent, 'second', LONG_MS)).to.equal('unanswered');
  });

  it('a copy of the database, with the same master key, neither disturbs nor is disturbed', async () => {
    const copy = new TrustedNodes(nodes.logId, nodes.master);
    const [one, other, theirs, theirOther] = [await open(), await open(), await open(copy), await open(copy)];
    theirs.bus.publish(frameOf(1, [messageLeaf(1, 'of the copy')]));
    theirs.bus.broadcast(typing('the copy'));
    one.bus.broadcast(typing('the original'));
    expect(await theirs.bus.request(other.bus.node, 'of the copy', LONG_MS)).to.equal('undelivered');
    await arrived(one, other);
    await arrived(theirs, theirOther);
    expect(other.got).to.deep.equal([typing('the original')]);
    expect(theirOther.got).to.deep.equal(['commit 1', typing('the copy')]);
  });

  it('a node that has just started is refused at first, makes the list be read, and is taken then', async () => {
    const [one, fresh] = [await open(), await open(nodes, false)];
    let met = 0;
    one.seal.onStranger = () => met++;
    nodes.read(fresh.seal);
    expect(await fresh.bus.request(one.bus.node, 'early', LONG_MS)).to.equal('undelivered');
    expect(met).to.equal(1);
    expect(await one.bus.request(fresh.bus.node, 'to an unknown node', LONG_MS)).to.equal('undelivered');
    nodes.list(fresh.bus.node, fresh.seal);
    await arrived(fresh, one);
    await arrived(one, fresh);
    expect(one.got).to.deep.equal([]);
  });
});
