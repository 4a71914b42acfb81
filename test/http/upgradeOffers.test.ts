import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { serveUpgrades } from '../../src/app/httpServer.js';

describe('an offer to upgrade', () => {
  let server: Server;
  let socket: Socket;
  let received = '';
  /** Requests that wait for their answer. */
  const held: (() => void)[] = [];
  beforeEach(async () => {
    // Answers what it was asked, as one line.
    server = createServer(async (request, response) => {
      const { method, url, headers } = request;
      const body = await text(request);
      if (url === '/held') await new Promise<void>((resolve) => held.push(resolve));
      const { connection, upgrade, 'http2-settings': settings, 'x-other': other } = headers;
      response.end(`<${JSON.stringify({ method, url, connection, upgrade, settings, other, body })}>`);
    });
    serveUpgrades(server, (request, socket, head) => socket.end(`{upgraded ${request.url} ${head}}`));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    received = '';
    const { port } = server.address() as AddressInfo; // It listens on TCP.
    socket = connect(port, '127.0.0.1');
    socket.on('data', (data) => (received += String(data)));
    socket.on('error', () => {});
  });
  afterEach(() => {
    socket.destroy();
    server.close();
  });

  const send = (line: string, headers: readonly string[], body = '') =>
    socket.write([line, 'Host: here', ...headers, '', body].join('\r\n'));
  /** The next answer of the handler. */
  const answer = async (): Promise<Record<string, unknown>> => {
    for (;;) {
      const found = /<(.*)>/s.exec(received)?.[1];
      if (found === undefined) await once(socket, 'data');
      else {
        received = '';
        return JSON.parse(found) as Record<string, unknown>; // Of the handler above.
      }
    }
  };

  it('to a WebSocket at /ws is taken', async () => {
    for (const path of ['/ws', '/ws/', '/ws?a=1']) {
      socket.destroy();
      const { port } = server.address() as AddressInfo;
      const own = connect(port, '127.0.0.1');
      own.write(
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nrest`,
      );
      expect(await text(own)).equal(`{upgraded ${path} rest}`);
    }
  });

  /** How Node gives the bytes of this header: one character each. */
  const latin1 = Buffer.from('é').toString('latin1');
  const ignored: readonly (readonly [string, string, readonly string[]])[] = [
    ['to HTTP/2', 'GET /', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMA']],
    ['to HTTP/2 at /ws', 'GET /ws', ['Connection: Upgrade', 'Upgrade: h2c']],
    ['to a WebSocket elsewhere', 'GET /elsewhere?x', ['Connection: upgrade', 'Upgrade: websocket']],
    ['to a WebSocket by POST', 'POST /ws', ['Connection: upgrade', 'Upgrade: websocket']],
    ['to an unknown protocol', 'GET /', ['Connection: upgrade', 'Upgrade: toString, TLS/1.0']],
  ];
  for (const [what, line, headers] of ignored)
    it(`${what} is ignored: the request is answered as if it had none, and so are those behind it`, async () => {
      const [method, url] = line.split(' ');
      for (let n = 0; n < 3; n++) {
        send(`${line} HTTP/1.1`, [...headers, 'X-Other: é']);
        expect(await answer()).deep.equal({ method, url, other: latin1, body: '' });
        send('GET /next HTTP/1.1', []);
        expect(await answer()).deep.equal({ method: 'GET', url: '/next', body: '' });
      }
    });

  it('that is ignored keeps the other headers, and the body, which may come later', async () => {
    send('PUT /a HTTP/1.1', ['Connection: close, upgrade', 'Upgrade: h2c', 'Content-Length: 10'], '12345');
    await new Promise((resolve) => setImmediate(resolve));
    socket.write('67890');
    expect(await answer()).deep.equal({ method: 'PUT', url: '/a', connection: 'close', body: '1234567890' });
    await once(socket, 'close');
  });

  it('behind a request that is not answered yet ends the connection: the answers could not come in order', async () => {
    for (const protocol of ['h2c', 'websocket']) {
      const { port } = server.address() as AddressInfo;
      const own = connect(port, '127.0.0.1');
      own.on('error', () => {});
      own.resume();
      own.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n');
      own.write(`GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
      await once(own, 'close');
    }
    for (const open of held.splice(0)) open();
  });
});
