import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { signUp } from '../support/people.js';
import { type ServerProcess, startServer } from '../support/server.js';

/** The status of a path that is sent as it is written: `fetch` would bring it to its usual form. */
async function statusOf(url: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.end(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
}

const spellings = ['/metrics', '/metrics/', '//metrics', '/%6detrics', '/METRICS', '/./metrics', '/metrics?'];

describe('METRICS_PORT', () => {
  let server: ServerProcess;
  afterEach(() => server.stop());

  const metricsUrl = () => /metrics are at (http:\/\/[^"]+)\/metrics/.exec(server.log)?.[1];

  it('serves the metrics on a port of their own, with health and readiness, and nothing else there', async () => {
    server = await startServer({ engine: 'sqlite', env: { METRICS_PORT: '0' } });
    const url = metricsUrl() ?? '';
    const metrics = await ask(url, 'GET /metrics');
    expect(metrics.headers.get('content-type')).to.match(/^text\/plain/);
    expect(metrics.text).to.match(/^parley_partitions_owned 1$/m);
    for (const what of ['GET /health', 'GET /ready']) expect((await ask(url, what)).status).to.equal(200);
    for (const what of ['GET /', 'GET /user/', 'POST /user/signin', 'GET /ws', 'GET /docs'])
      expect((await ask(url, what)).status, what).to.equal(404);
  });

  it('leaves no spelling of /metrics on the port of the clients', async () => {
    server = await startServer({ engine: 'sqlite', env: { METRICS_PORT: '0' } });
    for (const path of spellings) expect(await statusOf(server.url, path), path).to.equal(404);
    expect(await statusOf(server.url, '/ready')).to.equal(200);
  });

  it('unset leaves the metrics on the port of the clients, under their name alone', async () => {
    server = await startServer({ engine: 'sqlite' });
    expect(metricsUrl()).to.equal(undefined);
    const found = [];
    for (const path of spellings) if ((await statusOf(server.url, path)) === 200) found.push(path);
    expect(found).to.deep.equal(['/metrics', '/metrics/', '/metrics?']);
  });
});

describe('LOG_FORMAT', () => {
  let server: ServerProcess;
  afterEach(() => server.stop());

  /** Starts a server, and makes it log a request that is refused. Returns the id that the answer gave. */
  async function refuseOne(env: Record<string, string>): Promise<string> {
    server = await startServer({ engine: 'sqlite', env });
    await signUp(server, 'ada');
    const { status, headers } = await ask(server.url, 'GET /user/search?q=ada', { token: 'nobody' });
    expect(status).to.equal(401);
    const request = headers.get('x-request-id') ?? '';
    await eventually('the line of the refusal', () => new RegExp(`${request}.*\\n`).test(server.log));
    return request;
  }

  it('json writes an object a line: its level by name, its time as ISO 8601, and the id of its request', async () => {
    const request = await refuseOne({});
    const lines = server.log
      .trim()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line));
    for (const { level, time } of lines) {
      expect(level).to.be.oneOf(['info', 'warn']);
      expect(new Date(String(time)).toISOString()).to.equal(time);
    }
    expect(lines.find((line) => line.request === request)).to.include({
      level: 'info',
      msg: 'a token was refused',
    });
  });

  it('pretty writes a line for people: the local time, the level by name, and the id of the request', async () => {
    const request = await refuseOne({ LOG_FORMAT: 'pretty', TZ: 'Asia/Kathmandu' });
    const line = server.log.split('\n').find((each) => each.includes(request)) ?? '';
    const [, date = '', time = ''] =
      /^\[(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3})\] INFO: a token was refused /.exec(line) ?? [];
    const local = Date.parse(`${date}T${time}+05:45`);
    expect(local, line).to.be.within(Date.now() - 60_000, Date.now());
    // No terminal reads it.
    expect(line).to.not.include('\u001b');
  });
});
