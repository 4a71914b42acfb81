import { expect } from 'chai';
import fc from 'fast-check';
import { runs } from '../support/lanes.js';
import { type Answer, otherRoom, roomId, SenderWorld } from './senderWorld.js';

const READ = ['MessagesRead'] as const;

/** The offsets of all requests. */
const sent = ({ got }: SenderWorld): (readonly number[])[] => got.map(({ offsets }) => offsets);

async function worldWith(wanted: Parameters<SenderWorld['subscribe']>[0] = {}): Promise<SenderWorld> {
  const world = new SenderWorld();
  await world.subscribe(wanted);
  await world.start();
  return world;
}

describe('the sender of a partition to a receiver', () => {
  it('sends each event by itself, in order, the next only after a 2xx', async () => {
    const world = await worldWith();
    let take = (_: Answer): void => {};
    world.answer = () => new Promise((resolve) => (take = resolve));
    world.append(READ, READ);
    world.append(READ);
    for (let n = 0; n < 3; n++) {
      await world.time.advance(10_000);
      expect(sent(world)).to.have.length(n);
      take(204);
      await world.time.advance(0);
    }
    expect(sent(world)).to.deep.equal([[0], [1], [2]]);
    expect(world.got.map(({ isList }) => isList)).to.deep.equal([false, false, false]);
    expect(world.sender.size).to.equal(3);
    expect(await world.store.deliveries('a')).to.have.nested.property('[0].size', 3);
  });

  it('tries again after 5 s, doubling to 1 h, without end, and sends nothing else meanwhile', async () => {
    const world = await worldWith();
    world.append(READ);
    world.answer = () => 503;
    world.append(READ);
    await world.time.advance(0);
    const times: number[] = [];
    for (let tries = 1; tries < 15; tries++) {
      const before = world.time.now();
      while (sent(world).length === tries) await world.time.advance(1000);
      times.push(Math.round((world.time.now() - before) / 1000));
    }
    expect(times).to.deep.equal([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600, 3600]);
    expect(new Set(sent(world).map(String))).to.have.property('size', 1);
    world.answer = () => 200;
    await world.time.advance(3_600_000);
    expect(sent(world).slice(-2)).to.deep.equal([[0], [1]]);
  });

  for (const answer of [301, 307, 400, 404, 500, 'unreachable', 'address', 'silence'] as const)
    it(`counts ${answer} as a failure, and stores it`, async () => {
      const world = await worldWith();
      world.answer = () => answer;
      world.append(READ);
      // The second of the other tries is after 5 s, the third after 10 s more.
      await world.time.advance(answer === 'silence' ? 15_000 : 14_000);
      const [delivery] = await world.store.deliveries('a');
      const status = answer === 'silence' ? 'timeout' : answer;
      expect(delivery?.size).to.equal(0);
      expect(delivery?.failing).to.include({ status, tries: answer === 'silence' ? 1 : 2 });
      world.answer = () => 200;
      await world.time.advance(60_000);
      expect(sent(world).at(-1)).to.deep.equal([0]);
      expect((await world.store.deliveries('a'))[0]).to.not.have.property('failing');
    });

  it('goes on waiting after a restart, and is not tried earlier', async () => {
    const world = await worldWith();
    world.answer = () => 500;
    world.append(READ);
    await world.time.advance(0);
    world.kill();
    await world.start();
    await world.time.advance(4900);
    expect(sent(world)).to.have.length(1);
    await world.time.advance(200);
    expect(sent(world)).to.have.length(2);
  });

  it('stores each place that was taken, and may lose it only with the power', async () => {
    const world = await worldWith();
    world.append(READ, READ, READ);
    await world.time.advance(0);
    world.kill();
    await world.start();
    expect(sent(world)).to.deep.equal([[0], [1], [2]]);
    world.losePower();
    await world.start();
    expect(sent(world)).to.deep.equal([[0], [1], [2], [0], [1], [2]]);
  });

  it('tells when the receiver wants no more', async () => {
    const world = await worldWith();
    world.answer = () => 410;
    world.append(READ);
    await world.time.advance(0);
    expect(world.gone).to.deep.equal(['a']);
  });

  it('sends what is selected alone, presence only where it is named', async () => {
    const world = await worldWith();
    world.append(READ, ['UserWentOnline'], READ);
    await world.time.advance(0);
    expect(sent(world)).to.deep.equal([[0], [2]]);
    const named = await worldWith({ types: ['UserWentOnline'] });
    named.append(READ, ['UserWentOnline'], READ);
    await named.time.advance(0);
    expect(sent(named)).to.deep.equal([[1]]);
    const ofRoom = await worldWith({ rooms: [roomId] });
    ofRoom.append(READ, ['MessagesRead', otherRoom], ['MessagesRead', roomId]);
    await ofRoom.time.advance(0);
    expect(sent(ofRoom)).to.deep.equal([[0], [2]]);
  });

  it('stores the place behind events that are not selected, after some time', async () => {
    const world = await worldWith({ types: ['MessageSent'] });
    for (let n = 0; n < 20; n++) world.append(READ);
    await world.time.advance(0);
    expect((await world.store.deliveries('a'))[0]?.size).to.equal(0);
    await world.time.advance(11_000);
    world.sender.noteTail(20);
    await world.time.advance(0);
    expect((await world.store.deliveries('a'))[0]?.size).to.equal(20);
    expect(sent(world)).to.deep.equal([]);
  });

  it('sends the same events in every try of a batch, also after a restart with more events', async () => {
    const world = await worldWith({ batch: 10 });
    world.answer = () => 500;
    world.append(READ, READ, READ);
    await world.time.advance(0);
    world.append(READ, READ);
    await world.time.advance(6000);
    world.kill();
    world.append(READ);
    await world.start();
    await world.time.advance(20_000);
    world.answer = () => 200;
    await world.time.advance(60_000);
    const all = sent(world);
    expect(all.slice(0, -1)).to.deep.equal(all.slice(0, -1).map(() => [0, 1, 2]));
    expect(all.length).to.be.at.least(4);
    expect(all.at(-1)).to.deep.equal([3, 4, 5]);
    expect(world.got.every(({ isList }) => isList)).to.equal(true);
  });

  it('keeps the events of a failed try also when the subscription was changed since', async () => {
    const world = await worldWith({ rooms: [roomId] });
    world.answer = () => 500;
    world.append(READ, ['MessagesRead', otherRoom], READ);
    await world.time.advance(0);
    const [now] = await world.store.list();
    if (!now) throw new Error('there is one');
    const { rooms: _, ...rest } = now;
    const changed = { ...rest, version: 2, batch: 10 };
    await world.store.replace(changed);
    world.sender.change(changed);
    world.answer = () => 200;
    await world.time.advance(5000);
    expect(sent(world)).to.deep.equal([[0], [0], [1, 2]]);
    expect(world.got.map(({ isList }) => isList)).to.deep.equal([false, false, true]);
  });

  it('goes on from another place that was stored, whatever was under way', async () => {
    const world = await worldWith();
    world.append(READ, READ, READ, READ);
    await world.time.advance(0);
    let take = (_: Answer): void => {};
    world.answer = () => new Promise((resolve) => (take = resolve));
    world.append(READ);
    await world.time.advance(0);
    const [now] = await world.store.list();
    if (!now) throw new Error('there is one');
    await world.store.put('a', 0, { history: world.log.history, size: 2 });
    await world.store.replace({ ...now, version: 2 });
    world.sender.change({ ...now, version: 2 });
    world.answer = () => 200;
    take(200);
    await world.time.advance(0);
    expect(sent(world)).to.deep.equal([[0], [1], [2], [3], [4], [2], [3], [4]]);
  });

  it('sends nothing while it is paused, and ends within 2 s when it is stopped', async () => {
    const world = await worldWith({ isPaused: true });
    world.append(READ);
    await world.time.advance(3_600_000);
    expect(sent(world)).to.deep.equal([]);
    const [now] = await world.store.list();
    if (!now) throw new Error('there is one');
    world.answer = () => 'silence';
    world.sender.change({ ...now, isPaused: false, version: 2 });
    await world.time.advance(0);
    expect(sent(world)).to.deep.equal([[0]]);
    let isStopped = false;
    const stopped = world.sender.stop().then(() => (isStopped = true));
    await world.time.advance(1900);
    expect(isStopped).to.equal(false);
    await world.time.advance(100);
    await stopped;
    // It was not taken, so that the next owner sends it again.
    expect((await world.store.deliveries('a'))[0]?.size).to.equal(0);
  });

  const answers = fc.constantFrom<Answer>(200, 200, 200, 204, 500, 302, 'unreachable', 'silence');
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('append' as const), events: fc.array(fc.boolean(), { maxLength: 6 }) }),
      fc.record({
        kind: fc.constant('answer' as const),
        answers: fc.array(answers, { minLength: 1, maxLength: 6 }),
      }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(0, 3000, 20_000, 3_600_000) }),
      fc.record({ kind: fc.constant('kill' as const), after: fc.nat(3), isPowerLost: fc.boolean() }),
    ),
    { maxLength: 40 },
  );

  it('skips nothing, keeps the order and sends one id with the same events, over any failures, kills and losses of power', () =>
    fc.assert(
      fc.asyncProperty(
        steps,
        fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
        async (script, batch) => {
          const world = await worldWith(batch === undefined ? {} : { batch });
          let wanted: number[] = [];
          let size = 0;
          const taken: number[] = [];
          let answers: Answer[] = [];
          const firstOf = new Map<number, string>();
          world.answer = (got) => {
            const [first = -1] = got.offsets;
            expect(firstOf.get(first) ?? String(got.offsets), 'the events of one id').to.equal(
              String(got.offsets),
            );
            firstOf.set(first, String(got.offsets));
            const answer = answers.shift() ?? 200;
            if (typeof answer === 'number' && answer < 300) taken.push(...got.offsets);
            return answer;
          };
          let killAfter: number | undefined;
          for (const step of script) {
            if (step.kind === 'append' && step.events.length > 0) {
              wanted = [...wanted, ...step.events.flatMap((isWanted, i) => (isWanted ? [size + i] : []))];
              size += step.events.length;
              world.append(
                ...step.events.map((isWanted) => (isWanted ? READ : (['UserWentOnline'] as const))),
              );
            } else if (step.kind === 'answer') answers = step.answers;
            else if (step.kind === 'pass') await world.time.advance(step.ms);
            else if (step.kind === 'kill') {
              for (killAfter = step.after; killAfter > 0; killAfter--) await Promise.resolve();
              if (step.isPowerLost) world.losePower();
              else world.kill();
              await world.start();
            }
          }
          answers = [];
          await world.time.advance(2 * 3_600_000);
          const once = taken.filter((offset, i) => taken.indexOf(offset) === i);
          expect(once, 'what was taken, without repeats').to.deep.equal(wanted);
        },
      ),
      { numRuns: runs(200) },
    ));
});
