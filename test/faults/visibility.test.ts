import { hasEngine, type Kind } from '../support/engines.js';
import { isSoak } from '../support/lanes.js';
import { freshDatabase } from '../support/mongo.js';
import { natsUrl } from '../support/nats.js';
import type { Place } from '../support/people.js';
import { upTo, withSeed } from '../support/random.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { closeAll, GroupScript, newSomebody, type Somebody } from './groupScript.js';

const PEOPLE = 12;
const GROUPS = 3;
const STEPS = isSoak ? 2000 : 48;
const KILLS = isSoak ? 20 : 2;

/** Somebody's device goes away, or comes back. */
function toggle(somebody: Somebody | undefined): void {
  if (somebody?.watcher.isOpen) somebody.watcher.close();
  else somebody?.watcher.open();
}

for (const kind of ['sqlite', 'nodes'] as const) {
  describe(`who may see what, of people who come and go (${kind})`, function () {
    this.timeout(1_800_000);
    const servers: ServerProcess[] = [];
    let people: Somebody[] = [];

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
    });
    after(async () => {
      closeAll(people);
      await Promise.all(servers.map((server) => server.kill()));
    });

    it(`is what a model says, for ${PEOPLE} people in ${GROUPS} groups, over ${KILLS} kills`, () =>
      withSeed(async (random) => {
        servers.push(...(await startAll(kind)));
        let turn = 0;
        const next = (): ServerProcess => {
          const server = servers[turn++ % servers.length];
          if (!server) throw new Error('no server was started');
          return server;
        };
        const place: Place = {
          get url() {
            return next().url;
          },
          get wsUrl() {
            return next().wsUrl;
          },
        };
        people = await Promise.all(
          Array.from({ length: PEOPLE }, (_, n) => newSomebody(place, `person-${n}`)),
        );
        const cast = { people, random };
        const groups = await Promise.all(Array.from({ length: GROUPS }, () => GroupScript.create(cast)));
        const step = () => groups[upTo(GROUPS, random)]?.step();
        for (let n = 1; n <= STEPS; n++) {
          await step();
          if (upTo(12, random) === 0) toggle(people[upTo(PEOPLE, random)]);
          if (n % Math.floor(STEPS / (KILLS + 1)) !== 0) continue;
          const server = next();
          // With several nodes the others go on meanwhile.
          const goesOn = step();
          await server.kill();
          await server.start();
          await goesOn;
        }
        for (const group of groups) await group.compare();
      }));
  });
}

async function startAll(kind: Kind): Promise<ServerProcess[]> {
  const options = { env: { RATE_LIMIT: 'off', CONTACTS: 'open' } };
  if (kind !== 'nodes') return [await startServer({ engine: 'sqlite', ...options })];
  const env = {
    ...options.env,
    MONGO_URL: await freshDatabase(),
    NATS_URL: (await natsUrl()) ?? '',
    MASTER_KEY: Buffer.alloc(32, 5).toString('base64'),
  };
  const first = await startServer({ engine: 'mongodb', env });
  return [first, await startServer({ engine: 'mongodb', env })];
}
