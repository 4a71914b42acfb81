import { once } from 'node:events';
import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { frameText, MAX_WIRE_FRAME_BYTES, textFrame } from '../../src/gateway/protocol.js';

describe('a text frame', () => {
  it('is read by a WebSocket client as the text it was made of', async () => {
    const lengths = [0, 1, 125, 126, 65_532, 65_533, 65_657, 65_658, 131_064, 131_065, 300_000].map((n) =>
      'x'.repeat(n),
    );
    // Three bytes a character: frames end in the middle of some.
    lengths.push('€'.repeat(50_000));
    const texts = [...lengths, ...fc.sample(fc.string({ unit: 'grapheme', maxLength: 300 }), 50)];
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    server.on('connection', (socket, request) => {
      for (const text of texts) {
        const message = textFrame(text);
        expect(frameText(message)).equal(text);
        // A ping of the library may come between any two frames.
        for (let at = 0; at < message.length; at += MAX_WIRE_FRAME_BYTES) {
          request.socket.write(message.subarray(at, at + MAX_WIRE_FRAME_BYTES));
          socket.ping();
        }
      }
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
