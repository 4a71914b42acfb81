import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { chatOf, hear, Newcomer, say } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { parley } from '../support/parley.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { haproxyIsHere, type RunningProxy, startHaproxy } from './proxies.js';

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1';
/** The proxy looks at its nodes this often, and takes one for gone at the second look without an answer. */
const LOOK_MS = 1000;

/** What the proxy sees of a node: it answers its name, and whether it is well. */
class FakeNode {
  isReady = true;
  isAlive = true;
  #port = 0;
  private constructor(
    readonly name: string,
    private readonly server: Server,
  ) {}

  static async named(name: string): Promise<FakeNode> {
    const server = createServer((request, response) => {
      const well = { '/ready': node.isReady && node.isAlive, '/health': node.isAlive }[request.url ?? ''];
      response.writeHead(well === false ? 503 : 200, { connection: 'close' }).end(name);
    });
    const node = new FakeNode(name, server);
    await node.open();
    node.#port = (server.address() as AddressInfo).port; // It listens on TCP.
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  close(): void {
    this.server.close();
  }

  /** It is back where it was. */
  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(this.#port, '127.0.0.1', resolve));
  }
}

/** Who answers a dozen requests. */
async function whoAnswers(proxy: RunningProxy): Promise<string[]> {
  const names = new Set<string>();
  for (let n = 0; n < 12; n++) {
    const response = await fetch(`${proxy.url}/user/`).catch(() => undefined);
    names.add(response?.ok ? await response.text() : 'nobody');
  }
  return [...names].sort();
}

describe('the proxy of deploy/', function () {
  this.timeout(120_000);
  let proxy: RunningProxy | undefined;
  before(function () {
    if (!haproxyIsHere()) this.skip();
  });
  afterEach(async () => {
    await proxy?.stop();
    proxy = undefined;
  });

  describe('before a real node', () => {
    let node: ServerProcess;
    const startBoth = async (env: Record<string, string> = {}, timeout?: string): Promise<RunningProxy> => {
      node = await startServer({ engine: 'sqlite', env: { TRUST_PROXY: '1', ...env } });
      const started = await startHaproxy(
        [new URL(node.url).host, NOWHERE],
        timeout === undefined ? {} : { request: timeout },
      );
      proxy = started;
      await eventually('the node is known to be well', async () => {
        const response = await fetch(`${started.url}/health`).catch(() => undefined);
        return response?.ok ?? false;
      });
      return started;
    };
    afterEach(() => node.stop());

    it('carries REST and WebSocket both ways', async () => {
      const place = await startBoth();
      const [ada, ben] = [await Newcomer.at(place), await Newcomer.at(place)];
      const [phone, tablet] = [await ada.device(), await ben.device()];
      const roomId = await chatOf(phone, ben);
      await say(phone, roomId, 'through the proxy');
      expect(await hear(tablet, 'through the proxy')).to.include({ roomId, seq: 1 });
    });

    it('lets a page of its own host connect, and no other', async () => {
      const place = await startBoth();
      const upgrade = (origin: string): Promise<string> =>
        RawSocket.connect(place.wsUrl, { origin }).then(
          () => 'open',
          (error: Error) => error.message,
        );
      expect(await upgrade(place.url)).to.equal('open');
      expect(await upgrade('https://elsewhere.example')).to.contain('403');
      expect(await upgrade(place.url.replace('http', 'https')), 'the proxy serves no TLS').to.contain('403');
    });

    it('says whose request it is, whatever the client claims', async () => {
      const place = await startBoth({ AUTH_RATE_LIMIT: '1:2' });
      const statuses: number[] = [];
      for (let n = 1; n <= 3; n++) {
        const response = await fetch(`${place.url}/user/signin`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-forwarded-for': `192.0.2.${n}` },
          body: JSON.stringify({ username: 'nobody', password: 'correct horse battery' }),
        });
        statuses.push(response.status);
      }
      expect(statuses).to.deep.equal([401, 401, 429]);
    });

    it('leaves a followed audit open while nothing happens: an empty line comes before its time limit', async () => {
      // Above the silence after which the line comes, as the 60 s of the configuration are, and below that of two lines.
      const place = await startBoth({}, '25s');
      const ann = await signUp(place, `auditor-${process.pid}`);
      await parley(['role', 'auditor', ann.username], node.settings);
      const { token } = await new Rest(place.url).signIn(ann.username, ann.password);
      const { body } = await fetch(`${place.url}/audit/events/stream?follow=true&type=MessageDeleted`, {
        headers: { authorization: `Bearer ${token}` },
      });
      let [read, hasEnded] = ['', false];
      const reading = (async () => {
        for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) read += text;
      })();
      reading.then(
        () => (hasEnded = true),
        () => (hasEnded = true),
      );
      await eventually('two empty lines', () => hasEnded || read === '\n\n');
      expect(read).to.equal('\n\n');
      expect(hasEnded).to.equal(false);
    });

    it('keeps the metrics to those who reach the node itself', async () => {
      const place = await startBoth();
      for (const path of ['/metrics', '/metrics/'])
        expect((await fetch(place.url + path)).status, path).to.equal(404);
      expect((await fetch(`${node.url}/metrics`)).status).to.equal(200);
    });
  });

  describe('before two nodes', () => {
    let nodes: readonly [FakeNode, FakeNode];
    const answering = (names: string[]) => async () =>
      proxy !== undefined && (await whoAnswers(proxy)).join() === names.join();
    beforeEach(async () => {
      nodes = [await FakeNode.named('first'), await FakeNode.named('second')];
      proxy = await startHaproxy([nodes[0].address, nodes[1].address]);
      await eventually('both serve', answering(['first', 'second']));
    });
    afterEach(() => {
      for (const node of nodes) node.close();
    });

    it('gives no new request to a node that is not ready', async () => {
      nodes[0].isReady = false;
      await eventually('the other serves alone', answering(['second']));
      nodes[0].isReady = true;
      await eventually('both serve again', answering(['first', 'second']));
    });

    it('goes on with nodes that are alive when none is ready', async () => {
      nodes[0].isReady = false;
      nodes[1].isReady = false;
      await eventually('both serve', answering(['first', 'second']));
      nodes[0].isAlive = false;
      await eventually('the one that lives serves', answering(['second']));
    });

    it('asks another node at once when one has gone', async () => {
      let names: readonly string[] = [];
      // Both nodes are in this process: if that is paused for two looks, the other one counts as gone too.
      await eventually('it is asked within a look of the proxy', async () => {
        await eventually('both serve', answering(['first', 'second']));
        const since = performance.now();
        nodes[0].close();
        names = await whoAnswers(proxy as RunningProxy); // Made before each test.
        const isInTime = performance.now() - since < LOOK_MS;
        if (!isInTime) await nodes[0].open();
        return isInTime;
      });
      expect(names).to.deep.equal(['second']);
    });
  });
});
