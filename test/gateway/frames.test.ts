import { once } from 'node:events';
import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { textFrame } from '../../src/gateway/protocol.js';

describe('a text frame', () => {
  it('is read by a WebSocket client as the text it was made of', async () => {
    const lengths = [0, 1, 125, 126, 65_535, 65_536, 70_000].map((n) => 'x'.repeat(n));
    const texts = [...lengths, ...fc.sample(fc.string({ unit: 'grapheme', maxLength: 300 }), 50)];
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    server.on('connection', (_, request) => {
      request.socket.write(Buffer.concat(texts.map(textFrame)));
    });
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    const read: string[] = [];
    await new Promise<void>((resolve) => {
      client.on('message', (data, isBinary) => {
        if (read.push(isBinary ? 'binary' : data.toString()) === texts.length) resolve();
      });
    });
    client.terminate();
    server.close();
    expect(read).deep.equal(texts);
  });
});
