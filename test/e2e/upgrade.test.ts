import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { EventLog } from '../../src/log/log.js';
import { openMongoLog } from '../../src/log/mongoLog.js';
import { eventually } from '../support/eventually.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { natsUrl } from '../support/nats.js';
import { newSeed, seeded } from '../support/random.js';
import { RawSocket } from '../support/rawSocket.js';
import { Conversation } from './upgrade/conversation.js';
import { NEW_TYPE, nextBuild } from './upgrade/nextBuild.js';
import { Place } from './upgrade/place.js';
import { WrittenTypes } from './upgrade/writtenTypes.js';

const PARTITIONS = 4;
const OLD_TYPE = 'MessagesRead';
const old = fileURLToPath(new URL('../../src/app/main.js', import.meta.url));

describe('a rolling upgrade: the build under test and a next one, on one MongoDB and one NATS', function () {
  this.timeout(180_000);
  let next: string;
  let places: readonly [Place, Place];
  let conversation: Conversation | undefined;
  let log: EventLog;
  let types: WrittenTypes;

  /** The log gets more events of the type than it had, in some partition. */
  const isWritten = async (type: string) => {
    const before = await types.of(type);
    await eventually(`${type} is written`, async () =>
      (await types.of(type)).some((count, partition) => count > (before[partition] ?? 0)),
    );
  };
  /** The same in every partition. */
  const isWrittenEverywhere = async (type: string) => {
    const before = await types.of(type);
    await eventually(`${type} is written in every partition`, async () =>
      (await types.of(type)).every((count, partition) => count > (before[partition] ?? 0)),
    );
  };
  const isNotWritten = async (type: string) =>
    expect(await types.of(type), `events of type ${type}`).to.deep.equal([0, 0, 0, 0]);
  const share = (...counts: readonly number[]) =>
    eventually(`the nodes own ${counts.join(' and ')} partitions`, async () =>
      (await Promise.all(places.map((place) => place.owned()))).every((owned, i) => owned === counts[i]),
    );

  before(async function () {
    if ((await mongoUrl()) === undefined || (await natsUrl()) === undefined) this.skip();
    next = await nextBuild();
  });

  const begin = async (...builds: readonly [string, string]) => {
    const url = await freshDatabase();
    const env = {
      MONGO_URL: url,
      NATS_URL: (await natsUrl()) ?? '',
      PARTITIONS: String(PARTITIONS),
      MASTER_KEY: randomBytes(32).toString('base64'),
      RATE_LIMIT: 'off',
    };
    places = [new Place('one', env), new Place('two', env)];
    // The first makes the log.
    for (const [i, place] of places.entries()) await place.run(builds[i] ?? old);
    log = await openMongoLog({ url });
    types = new WrittenTypes(log);
    conversation = await Conversation.begin(places, PARTITIONS, seeded(newSeed()));
    return conversation;
  };

  /** Nobody has missed anything, and nobody has seen what was not so. */
  const expectKept = async () => {
    expect(await conversation?.end()).to.deep.equal([]);
    const seconds = ((conversation?.longestPauseMs ?? 0) / 1000).toFixed(2);
    console.log(`      ${seconds} s without an acknowledged message in some room at most`);
  };

  afterEach(async () => {
    conversation?.close();
    conversation = undefined;
    await Promise.all((places ?? []).map((place) => place.end()));
    await log?.close();
  });

  it('goes forth, back and forth again under load; the new type is written when the last old node has gone', async () => {
    await begin(old, old);
    const [one, two] = places;
    await isWrittenEverywhere(OLD_TYPE);
    for (const build of [next, old, next]) {
      await one.run(build);
      await share(2, 2);
      await isWrittenEverywhere(OLD_TYPE);
      await isNotWritten(NEW_TYPE);
    }
    // What it does not know of the bus the old one has passed over.
    expect(two.server.log).to.include('dropped an unreadable message on');
    await two.run(next);
    await isWrittenEverywhere(NEW_TYPE);
    await expectKept();
  });

  it('leaves an old node that meets the new type aside, and goes on without it', async () => {
    const { token } = await begin(next, old);
    const [, two] = places;
    await share(2, 2);
    const socket = await RawSocket.open(two.wsUrl, token);
    // For so long that it is taken for dead: those who live all know the new type.
    process.kill(two.server.pid, 'SIGSTOP');
    await isWritten(NEW_TYPE);
    process.kill(two.server.pid, 'SIGCONT');
    expect(await socket.closed).to.equal(1012);
    expect(await two.failing()).to.equal('version');
    await share(4, 0);
    expect((await fetch(`${two.url}/health`)).ok).to.equal(true);
    await isWrittenEverywhere(NEW_TYPE);
    await two.run(next);
    await share(2, 2);
    await expectKept();
  });
});
