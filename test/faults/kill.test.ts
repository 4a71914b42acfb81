import { expect } from 'chai';
import { allEngines, hasEngine, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { kills } from '../support/lanes.js';
import { parley } from '../support/parley.js';
import { type Device, newDevice, signUp } from '../support/people.js';
import { type Random, upTo, withSeed } from '../support/random.js';
import type { ServerProcess } from '../support/server.js';
import { closeAll, FOR_EVER, GroupScript, newSomebody, type Somebody } from './groupScript.js';
import { expectWhole, Ledger } from './ledger.js';

/** Messages are under way in each lane one at a time, so that each kill finds some in every state. */
const LANES = 6;
const A_LANE = 4;
/** Groups whose members come and go, write, edit, delete and react meanwhile. */
const GROUPS = 3;
const PEOPLE = 8;
const STEPS_A_GROUP = 4;
/** The messages of a round between two people, and all its commands. */
const A_ROUND = LANES * A_LANE;
const COMMANDS_A_ROUND = A_ROUND + GROUPS * STEPS_A_GROUP;

/** Two people: one writes, and of the other's devices one is away at each kill. */
interface Pair {
  readonly roomId: string;
  readonly sender: Device;
  readonly stays: Device;
  readonly leaves: Device;
}

for (const engine of allEngines) {
  describe(`a server killed again and again while people write (${engine})`, function () {
    this.timeout(1_800_000);
    let server: ServerProcess | undefined;
    const devices: Device[] = [];
    const people: Somebody[] = [];

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });

    after(async () => {
      for (const device of devices) device.close();
      closeAll(people);
      await server?.stop();
    });

    async function pairUp(running: ServerProcess): Promise<Pair> {
      const [ada, ben] = [await signUp(running, 'ada'), await signUp(running, 'ben')];
      const sender = await newDevice(running, ada);
      // One is connected through it all; the other is away at each kill and resumes after it.
      const [stays, leaves] = [await newDevice(running, ben), await newDevice(running, ben)];
      devices.push(sender, stays, leaves);
      await Promise.all(devices.map(({ client }) => client.ready));
      return { roomId: await sender.chatWith(ben), sender, stays, leaves };
    }

    it(`keeps all that was acknowledged, once and in its place, over ${kills} kills`, () =>
      withSeed(async (random) => {
        const running = await startFresh(engine, { env: { RATE_LIMIT: 'off', CONTACTS: 'open' } });
        server = running;
        const pair = await pairUp(running);
        const { roomId, sender, stays, leaves } = pair;
        const newcomers = Array.from({ length: PEOPLE }, (_, n) => newSomebody(running, `person-${n}`));
        people.push(...(await Promise.all(newcomers)));
        const ledger = new Ledger();
        const cast = { people, random, onAcknowledged: () => ledger.count() };
        const groups = await Promise.all(Array.from({ length: GROUPS }, () => GroupScript.create(cast)));

        for (let round = 1; round <= kills; round++) {
          for (const { watcher } of people) if (upTo(2, random) === 0) watcher.close();
          const written = Promise.all([writePair(pair, ledger, round), ...groups.map(takeSteps)]);
          await killMeanwhile(running, written, ledger, random);
          await Promise.all([written, leaves.reopen()]);

          const history = await sender.history(roomId, ledger.revision);
          expect(history).to.have.length(round * A_ROUND);
          ledger.check(roomId, history);
          await leaves.client.ready;
          await eventually('the device that was away has caught up', () => {
            return leaves.pushed.length >= history.length;
          });
          await Promise.all(groups.map((group) => group.compare()));
        }
        // In order, without gap or duplicate, over all its connections.
        expectWhole(leaves.pushed);
        for (const { pushed } of [sender, stays]) {
          const seqs = pushed.map(({ seq }) => seq);
          expect(seqs).to.deep.equal([...new Set(seqs)].sort((a, b) => a - b));
        }
        const known = stays.timeline(roomId);
        expect(known.messages.length).to.be.at.least((kills / 2) * A_ROUND);
        await expectDeletedNowhere(running, groups);
      }));
  });
}

/** One round of messages between two people. */
async function writePair({ roomId, sender, stays, leaves }: Pair, ledger: Ledger, round: number) {
  leaves.close();
  const from = round % 2 ? sender : stays;
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (let n = 1; n <= A_LANE; n++)
      await ledger.send(from, roomId, `round ${round}, lane ${lane}, message ${n}`);
  });
  await Promise.all(lanes);
}

async function takeSteps(group: GroupScript): Promise<void> {
  for (let n = 1; n <= STEPS_A_GROUP; n++) await group.step();
}

/** Kills the server after some commands of a round, and starts it again. */
async function killMeanwhile(
  server: ServerProcess,
  written: Promise<unknown>,
  ledger: Ledger,
  random: Random,
): Promise<void> {
  const dies = ledger.acknowledged + upTo(COMMANDS_A_ROUND, random);
  // The caller looks at it, but it may fail before that.
  written.catch(() => {});
  await Promise.race([ledger.until(dies), written]);
  // Between the answer to one and the append of the next.
  for (let turns = upTo(20, random); turns > 0; turns--) await new Promise(setImmediate);
  await server.kill('SIGKILL');
  await server.start();
}

/** No member and no auditor reads a text of a message that was deleted; other texts they do. */
async function expectDeletedNowhere(server: ServerProcess, groups: readonly GroupScript[]): Promise<void> {
  const [auditor] = groups[0]?.people ?? [];
  if (!auditor) throw new Error('a group has people');
  const ran = await parley(['role', 'auditor', auditor.username], server.settings);
  expect(ran.code, ran.err).to.equal(0);
  for (const { model, people } of groups) {
    const { roomId } = model;
    const read = await ask(server.url, `GET /audit/events/stream?stream=room:${roomId}`, auditor);
    expect(read.status, read.text).to.equal(200);
    for (const { seq, messageId, texts, deletedBy } of model.said) {
      const isDeleted = deletedBy !== undefined;
      for (const { text } of texts)
        expect(read.text.includes(text), `an auditor reads ${text}`).to.equal(!isDeleted);
      const reader = people.find(({ userId }) => model.canSee(userId, seq));
      if (!reader) continue;
      const { edits } = await reader.client.request('get edits', { roomId, messageId }, FOR_EVER);
      const expected = isDeleted ? [] : texts.map(({ text }) => text);
      expect(edits.map(({ message }) => message)).to.deep.equal(expected);
    }
  }
}
