import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { RawSocket } from '../support/rawSocket.js';
import { rejection } from '../support/rejection.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { Newcomer } from './newcomer.js';

describe('stopping', function () {
  this.timeout(60_000);
  let server: ServerProcess;
  beforeEach(async () => {
    server = await startServer({ engine: 'sqlite' });
  });
  afterEach(() => server.kill());

  /** Holds a stop up for a while: it does not answer the close. */
  const unhurried = async (): Promise<RawSocket> => {
    const socket = await (await Newcomer.at(server)).device();
    socket.socket.pause();
    return socket;
  };

  it('closes sockets with 1012 and exits with 0, whoever has identified', async () => {
    const device = await (await Newcomer.at(server)).device();
    const unknown = await RawSocket.connect(server.wsUrl);
    const exit = server.stop();
    expect(await Promise.all([device.closed, unknown.closed])).to.deep.equal([1012, 1012]);
    expect(await exit).to.deep.equal({ code: 0, signal: null });
  });

  it('cuts off a client that does not answer the close, and exits with 0', async () => {
    const socket = await unhurried();
    expect(await server.stop()).to.deep.equal({ code: 0, signal: null });
    socket.socket.resume();
    expect(await socket.closed).to.equal(1012);
  });

  it('accepts nobody any more', async () => {
    await unhurried();
    const { wsUrl, url } = server;
    const exit = server.stop();
    await eventually('it is stopping', () => server.log.includes('stopping'));
    await rejection(RawSocket.connect(wsUrl));
    await rejection(fetch(`${url}/health`));
    await exit;
  });

  it('exits at once at a second signal, with another code', async () => {
    await unhurried();
    const exit = server.stop();
    await eventually('it is stopping', () => server.log.includes('stopping'));
    void server.kill('SIGINT');
    expect((await exit).code).to.not.equal(0);
  });

  it('counts the same signal at once as one', async () => {
    await unhurried();
    const exit = server.stop();
    await eventually('it is stopping', () => server.log.includes('stopping'));
    void server.kill('SIGTERM');
    expect(await exit).to.deep.equal({ code: 0, signal: null });
  });
});
