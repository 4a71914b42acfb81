import { expect } from 'chai';
import fc from 'fast-check';
import type { Recorded } from '../../src/domain/events.js';
import type { Commit } from '../../src/log/log.js';
import { runs } from '../support/lanes.js';
import { MemoryLog, type Step } from '../support/memoryLog.js';
import { ada, adaAndBob, bob, eve, eventsOf, openChat, send, settled, World } from './world.js';

/** How one append goes, how long it and the look-ups meanwhile take, and whether a fold follows it. */
interface Turn {
  readonly step: 'store' | 'lose' | 'lose to the same' | 'lose to a part' | 'die' | 'store and die';
  readonly appendTurns: number;
  readonly readTurns: number;
  readonly isFolded: boolean;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  step: fc.oneof(
    { weight: 4, arbitrary: fc.constant('store' as const) },
    {
      weight: 3,
      arbitrary: fc.constantFrom<Turn['step']>(
        'lose',
        'lose to the same',
        'lose to a part',
        'die',
        'store and die',
      ),
    },
  ),
  appendTurns: fc.nat(4),
  readTurns: fc.nat(6),
  isFolded: fc.boolean(),
});

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** One message as its client sees it. */
interface Sent {
  readonly sender: string;
  readonly roomId: string;
  readonly messageId: string;
  /** How long after the one before it is sent. */
  readonly pause: number;
  /** Sent once more after so many turns, though it may not be answered yet. */
  readonly again: number | null;
  seq?: number;
}

function stepOf({ step }: Turn): Step {
  switch (step) {
    case 'lose':
      return { kind: 'lose', leaves: () => [] };
    // As if another owner had been given the same commands.
    case 'lose to the same':
      return { kind: 'lose', leaves: ({ leaves }) => leaves };
    case 'lose to a part':
      return { kind: 'lose', leaves: ({ leaves }) => leaves.slice(0, Math.ceil(leaves.length / 2)) };
    default:
      return { kind: step };
  }
}

/** Plays the plan; every client sends again what was not answered, in its order, until all is. */
async function play(world: World, plan: readonly Turn[], messages: readonly Sent[]): Promise<void> {
  let played = 0;
  let death = () => {};
  world.log.script = async (commit: Commit): Promise<Step> => {
    const now = plan[played++];
    // Afterwards all goes well, and a fence does not die: it has no one to answer.
    if (!now || (commit.leaves.length === 0 && now.step.endsWith('die'))) return { kind: 'store' };
    world.slowReads = () => turns(now.readTurns);
    await turns(now.appendTurns);
    if (now.isFolded) void world.project();
    if (now.step.endsWith('die')) setImmediate(() => death());
    return stepOf(now);
  };
  for (;;) {
    const life = { isDead: false };
    const died = new Promise<'died'>((resolve) => {
      death = () => {
        life.isDead = true;
        resolve('died');
      };
    });
    const submit = async (sent: Sent) => {
      const { sender, messageId, roomId } = sent;
      const { message, moment } = await world.execute(send(sender, messageId, undefined, { roomId }));
      // Not before it is durable, and with what the log says.
      const there = eventsOf(world.log.commits())
        .slice(0, moment.size)
        .find((event) => event.type === 'MessageSent' && event.data.messageId === messageId);
      expect(there?.data).to.include({ seq: message.seq });
      expect(there?.recordedAt).to.equal(message.sentAt);
      sent.seq = message.seq;
    };
    const submitAll = async () => {
      const answers: Promise<void>[] = [];
      for (const sent of messages) {
        if (sent.seq !== undefined) continue;
        await turns(sent.pause);
        if (life.isDead) return;
        answers.push(submit(sent));
        const { again } = sent;
        if (again !== null) answers.push(turns(again).then(() => (life.isDead ? undefined : submit(sent))));
      }
      await Promise.all(answers);
    };
    if ((await Promise.race([submitAll(), died])) !== 'died') return;
    await world.restart();
  }
}

describe('whatever happens to the log and the process', () => {
  it('what is acknowledged happened exactly once, without a hole and in order', async () => {
    const who = fc.constantFrom(
      [ada, bob] as const,
      [bob, ada] as const,
      [ada, eve] as const,
      [eve, ada] as const,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(turn, { maxLength: 30 }),
        fc.array(fc.tuple(who, fc.nat(2), fc.option(fc.nat(12))), { maxLength: 60 }),
        async (plan, pairs) => {
          const world = await World.start(new MemoryLog());
          await world.execute(openChat(ada, bob));
          const { roomId: adaAndEve } = await world.execute(openChat(ada, eve));
          const messages = pairs.map(([[sender, other], pause, again], i): Sent => {
            const roomId = sender === eve || other === eve ? adaAndEve : adaAndBob;
            return { sender, roomId, messageId: `m${i}`, pause, again };
          });
          await play(world, plan, messages);
          await settled();

          const events = eventsOf(world.log.commits());
          for (const roomId of [adaAndBob, adaAndEve]) {
            const stream = events.filter((event) => event.stream === `room:${roomId}`);
            expect(stream.map(({ version }) => version)).to.deep.equal(stream.map((_, i) => i + 1));
            const inLog = stream.filter(
              (event): event is Recorded<'MessageSent'> => event.type === 'MessageSent',
            );
            expect(inLog.map(({ data }) => data.seq)).to.deep.equal(inLog.map((_, i) => i + 1));
            // In the order of the calls, which is each sender's and, in one process, everyone's.
            for (const sender of [ada, bob, eve]) {
              const mine = messages.filter((sent) => sent.roomId === roomId && sent.sender === sender);
              const ids = inLog.filter(({ actor }) => actor === sender).map(({ data }) => data.messageId);
              expect(ids).to.deep.equal(mine.map(({ messageId }) => messageId));
            }
          }
          expect(world.fatal).to.deep.equal([]);
          expect(events.map(({ offset }) => offset)).to.deep.equal(events.map((_, i) => i));
        },
      ),
      { numRuns: runs(150) },
    );
  });
});
