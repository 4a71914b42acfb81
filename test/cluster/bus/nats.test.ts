import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { connect } from 'nats';
import { parseNatsServers } from '../../../src/base/settings.js';
import type { Reply } from '../../../src/cluster/bus.js';
import { NatsBus } from '../../../src/cluster/natsBus.js';
import { frameOf, messageLeaf } from '../../conformance/busFrames.js';
import { eventually } from '../../support/eventually.js';
import { type NatsServerProcess, natsServerBinary, startNats } from '../../support/nats.js';
import { TcpProxy } from '../../support/proxy.js';
import { TrustedNodes } from '../../support/trust.js';

const nodes = new TrustedNodes(randomUUID());
const { logId } = nodes;

describe('a bus on NATS during failures', () => {
  const closing: (() => Promise<unknown>)[] = [];
  let reports: string[] = [];

  before(function () {
    if (natsServerBinary() === undefined) this.skip();
  });
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
    reports = [];
  });

  function open(...urls: string[]): NatsBus {
    const report = (message: string, error: unknown) => reports.push(`${message} ${error}`);
    const servers = parseNatsServers(urls.join()) ?? [];
    const node = randomUUID();
    const bus = new NatsBus({ servers, logId, node, seal: nodes.seal(node), report });
    closing.push(() => bus.close());
    return bus;
  }

  async function nats(...args: string[]): Promise<NatsServerProcess> {
    const server = await startNats(args);
    closing.push(() => server.stop());
    return server;
  }

  const connected = (...buses: NatsBus[]) =>
    eventually('the buses are connected', () => buses.every(({ isConnected }) => isConnected));

  const lost = (bus: NatsBus) => eventually('the loss is noticed', () => !bus.isConnected);

  it('starts without a server, and connects when there is one', async () => {
    const server = await nats();
    await server.stop();
    const [one, other] = [open(server.url()), open(server.url())];
    const seen: number[] = [];
    const changes: boolean[] = [];
    other.subscribe(({ position }) => seen.push(position));
    other.onConnectionChange((isConnected) => changes.push(isConnected));
    other.serve(async (body) => body);
    one.publish(frameOf(1, []));
    expect(await one.request(other.node, 'early', 1000)).to.equal('undelivered');
    expect([one.isConnected, changes]).to.deep.equal([false, []]);

    await eventually('the missing server is reported', () => reports.length > 0);
    await server.start();
    await connected(one, other);
    one.publish(frameOf(2, []));
    expect(await one.request(other.node, 'now', 10_000)).to.deep.equal({ reply: 'now' });
    expect(changes).to.deep.equal([true]);
    // Nothing published before is sent later.
    await eventually('the commit has come', () => seen.length > 0);
    expect(seen).to.deep.equal([2]);
  });

  it('resumes when its server comes back, and stores nothing meanwhile', async () => {
    const server = await nats();
    const [one, other] = [open(server.url()), open(server.url())];
    const seen: number[] = [];
    const heard: string[] = [];
    const changes: boolean[] = [];
    other.subscribe(({ position }) => seen.push(position));
    other.onNote(({ kind }) => heard.push(kind));
    other.onConnectionChange((isConnected) => changes.push(isConnected));
    other.serve((body) => (body === 'wait' ? new Promise(() => {}) : Promise.resolve(body)));
    await connected(one, other);

    for (let round = 1; round <= 3; round++) {
      const asked: Promise<Reply> = one.request(other.node, 'wait', 60_000);
      await server.stop();
      expect(await asked, 'not after a minute').to.equal('unanswered');
      await Promise.all([lost(one), lost(other)]);
      one.publish(frameOf(1, []));
      one.broadcast({ kind: 'rebalance' });
      expect(await one.request(other.node, 'lost', 60_000)).to.equal('undelivered');

      await server.start();
      await connected(one, other);
      one.publish(frameOf(2, [messageLeaf(1, 'text')]));
      one.broadcast({ kind: 'requestProgress', partition: 0, size: 1 });
      expect(await one.request(other.node, 'again', 10_000)).to.deep.equal({ reply: 'again' });
      await eventually('the note has come', () => heard.length >= round);
    }
    expect(seen).to.deep.equal([2, 2, 2]);
    expect(heard).to.deep.equal(['requestProgress', 'requestProgress', 'requestProgress']);
    expect(changes.slice(1)).to.deep.equal([false, true, false, true, false, true]);
    expect(reports.filter((said) => said.includes('lost'))).to.have.length(6);
  });

  it('moves to another server of the list', async () => {
    const [first, second] = [await nats(), await nats()];
    const bus = open(first.url(), second.url());
    await connected(bus);
    await first.stop();
    await second.stop();
    await lost(bus);
    await second.start();
    await connected(bus);
    await first.start();
    await second.stop();
    await lost(bus);
    await connected(bus);
  });

  it('notices within seconds that its messages do not arrive, and buffers a limited amount', async () => {
    const server = await nats();
    const proxy = await TcpProxy.to('127.0.0.1', server.port);
    closing.push(() => proxy.close());
    const [one, other] = [open(`nats://127.0.0.1:${proxy.port}`), open(server.url())];
    other.serve(async () => true);
    await connected(one, other);
    proxy.stall();
    const frame = frameOf(1, [messageLeaf(1, 'x'.repeat(256 * 1024))]);
    for (let i = 0; i < 1000; i++) one.publish(frame);
    // 250 MiB were passed to it.
    expect(await one.request(other.node, 'x'.repeat(300_000), 60_000)).to.equal('undelivered');
    await lost(one);
    proxy.restore();
    await connected(one);
    expect(await one.request(other.node, {}, 10_000)).to.deep.equal({ reply: true });
  });

  it('leaks no socket to a silent server', async () => {
    const sockets = new Set<Socket>();
    let tries = 0;
    const deaf = createServer((socket) => {
      tries++;
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await once(deaf, 'listening');
    const { port } = deaf.address() as AddressInfo; // A TCP server's address is an `AddressInfo`.
    const bus = open(`nats://127.0.0.1:${port}`);
    await eventually('it has tried three times', () => tries === 3);
    await eventually('the earlier ones are closed', () => sockets.size <= 1);
    await bus.close();
    await eventually('all are closed', () => sockets.size === 0);
    deaf.close();
  });

  it('drops unreadable messages, and goes on', async () => {
    const server = await nats();
    const bus = open(server.url());
    const friend = open(server.url());
    const seen: number[] = [];
    bus.subscribe(({ position }) => {
      if (position === 1) throw new Error('a handler that fails');
      seen.push(position);
    });
    await connected(bus, friend);
    const prefix = `parley.${logId.replaceAll('-', '').slice(0, 12)}`;
    const stranger = await connect({ servers: `127.0.0.1:${server.port}` });
    closing.push(() => stranger.close());
    for (const subject of ['commits', 'notes', `node.${bus.node}`])
      for (const text of ['no JSON', '{}', '{"from":"x","note":{"kind":"newer"}}', ''])
        stranger.publish(`${prefix}.${subject}`, text);
    await stranger.flush();
    friend.publish(frameOf(1, []));
    friend.publish(frameOf(2, []));
    await eventually('the next commit', () => seen.length === 1);
    // One report per subject, and one of the handler.
    expect(reports.sort()).to.satisfy((said: string[]) => said.length === 6, reports.join('\n'));
  });
});
