import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { WireConnection } from '../../bench/wire/connection.js';
import { firstSend } from '../../bench/wire/dialect.js';
import { FrameReader } from '../../bench/wire/frames.js';
import { parleyDialect } from '../../bench/wire/parley.js';

/** A server that answers a send, and pushes it back to the sender as if it were another's. */
async function echoServer() {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) =>
    socket.on('message', (bytes) => {
      const { id, event, data } = JSON.parse(bytes.toString());
      const message = { messageId: data.messageId, message: data.message };
      if (data.message === 'refuse me')
        socket.send(JSON.stringify({ id, event, error: { code: 'overloaded' } }));
      else socket.send(JSON.stringify({ id, event, data: { message } }));
      if (event === 'send message') socket.send(JSON.stringify({ event, data: { message }, cursor: 'c' }));
    }),
  );
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const stop = () => {
    server.close();
    http.close();
  };
  return { port: (http.address() as AddressInfo).port, stop }; // it listens on TCP
}

describe('the connection of the load generator', () => {
  it('understands a real WebSocket server, and is understood', async () => {
    const { port, stop } = await echoServer();
    const connection = await WireConnection.open(port, parleyDialect);
    const seen: unknown[] = [];
    const delivered = new Promise<void>((resolve) => {
      connection.listener = {
        acknowledged: (message) => seen.push(['acknowledged', message]),
        refused: (message, code) => seen.push(['refused', message, code]),
        delivered: (message) => {
          seen.push(['delivered', message]);
          if (message === 3) resolve();
        },
      };
    });
    const long = parleyDialect.template('a room', 'x'.repeat(1000));
    connection.send(long.fill(firstSend + 12, 12));
    const short = parleyDialect.template('a room', 'refuse me');
    connection.send(short.fill(firstSend + 3, 3));
    await delivered;
    expect(seen).to.deep.equal([
      ['acknowledged', 12],
      ['delivered', 12],
      ['refused', 3, 'overloaded'],
      ['delivered', 3],
    ]);
    expect(await connection.request('fetch messages', { message: 'é' })).to.deep.equal({
      message: { message: 'é' },
    });
    connection.close();
    stop();
  });

  for (const { payloads, sizes } of [
    { payloads: ['', 'a', 'b'.repeat(125), 'c'.repeat(126)], sizes: [1, 2, 3, 5, 128, 1000] },
    { payloads: ['a', 'd'.repeat(70_000), 'b'], sizes: [4096, 65_536, 100_000] },
  ])
    it(`reads frames of up to ${Math.max(...payloads.map(({ length }) => length))} bytes however they are cut`, () => {
      const stream = Buffer.concat(
        payloads.flatMap((payload) => {
          const length = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
          length[0] = 0x81;
          if (length.length === 2) length[1] = payload.length;
          else if (length.length === 4) length.writeUInt16BE(payload.length, 2);
          else length.writeBigUInt64BE(BigInt(payload.length), 2);
          if (length.length > 2) length[1] = length.length === 4 ? 126 : 127;
          return [length, Buffer.from(payload)];
        }),
      );
      for (const size of sizes) {
        const read: string[] = [];
        const reader = new FrameReader({
          text: (bytes, start, end) => read.push(bytes.toString('utf8', start, end)),
          reply: () => expect.fail('nothing asks for a reply'),
          closed: () => expect.fail('nothing closes'),
        });
        const chunk = Buffer.alloc(size);
        for (let at = 0; at < stream.length; at += size)
          reader.read(chunk, stream.copy(chunk, 0, at, at + size));
        expect(read, `chunks of ${size} bytes`).to.deep.equal(payloads);
      }
    });
});
