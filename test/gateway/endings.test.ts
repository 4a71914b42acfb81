import { expect } from 'chai';
import type { Note, Reply } from '../../src/cluster/bus.js';
import { Endings } from '../../src/gateway/sessionRevocation.js';

const living = (...nodes: string[]) =>
  nodes.map((node) => ({ node, startedAt: new Date(), silentMs: 0, capabilities: [] }));

/** The node `me` among others; `reply` is what each of those answers. */
function setUp(nodes: () => ReturnType<typeof living>, reply: (to: string) => Promise<Reply>) {
  const asked: [string, unknown][] = [];
  const told: Note[] = [];
  const heard: string[][] = [];
  const endings = new Endings({
    bus: {
      node: 'me',
      broadcast: (note) => told.push(note),
      request: (to, body) => {
        asked.push([to, body]);
        return reply(to);
      },
    },
    nodes: { listLive: async () => nodes() },
    sessions: { noteRevoked: (ids) => heard.push([...ids]) },
  });
  return { endings, asked, told, heard };
}

/** Milliseconds that it took; a timer may be early by a part of one. */
async function took(step: () => Promise<void>): Promise<number> {
  // Timers count from when the present turn began: it must have only just begun.
  await new Promise(setImmediate);
  const began = performance.now();
  await step();
  return Math.ceil(performance.now() - began) + 1;
}

describe('the end of sessions', () => {
  it('is known when every other node that lives has said so', async () => {
    let answer = () => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const { endings, asked, told } = setUp(
      () => living('me', 'a', 'b'),
      async (to) => {
        if (to === 'b') await answered;
        return { reply: true };
      },
    );
    let isKnown = false;
    const announced = endings.announce(['s1', 's2']).then(() => {
      isKnown = true;
    });
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(isKnown).equal(false);
    answer();
    await announced;
    const body = { kind: 'ended', sessions: ['s1', 's2'] };
    expect(asked).deep.equal([
      ['a', body],
      ['b', body],
    ]);
    expect(told).deep.equal([body]);
  });

  it('is known after a second, when a node is silent or out of reach', async () => {
    for (const reply of ['unanswered', 'undelivered'] as const) {
      const { endings } = setUp(
        () => living('me', 'a'),
        async () => reply,
      );
      expect(await took(() => endings.announce(['s1']))).at.least(1000);
    }
  });

  it('is known after a second, when it cannot be known who lives', async () => {
    const { endings } = setUp(
      () => {
        throw new Error('the database is away');
      },
      async () => ({ reply: true }),
    );
    expect(await took(() => endings.announce(['s1']))).at.least(1000);
  });

  it('is taken in when another node says so, and nothing else is', async () => {
    const { endings, heard } = setUp(
      () => living('me'),
      async () => 'undelivered',
    );
    expect(await endings.serve({ kind: 'ended', sessions: ['s1'] })).equal(true);
    expect(endings.serve({ commands: [] })).equal(undefined);
    expect(heard).deep.equal([['s1']]);
  });
});
