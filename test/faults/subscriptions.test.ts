import { expect } from 'chai';
import { hasEngine, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { deliveryRounds } from '../support/lanes.js';
import { type Device, newDevice, signUp } from '../support/people.js';
import { type Random, upTo, withSeed } from '../support/random.js';
import { type Answer, EGRESS, eventsIn, type Received, Receiver } from '../support/receiver.js';
import type { ServerProcess } from '../support/server.js';

/** Messages of a round, in each of two rooms, which are in different partitions where there are some. */
const A_ROUND = 4;

interface Taken {
  readonly partition: number;
  readonly offset: number;
  readonly text: string;
}

/** What a receiver has taken, by the rules of deliveries. */
class Inbox {
  readonly taken: Taken[] = [];
  /** The bodies by id, as the first try had them. */
  readonly #events = new Map<string, string>();

  /** Fails for an id with other events than before. */
  see({ id, json }: Received): Taken[] {
    const events = eventsIn({ json });
    const offsets = events.map(({ offset }) => offset).join();
    expect(this.#events.get(id) ?? offsets, `the events of ${id}`).to.equal(offsets);
    this.#events.set(id, offsets);
    return events.map(({ partition, offset, data }) => ({ partition, offset, text: String(data.text) }));
  }

  /** Without repeats, in the order in which each was taken first. */
  get once(): Taken[] {
    const seen = new Set<string>();
    return this.taken.filter(({ partition, offset }) => {
      const place = `${partition}/${offset}`;
      return !seen.has(place) && seen.add(place);
    });
  }
}

/** The receiver dies before it takes a delivery, or after and before it answers; or it answers. */
const answerBy =
  (inbox: Inbox, random: Random) =>
  (received: Received): Answer => {
    const events = inbox.see(received);
    const fate = upTo(20, random);
    if (fate === 1) return (response) => void response.destroy();
    if (fate === 2) return 500;
    inbox.taken.push(...events);
    return fate === 3 ? (response) => void response.destroy() : 200;
  };

for (const [name, batch] of [
  ['one by one', undefined],
  ['in lists', 7],
] as const)
  describe(`deliveries ${name}, with receiver and server killed again and again`, function () {
    this.timeout(3_600_000);
    let server: ServerProcess | undefined;
    const devices: Device[] = [];
    const inbox = new Inbox();
    let receiver: Receiver | undefined;

    before(async function () {
      if (!(await hasEngine('sqlite'))) this.skip();
    });
    after(async () => {
      for (const device of devices) device.close();
      await server?.stop();
      await receiver?.close();
    });

    // Both together make the rounds.
    const rounds = Math.ceil(deliveryRounds / 2);
    it(`skip nothing and keep the order of a partition, over ${rounds} rounds`, () =>
      withSeed(async (random) => {
        const running = await startFresh('sqlite', {
          env: { ...EGRESS, RATE_LIMIT: 'off', PARTITIONS: '2' },
        });
        server = running;
        const host = await HostServer.of(running);
        const [ada, ben, eve] = [
          await signUp(running, 'ada'),
          await signUp(running, 'ben'),
          await signUp(running, 'eve'),
        ];
        const sender = await newDevice(running, ada);
        devices.push(sender);
        const rooms = [await sender.chatWith(ben), await sender.chatWith(eve)];
        const inboxes = await Receiver.start();
        receiver = inboxes;
        inboxes.answer = answerBy(inbox, random);
        const wanted = { url: inboxes.url, types: ['MessageSent'] };
        await host.subscribe('all', batch === undefined ? wanted : { ...wanted, batch });
        const texts: string[] = [];

        for (let round = 1; round <= rounds; round++) {
          const sent = rooms.flatMap((roomId, room) =>
            Array.from({ length: A_ROUND }, (_, n) => {
              const text = `round ${round}, room ${room}, message ${n}`;
              texts.push(text);
              return sender.say(roomId, text);
            }),
          );
          const said = Promise.all(sent);
          said.catch(() => {});
          const before = inbox.taken.length;
          const dies = before + upTo(2 * A_ROUND, random);
          await Promise.race([said, eventually('some are taken', () => inbox.taken.length >= dies)]);
          for (let turns = upTo(20, random); turns > 0; turns--) await new Promise(setImmediate);
          const isServerKilled = upTo(4, random) === 1;
          if (isServerKilled) await running.kill('SIGKILL');
          if (!isServerKilled || upTo(2, random) === 1) {
            await inboxes.close();
            await inboxes.open();
          }
          if (isServerKilled) await running.start();
          await said;
          let looks = 0;
          await eventually('all are taken', async () => {
            if (inbox.once.length >= texts.length) return true;
            // It would be tried again by itself, in seconds.
            if (looks++ % 5 === 0) await host.ask('POST /server/subscriptions/all/resume');
            return false;
          });
        }
        const { once } = inbox;
        expect(once.map(({ text }) => text)).to.have.members(texts);
        for (const partition of [0, 1]) {
          const offsets = once.filter((one) => one.partition === partition).map(({ offset }) => offset);
          expect(offsets, `partition ${partition}`).to.deep.equal([...offsets].sort((a, b) => a - b));
        }
      }));
  });
