import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { type ServerProcess, startServer } from '../support/server.js';
import { Newcomer } from './newcomer.js';

describe('a TCP connection', () => {
  let server: ServerProcess;
  const sockets: Socket[] = [];
  before(async () => {
    server = await startServer({ engine: 'sqlite' });
  });
  after(async () => {
    // Ends what a failed test still does with them.
    for (const socket of sockets) socket.destroy();
    await server.stop();
  });

  /** Sends this and no more. `isStubborn`: it does not close when the server does. */
  const say = (text: string, isStubborn = false): Socket => {
    const port = Number(new URL(server.url).port);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: isStubborn });
    sockets.push(socket);
    socket.on('error', () => {});
    socket.resume();
    socket.write(text);
    return socket;
  };
  /** After an error too. */
  const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));
  const offer = (...headers: readonly string[]) =>
    ['GET /ws HTTP/1.1', 'Host: here', 'Connection: Upgrade', 'Upgrade: websocket', ...headers, '', ''].join(
      '\r\n',
    );

  it('that sends no complete request within 10 s is closed', async () => {
    const device = await (await Newcomer.at(server)).device();
    const post = 'POST /user/ HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n';
    const unfinished = [
      '',
      'GET /heal',
      'GET /health HTTP/1.1\r\nHost: here\r\n',
      `${post}Content-Length: 50\r\n\r\n{"username":`,
      `${post}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 50\r\n\r\n{"username":`,
    ];
    await Promise.all(unfinished.map((text) => closed(say(text))));
    // A socket that has identified is no such connection.
    await device.request('notify online', {});
    await device.close();
  });

  it('whose upgrade was refused is told why, and closed', async () => {
    const refused = [
      offer('Authorization: Bearer none'),
      offer('Origin: https://elsewhere.example'),
      offer('Sec-WebSocket-Version: 13'),
    ];
    const answers = await Promise.all(
      refused.map(async (text) => {
        const socket = say(text);
        let answer = '';
        socket.on('data', (data) => (answer += String(data)));
        await closed(socket);
        return answer.slice(0, 'HTTP/1.1 403'.length);
      }),
    );
    expect(answers).deep.equal(['HTTP/1.1 401', 'HTTP/1.1 403', 'HTTP/1.1 400']);
  });

  it('whose upgrade was refused holds nothing of the server, though the client never closes', async () => {
    const all = Array.from({ length: 50 }, () => say(offer('Origin: https://elsewhere.example'), true));
    await Promise.all(all.map((socket) => once(socket, 'end')));
    // The server has destroyed a socket when it answers with a reset.
    await Promise.all(
      all.map(async (socket) => {
        const timer = setInterval(() => socket.write('still here'), 100);
        await closed(socket);
        clearInterval(timer);
      }),
    );
  });
});
