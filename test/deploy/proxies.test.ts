import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { MAX_FRAME_BYTES, PING_AFTER_MS, PONG_WAIT_MS } from '../../src/domain/limits.js';
import { hear, talk } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { proxies, type RunningProxy } from './proxies.js';

/** Not the address of the proxy, nor what the client claims. */
const CLIENT = '127.0.0.2';
const CLAIMED = '192.0.2.77';

/** What is answered to a path that is sent as it is written. */
async function answerTo(url: string, path: string): Promise<string> {
  const { hostname, host, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return text(socket);
}

/** Signs in with a wrong password from `CLIENT`, which claims to be another one. */
function failToSignIn(url: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  const body = JSON.stringify({ username: 'nobody', password: 'correct horse battery' });
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': CLAIMED };
  return new Promise((resolve, reject) => {
    request({ hostname, port, localAddress: CLIENT, path: '/user/signin', method: 'POST', headers })
      .on('response', ({ statusCode }) => resolve(statusCode))
      .on('error', reject)
      .end(body);
  });
}

/** Nodes that only speak WebSocket: each ping comes after `pingEveryMs`. */
async function silentNode(pingEveryMs: number) {
  const server = createServer((_, response) => response.end('well'));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    const timer = setInterval(() => socket.ping(), pingEveryMs);
    socket.on('close', () => clearInterval(timer));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return {
    address: `127.0.0.1:${port}`,
    close() {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
    },
  };
}

const isUp = async (url: string) => (await fetch(`${url}/health`).catch(() => undefined))?.ok ?? false;

for (const kind of proxies)
  describe(`${kind.name}, as deploy/ has it`, function () {
    this.timeout(120_000);
    let node: ServerProcess;
    let proxy: RunningProxy;
    before(async function () {
      if (!kind.isHere()) this.skip();
      node = await startServer({ engine: 'sqlite', env: { TRUST_PROXY: '1' } });
      proxy = await kind.before(new URL(node.url).host);
      await eventually('the node is reached', () => isUp(proxy.url));
    });
    after(async () => {
      await proxy?.stop();
      await node?.stop();
    });
    const place = () => ({ url: proxy.url, wsUrl: `${proxy.url.replace('http', 'ws')}/ws` });

    it('carries frames of 128 KiB, and the answers and pushes to them', async () => {
      const { phone, tablet, roomId } = await talk(place());
      const messageId = '0192f0c4-9c1e-7c3a-8f7e-1f2a3b4c5d6e';
      const frame = (padding: string) =>
        `{"id":"large","event":"send message","data":{"roomId":"${roomId}","messageId":"${messageId}","message":"large"}${padding}}`;
      phone.socket.send(frame(' '.repeat(MAX_FRAME_BYTES - frame('').length)));
      expect((await phone.answer('large')).error).to.equal(undefined);
      await hear(tablet, 'large');
    });

    it("lets a page of its own host connect, and no other's", async () => {
      const { wsUrl } = place();
      const upgrade = (origin: string): Promise<string> =>
        RawSocket.connect(wsUrl, { origin }).then(
          () => 'open',
          (error: Error) => error.message,
        );
      expect(await upgrade(proxy.url)).to.equal('open');
      expect(await upgrade('https://elsewhere.example')).to.contain('403');
    });

    it("gives the client's real address to the log, whatever the client claims", async () => {
      expect(await failToSignIn(proxy.url)).to.equal(401);
      await eventually('the line is written', () => node.log.includes('a sign-in failed'));
      const line = node.log.split('\n').find((each) => each.includes('a sign-in failed')) ?? '';
      expect(JSON.parse(line)).to.include({ address: CLIENT });
      expect(node.log).to.not.include(CLAIMED);
    });

    it('keeps the metrics to those who reach the node itself, however the path is written', async () => {
      const spellings = ['/metrics', '/metrics/', '//metrics', '/%6detrics', '/METRICS', '/./metrics'];
      const further = [
        '/metrics?a=1',
        '/metrics%2f',
        '/user/../metrics',
        '//metrics//',
        '/%2e/metrics',
        '/metrics/.',
      ];
      for (const path of [...spellings, ...further]) {
        const answer = await answerTo(proxy.url, path);
        expect(answer, path).to.match(/^HTTP\/1\.1 (?:404|400) /);
        expect(answer, path).to.not.include('parley_');
      }
      expect(await answerTo(node.url, '/metrics')).to.include('parley_ready 1');
    });

    it('leaves a socket open that is silent but for the pings of the node', async () => {
      // A ninth of the times of the contract and of the configuration: 90 s, and a ping after 30 s.
      const scale = 9;
      const silent = await silentNode(PING_AFTER_MS / scale);
      const hurried = await kind.before(silent.address, '10s');
      try {
        await eventually('the node is reached', () => isUp(hurried.url));
        const socket = await RawSocket.connect(`${hurried.url.replace('http', 'ws')}/ws`);
        let [pings, isClosed] = [0, false];
        socket.socket.on('ping', () => pings++);
        void socket.closed.then(() => {
          isClosed = true;
        });
        const enough = Math.ceil((PING_AFTER_MS + 2 * PONG_WAIT_MS) / PING_AFTER_MS) + 1;
        await eventually('it has outlived the limit by its pings', () => isClosed || pings >= enough);
        expect(isClosed).to.equal(false);
        socket.socket.terminate();
      } finally {
        await hurried.stop();
        silent.close();
      }
    });
  });
