import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { allEngines, hasEngine, leftOutOnNodes, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { isSoak } from '../support/lanes.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { DidNotStart, type ServerProcess, startServer } from '../support/server.js';
import { Newcomer, say, talk } from './newcomer.js';
import { inShortSession } from './shortSession.js';

type Env = Readonly<Record<string, string>>;

/** What a server that does not start says. */
async function failure(start: Promise<ServerProcess>): Promise<string> {
  try {
    await (await start).stop();
  } catch (error) {
    if (!(error instanceof DidNotStart)) throw error;
    expect(error.exit.code, error.log).to.be.a('number').that.is.above(0);
    return error.log.trim();
  }
  throw new Error('it should not have started');
}

describe('settings', () => {
  const ORIGINS = 'https://chat.example,http://localhost:5173,capacitor://app';
  let server: ServerProcess;
  before(async () => {
    server = await startServer({ engine: 'sqlite', env: { ALLOWED_ORIGINS: ORIGINS } });
  });
  after(() => server.stop());

  // Each bad one is in test/base/settings.test.ts.
  it('stop the start when they are bad, with one line that names the one', async () => {
    const said = await failure(startServer({ engine: 'sqlite', env: { PARTITIONS: '65' } }));
    expect(said.split('\n')).to.have.length(1);
    expect(said).to.include('PARTITIONS');
  });

  it('stop the start with the name of the one that this computer does not allow', async () => {
    const file = join(server.dataDir, 'master.key');
    const impossible: Env[] = [
      { PORT: new URL(server.url).port },
      { HOST: '192.0.2.1' },
      { METRICS_PORT: new URL(server.url).port },
      { DATA_DIR: file },
      { DATA_DIR: join(file, 'below') },
      { DATA_DIR: `/tmp/${'d'.repeat(100)}` },
    ];
    for (const env of impossible) {
      const lines = (await failure(startServer({ engine: 'sqlite', env }))).split('\n');
      const fatal = lines.filter((line) => !/too cheap|created a new log/.test(line));
      expect(fatal, JSON.stringify(env)).to.have.length(1);
      const [name] = Object.keys(env);
      expect(JSON.parse(fatal[0] ?? '').msg).to.match(new RegExp(`^${name}: `));
    }
  });

  it('let PORT=0 pick a free port, logged in a line once ready, and log in JSON lines', async () => {
    const other = await startServer({ engine: 'sqlite' });
    expect(server.url).to.not.equal(other.url);
    for (const each of [server, other]) {
      expect((await fetch(`${each.url}/ready`)).status).to.equal(200);
      const lines = each.log.trim().split('\n');
      const said = lines.map((line): string => JSON.parse(line).msg);
      expect(said.filter((line) => line === `listening on ${each.url}`)).to.have.length(1);
      // The tests' own cost.
      expect(said.some((line) => line.includes('BCRYPT_COST'))).to.equal(true);
    }
    expect(await other.stop()).to.deep.equal({ code: 0, signal: null });
  });

  it('let pages of ALLOWED_ORIGINS and of the own host connect, compared whole, and clients that are no browsers', async () => {
    const connects = (origin: string): Promise<boolean> =>
      RawSocket.connect(server.wsUrl, { origin }).then(
        () => true,
        (error: Error) => {
          expect(error.message).to.include('403');
          return false;
        },
      );
    for (const origin of [...ORIGINS.split(','), 'HTTPS://CHAT.example:443', server.url])
      expect(await connects(origin), origin).to.equal(true);
    const others = ['http://chat.example', 'https://chat.example:8443', 'https://a.chat.example', 'null'];
    for (const origin of [...others, 'http://localhost', 'capacitor://localhost'])
      expect(await connects(origin), origin).to.equal(false);
    await RawSocket.connect(server.wsUrl);
  });

  it('make DATA_DIR with mode 0700 and a master key 0600 of 32 bytes, kept over starts', async () => {
    const keyFile = join(server.dataDir, 'master.key');
    const mode = (path: string): number => statSync(path).mode & 0o777;
    expect([mode(server.dataDir), mode(keyFile)]).to.deep.equal([0o700, 0o600]);
    const key = readFileSync(keyFile, 'utf8');
    expect(Buffer.from(key, 'base64')).to.have.length(32);
    await server.restart();
    expect(readFileSync(keyFile, 'utf8')).to.equal(key);
  });
});

/** All that has ends, at its lower and its upper one. test/base/settings.test.ts has what lies beyond. */
const lowest: Env = {
  ...{ PORT: '0', HOST: '::1', PARTITIONS: '1', TRUST_PROXY: '0', BCRYPT_COST: '4', LOG_ORIGIN: 'p' },
  ...{
    SESSION_TTL: '1s',
    RATE_LIMIT: '1:1',
    AUTH_RATE_LIMIT: '1:1',
    GROUP_SIZE: '2',
    PRESENCE_GRACE: '0s',
    LOG_LEVEL: 'info',
    METRICS_PORT: '0',
  },
};
const highest: Env = {
  ...{ PORT: '0', HOST: '0.0.0.0', PARTITIONS: '64', TRUST_PROXY: '32' },
  ...{ SESSION_TTL: '3650d', RATE_LIMIT: '1000000:1000000', AUTH_RATE_LIMIT: '1:1000000' },
  ...{ GROUP_SIZE: '1000', PRESENCE_GRACE: '30d', LOG_LEVEL: 'trace', LOG_ORIGIN: 'p'.repeat(128) },
  METRICS_PORT: '0',
};

for (const engine of allEngines) {
  describe(`settings at the ends of their ranges (${engine})`, function () {
    this.timeout(240_000);
    let server: ServerProcess;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });
    afterEach(() => server?.stop());

    it('work: the lowest', async () => {
      server = await startFresh(engine, { env: lowest });
      const person = { username: 'ada', password: 'a mild autumn evening' };
      const rest = new Rest(server.url);
      await rest.signUp(person.username, person.password);
      const refused = await ask(server.url, 'POST /user/signin', { json: person });
      expect([refused.status, refused.body.code]).to.deep.equal([429, 'rate_limited']);
      expect(refused.body.retryAfterMs).to.be.within(1, 60_000);
      await server.stop();
      await server.start({ AUTH_RATE_LIMIT: 'off' });
      const { used } = await inShortSession(server, person, 1000, async (token) => {
        const phone = await RawSocket.open(server.wsUrl, token);
        const answers = [1, 2, 3].map(() => phone.answer(phone.send('notify online', {})));
        return { phone, codes: (await Promise.all(answers)).map(({ error }) => error?.code) };
      });
      expect(used.codes).to.include(undefined).and.to.include('rate_limited');
      expect(await used.phone.closed).to.equal(4401);
    });

    it('work: the highest', async () => {
      server = await startFresh(engine, { env: highest });
      const { ada, ben, phone, tablet, roomId } = await talk(server);
      await tablet.close();
      expect((await say(phone, roomId, 'still here')).seq).to.equal(2);
      expect(await phone.request('get online info', { recipientId: ben.userId })).to.include({
        isOnline: true,
      });
      await server.stop();
      // Apart from the rest, as a hash of this cost takes some seconds. The threads that hash know no engine.
      if (engine === 'mongodb' && !isSoak) return;
      await server.start({ BCRYPT_COST: '15' });
      const patient = new Rest(server.url, { timeoutMs: 200_000 });
      const again = await patient.signIn(ada.user.username ?? '', ada.password);
      const year = new Date().getUTCFullYear();
      expect(new Date(again.expiresAt).getUTCFullYear()).to.be.within(year + 9, year + 10);
      await RawSocket.open(server.wsUrl, again.token);
    });
  });
}

leftOutOnNodes('settings', 'each node reads its own, as a lone server does');
for (const engine of allEngines) {
  describe(`settings that go with the data (${engine})`, () => {
    let server: ServerProcess;
    const key = randomBytes(32).toString('base64');

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { MASTER_KEY: key } });
      await signUp(server, 'ada');
      await server.stop();
    });
    after(() => server?.stop());

    const refused = async (env: Env): Promise<string> => {
      const said = await failure(server.start(env));
      const lines = said.split('\n').filter((line) => !line.includes('too cheap'));
      expect(lines).to.have.length(1);
      return lines.join();
    };

    it('stop the start when PARTITIONS is not what the log was created with', async () => {
      const said = await refused({ PARTITIONS: '5' });
      expect(said)
        .to.include('PARTITIONS')
        .and.to.include(engine === 'sqlite' ? 'with 1 ' : 'with 8 ');
    });

    it('stop the start when MASTER_KEY is another one', async () => {
      expect(await refused({ MASTER_KEY: randomBytes(32).toString('base64') })).to.include('MASTER_KEY');
    });

    it('start it again when they are as they were', async () => {
      await server.start({ PARTITIONS: engine === 'sqlite' ? '1' : '8' });
      const ben = await Newcomer.at(server);
      await (await ben.device()).close();
    });
  });
}
