import { execFile as execFileBack, execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseNatsServers } from '../../../src/base/settings.js';
import { NatsBus, type NatsBusOptions } from '../../../src/cluster/natsBus.js';
import { eventually } from '../../support/eventually.js';
import { type NatsServerProcess, natsServerBinary, startNats } from '../../support/nats.js';
import { TrustedNodes } from '../../support/trust.js';

const execFile = promisify(execFileBack);
const child = fileURLToPath(new URL('./connectingChild.js', import.meta.url));

/** A node of a log of its own. */
function connect(servers: NatsBusOptions['servers'], report: NatsBusOptions['report']): NatsBus {
  const [logId, node] = [randomUUID(), randomUUID()];
  return new NatsBus({ servers, logId, node, seal: new TrustedNodes(logId).seal(node), report });
}

describe('a bus on NATS with authentication', () => {
  const closing: (() => Promise<unknown>)[] = [];

  before(function () {
    if (natsServerBinary() === undefined) this.skip();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function nats(...args: string[]): Promise<NatsServerProcess> {
    const server = await startNats(args);
    closing.push(() => server.stop());
    return server;
  }

  /** Returns `connected`, or the first report. */
  async function outcome(url: string): Promise<string> {
    let said: string | undefined;
    const report = (message: string, error: unknown) => {
      said ??= `${message}: ${error}`;
    };
    const servers = parseNatsServers(url) ?? [];
    const bus = connect(servers, report);
    closing.push(() => bus.close());
    await eventually('it is in or out', () => bus.isConnected || said !== undefined);
    return bus.isConnected ? 'connected' : (said ?? '');
  }

  it('uses a user and a password of the URL', async () => {
    const server = await nats('--user', 'ada', '--pass', 'p@ss,word');
    expect(await outcome(server.url('nats://ada:p%40ss%2Cword@'))).to.equal('connected');
    for (const before of ['nats://ada:other@', 'nats://']) {
      const said = await outcome(server.url(before));
      expect(said.toLowerCase()).to.include('authorization').and.not.include('other');
    }
  });

  it('uses a token of the URL', async () => {
    const server = await nats('--auth', 'secret:token');
    expect(await outcome(server.url('nats://secret%3Atoken@'))).to.equal('connected');
    expect((await outcome(server.url('nats://other@'))).toLowerCase()).to.include('authorization');
  });

  it('connects to another server when one refuses it', async () => {
    const [strict, open] = [await nats('--auth', 'token'), await nats()];
    const servers = parseNatsServers(`${strict.url()},${open.url()}`) ?? [];
    const bus = connect(servers, () => {});
    closing.push(() => bus.close());
    await eventually('it is connected', () => bus.isConnected);
  });

  describe('over TLS', () => {
    const directory = mkdtempSync(join(tmpdir(), 'parley-tls-'));
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    const tls = ['--tls', '--tlscert', cert, '--tlskey', key];

    before(function () {
      if (spawnSync('openssl', ['version']).status === 0) return;
      if (process.env.CI === 'true') throw new Error('CI needs openssl');
      console.warn('left out: NATS over TLS, as there is no openssl');
      this.skip();
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    /** Creates a self-signed certificate for these names. */
    const certify = (names: string): void => {
      const args =
        'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=nats'.split(' ');
      execFileSync('openssl', [...args, '-addext', `subjectAltName=${names}`, '-keyout', key, '-out', cert], {
        stdio: 'ignore',
      });
    };

    /** As `outcome`, in a process that trusts the certificate. */
    async function outcomeTrusting(url: string): Promise<string> {
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: cert };
      return (await execFile(process.execPath, [child, url], { env })).stdout;
    }

    it('connects only to a server with a trusted certificate for its address', async () => {
      certify('IP:127.0.0.1');
      const server = await nats(...tls);
      expect(await outcomeTrusting(server.url('tls://'))).to.equal('connected');
      expect(await outcomeTrusting(server.url('nats://')), 'the server asks for it').to.equal('connected');
      expect(await outcomeTrusting(`tls://localhost:${server.port}`)).to.match(/localhost/);
      expect(await outcome(server.url('tls://'))).to.match(/self-signed/);
    });

    it('connects to a host by its name', async () => {
      certify('DNS:localhost');
      const server = await nats(...tls);
      expect(await outcomeTrusting(`tls://localhost:${server.port}`)).to.equal('connected');
      expect(await outcomeTrusting(server.url('tls://'))).to.match(/127\.0\.0\.1/);
    });

    it('sends nothing to a server without TLS', async () => {
      const server = await nats('--user', 'ada', '--pass', 'word');
      expect(await outcomeTrusting(server.url('tls://ada:word@'))).to.match(/tls/);
    });
  });
});
