import { expect } from 'chai';
import type { Bus, CommitFrame, Note, Reply } from '../../src/cluster/bus.js';
import { ada, allOf, bob, frameOf, messageLeaf, onlineLeaf } from './busFrames.js';

/** Nodes of one or several logs. */
export interface BusWorld {
  /** Opens a connected node of the named log. */
  open(log?: string): Promise<Bus>;
  /** How long to wait for an expected message. */
  readonly patienceMs: number;
}

/** The promises of a bus: `alone` for a single node, `together` between nodes. */
type Promises = Readonly<Record<string, (world: BusWorld) => Promise<void>>>;

const LONG_MS = 30_000;
const rebalance: Note = { kind: 'rebalance' };
const requestProgress = (size: number): Note => ({ kind: 'requestProgress', partition: 0, size });

/** Waits for the condition. Rejects after the world's patience. */
async function until(world: BusWorld, what: string, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + world.patienceMs; !condition(); ) {
    if (performance.now() > end) throw new Error(`not seen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function framesOf(bus: Bus): CommitFrame[] {
  const seen: CommitFrame[] = [];
  bus.subscribe((frame) => seen.push(frame));
  return seen;
}

function notesOf(bus: Bus): [Note, string][] {
  const heard: [Note, string][] = [];
  bus.onNote((note, from) => heard.push([note, from]));
  return heard;
}

/** Sends many requests at once, and answers each with its own number, the last first. */
async function manyAtOnce(
  asker: Bus,
  asked: Bus,
  count: number,
): Promise<{ begun: unknown[]; replies: Reply[] }> {
  const begun: unknown[] = [];
  const answer: (() => void)[] = [];
  asked.serve((body) => {
    begun.push(body);
    return new Promise((resolve) => {
      if (answer.push(() => resolve(body)) === count) for (const each of answer.reverse()) each();
    });
  });
  const numbers = Array.from({ length: count }, (_, i) => ({ number: i }));
  const replies = await Promise.all(numbers.map((body) => asker.request(asked.node, body, LONG_MS)));
  return { begun, replies };
}

async function keepsTheOrder(asker: Bus, asked: Bus): Promise<void> {
  const { begun, replies } = await manyAtOnce(asker, asked, 500);
  const numbers = Array.from({ length: 500 }, (_, i) => ({ number: i }));
  expect(begun).to.deep.equal(numbers);
  expect(replies).to.deep.equal(numbers.map((reply) => ({ reply })));
}

async function takesNoMoreThanItCanHold(asker: Bus, asked: Bus): Promise<void> {
  let begun = 0;
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  asked.serve(async () => {
    begun++;
    await gate;
    return true;
  });
  const asking = Array.from({ length: 1100 }, () => asker.request(asked.node, {}, LONG_MS));
  const refused = await Promise.race(asking);
  go();
  const replies = await Promise.all(asking);
  expect(refused).to.equal('undelivered');
  expect(begun).to.be.within(1024, 1099);
  expect(replies.filter((reply) => reply === 'undelivered')).to.have.length(1100 - begun);
}

export const alone: Promises = {
  async 'delivers a commit to its own node at once, in the order of subscription'({ open }) {
    const bus = await open();
    const said: string[] = [];
    bus.subscribe((frame) => said.push(`first ${frame.position}`));
    bus.subscribe((frame) => said.push(`second ${frame.position}`));
    bus.publish(frameOf(1, [messageLeaf(1, 'text')]));
    bus.publish(frameOf(2, []));
    expect(said).to.deep.equal(['first 1', 'second 1', 'first 2', 'second 2']);
  },

  async 'delivers nothing to an ended subscription'({ open }) {
    const bus = await open();
    const seen: number[] = [];
    const end = bus.subscribe(({ position }) => seen.push(position));
    bus.publish(frameOf(1, []));
    end();
    bus.publish(frameOf(2, []));
    expect(seen).to.deep.equal([1]);
  },

  async 'answers its own requests in the order of the calls'({ open }) {
    const bus = await open();
    await keepsTheOrder(bus, bus);
  },

  async 'reports undelivered without a node or a handler'({ open }) {
    const bus = await open();
    expect(await bus.request(ada, {}, LONG_MS)).to.equal('undelivered');
    expect(await bus.request(bus.node, {}, LONG_MS)).to.equal('undelivered');
    bus.serve(async () => true)();
    expect(await bus.request(bus.node, {}, LONG_MS)).to.equal('undelivered');
  },

  async 'accepts one request handler at most'({ open }) {
    const bus = await open();
    const end = bus.serve(async () => 'first');
    expect(() => bus.serve(async () => 'second')).to.throw();
    end();
    bus.serve(async () => 'third');
    end();
    expect(await bus.request(bus.node, {}, LONG_MS)).to.deep.equal({ reply: 'third' });
  },

  async 'limits the open requests of its own node'({ open }) {
    const bus = await open();
    await takesNoMoreThanItCanHold(bus, bus);
  },

  async 'reports that it is connected'({ open }) {
    expect((await open()).isConnected).to.equal(true);
  },

  async 'delivers nothing once it is closed'({ open }) {
    const bus = await open();
    const seen = framesOf(bus);
    bus.serve(async () => true);
    await bus.close();
    bus.publish(frameOf(1, []));
    bus.broadcast(rebalance);
    expect(seen).to.deep.equal([]);
    expect(await bus.request(bus.node, {}, LONG_MS)).to.equal('undelivered');
    await bus.close();
  },
};

export const together: Promises = {
  async 'delivers a commit to every node once, unchanged'(world) {
    const [one, other, third] = [await world.open(), await world.open(), await world.open()];
    const seen = [one, other, third].map(framesOf);
    const leaves = [messageLeaf(1, 'a\u0301 \u{1f600} "x" \\n \u2028'), messageLeaf(2, ''), onlineLeaf(ada)];
    const frames = [frameOf(1, leaves), frameOf(2, []), frameOf(3, [onlineLeaf(bob)])];
    for (const frame of frames) one.publish(frame);
    for (const each of seen) {
      await until(world, 'the last commit', () => each.at(-1)?.position === 3);
      expect(each.map(allOf)).to.deep.equal(frames.map(allOf));
    }
    expect(seen[1]?.[0]?.receivers).to.deep.equal({ concerns: [ada, bob], subjects: [ada], profiles: [] });
    expect(seen[1]?.[0]?.leaves).to.deep.equal(leaves);
  },

  async 'delivers the commits of a node in order'(world) {
    const [one, other] = [await world.open(), await world.open()];
    const seen = framesOf(other);
    for (let position = 1; position <= 500; position++)
      one.publish(frameOf(position, [messageLeaf(position, 'x'.repeat(position))]));
    await until(world, 'the last commit', () => seen.at(-1)?.position === 500);
    expect(seen.map(({ position }) => position)).to.deep.equal(Array.from({ length: 500 }, (_, i) => i + 1));
  },

  async 'delivers a note with its sender to every other node once'(world) {
    const [one, other, third] = [await world.open(), await world.open(), await world.open()];
    const heard = [one, other, third].map(notesOf);
    one.broadcast(requestProgress(1));
    for (const each of heard.slice(1)) await until(world, 'the first note', () => each.length > 0);
    other.broadcast(requestProgress(2));
    await until(world, 'the answer', () => heard[0]?.at(-1)?.[1] === other.node);
    await until(world, 'the second note', () => heard[2]?.at(-1)?.[1] === other.node);
    expect(heard[0]).to.deep.equal([[requestProgress(2), other.node]]);
    expect(heard[1]).to.deep.equal([[requestProgress(1), one.node]]);
    expect(heard[2]).to.deep.equal([
      [requestProgress(1), one.node],
      [requestProgress(2), other.node],
    ]);
  },

  async 'delivers every kind of note unchanged'(world) {
    const [one, other] = [await world.open(), await world.open()];
    const heard = notesOf(other);
    const notes: Note[] = [
      { kind: 'logTails', tails: [[0, 5, 9]] },
      rebalance,
      { kind: 'progress', tables: ['chats_v1', 'users_v1'], advances: [[1, 2]] },
      requestProgress(3),
      { kind: 'revokedSessions', sessions: ['a', 'b'] },
      { kind: 'typing', to: [bob], roomId: ada, userId: ada, isTyping: true },
    ];
    for (const note of notes) one.broadcast(note);
    await until(world, 'the last note', () => heard.length >= notes.length);
    expect(heard).to.deep.equal(notes.map((note) => [note, one.node]));
  },

  async 'delivers requests in the order of the calls, and each reply to its own request'(world) {
    await keepsTheOrder(await world.open(), await world.open());
  },

  async 'passes the sender of a request'({ open }) {
    const [one, other] = [await open(), await open()];
    other.serve(async (body, from) => ({ body, from }));
    expect(await one.request(other.node, { a: [1, null, 'ü'] }, LONG_MS)).to.deep.equal({
      reply: { body: { a: [1, null, 'ü'] }, from: one.node },
    });
  },

  async 'limits the open requests of other nodes'({ open }) {
    await takesNoMoreThanItCanHold(await open(), await open());
  },

  async 'reports unanswered, never undelivered, for a delivered request without a reply'({ open }) {
    const [one, other] = [await open(), await open()];
    const taken: unknown[] = [];
    other.serve((body) => {
      taken.push(body);
      return body === 'fail' ? Promise.reject(new Error('on purpose')) : new Promise(() => {});
    });
    expect(await one.request(other.node, 'fail', LONG_MS)).to.equal('unanswered');
    expect(await one.request(other.node, 'wait', 50)).to.equal('unanswered');
    expect(taken).to.deep.equal(['fail', 'wait']);
  },

  async 'reports undelivered for a node that has gone'({ open }) {
    const [one, other] = [await open(), await open()];
    other.serve(async () => true);
    expect(await one.request(other.node, {}, LONG_MS)).to.deep.equal({ reply: true });
    await other.close();
    expect(await one.request(other.node, {}, LONG_MS)).to.equal('undelivered');
  },

  async 'continues after a message that is too large'(world) {
    const [one, other] = [await world.open(), await world.open()];
    const seen = framesOf(other);
    const heard = notesOf(other);
    const big = 'x'.repeat(2 ** 21);
    other.serve(async (body) => (body === 'big' ? big : body));
    one.publish(frameOf(1, [messageLeaf(1, big)]));
    one.broadcast({ kind: 'revokedSessions', sessions: [big] });
    expect(await one.request(other.node, big, LONG_MS)).to.equal('undelivered');
    expect(await one.request(other.node, 'big', LONG_MS)).to.equal('unanswered');
    one.publish(frameOf(2, []));
    one.broadcast(rebalance);
    expect(await one.request(other.node, 'small', LONG_MS)).to.deep.equal({ reply: 'small' });
    await until(world, 'the next note', () => heard.length > 0);
    expect(heard).to.deep.equal([[rebalance, one.node]]);
    expect(seen.map(({ position }) => position)).to.deep.equal([2]);
  },

  async 'keeps logs apart'(world) {
    const [one, other, stranger] = [await world.open(), await world.open(), await world.open('another')];
    const [seen, heard] = [framesOf(stranger), notesOf(stranger)];
    const known = notesOf(other);
    stranger.serve(async () => true);
    one.publish(frameOf(1, []));
    one.broadcast(rebalance);
    expect(await one.request(stranger.node, {}, LONG_MS)).to.equal('undelivered');
    await until(world, 'the note where it belongs', () => known.length === 1);
    const friend = await world.open('another');
    friend.broadcast(requestProgress(1));
    await until(world, 'a note of its own log', () => heard.some(([{ kind }]) => kind === 'requestProgress'));
    expect([seen, heard]).to.deep.equal([[], [[requestProgress(1), friend.node]]]);
  },

  async 'delivers what was published before it closes'(world) {
    const [one, other] = [await world.open(), await world.open()];
    const seen = framesOf(other);
    for (let position = 1; position <= 100; position++)
      one.publish(frameOf(position, [messageLeaf(1, 'text')]));
    await one.close();
    await until(world, 'the last commit', () => seen.length === 100);
  },
};
