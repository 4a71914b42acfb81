import { expect } from 'chai';
import type { Note, Reply } from '../../src/cluster/bus.js';
import { SessionRevocation } from '../../src/gateway/sessionRevocation.js';
import { virtualTime } from '../support/virtualTime.js';

const living = (...nodes: string[]) =>
  nodes.map((node) => ({ node, startedAt: new Date(), silentMs: 0, capabilities: [] }));

/** The node `me` among others; `reply` is what each of those answers. */
function setUp(nodes: () => ReturnType<typeof living>, reply: (to: string) => Promise<Reply>) {
  const time = virtualTime();
  const asked: [string, unknown][] = [];
  const told: Note[] = [];
  const heard: string[][] = [];
  const revocation = new SessionRevocation({
    node: 'me',
    bus: {
      broadcast: (note) => told.push(note),
      request: (to, body) => {
        asked.push([to, body]);
        return reply(to);
      },
    },
    nodes: { listLive: async () => nodes() },
    sessions: { noteRevoked: (ids) => heard.push([...ids]) },
    setTimer: time.setTimer,
  });
  let isKnown = false;
  const announce = (ids: readonly string[]) =>
    void revocation.announce(ids).then(() => {
      isKnown = true;
    });
  return { time, revocation, announce, isKnown: () => isKnown, asked, told, heard };
}

describe('the revocation of sessions', () => {
  it('is known when every other living node has confirmed it', async () => {
    let answer = () => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const { time, announce, isKnown, asked, told } = setUp(
      () => living('me', 'a', 'b'),
      async (to) => {
        if (to === 'b') await answered;
        return { reply: true };
      },
    );
    announce(['s1', 's2']);
    await time.advance(500);
    expect(isKnown()).equal(false);
    answer();
    await time.advance(0);
    expect(isKnown()).equal(true);
    const body = { kind: 'revokedSessions', sessions: ['s1', 's2'] };
    expect(asked).deep.equal([
      ['a', body],
      ['b', body],
    ]);
    expect(told).deep.equal([body]);
  });

  it('is known after 1 s, when a node is silent or out of reach', async () => {
    for (const reply of ['unanswered', 'undelivered'] as const) {
      const { time, announce, isKnown } = setUp(
        () => living('me', 'a'),
        async () => reply,
      );
      announce(['s1']);
      await time.advance(999);
      expect(isKnown()).equal(false);
      await time.advance(1);
      expect(isKnown()).equal(true);
    }
  });

  it('is known after 1 s, when it cannot be known which nodes live', async () => {
    const { time, announce, isKnown } = setUp(
      () => {
        throw new Error('the database is away');
      },
      async () => ({ reply: true }),
    );
    announce(['s1']);
    await time.advance(999);
    expect(isKnown()).equal(false);
    await time.advance(1);
    expect(isKnown()).equal(true);
  });

  it('is taken in when another node asks for it, and no other request is', async () => {
    const { revocation, heard } = setUp(
      () => living('me'),
      async () => 'undelivered',
    );
    expect(await revocation.serve({ kind: 'revokedSessions', sessions: ['s1'] })).equal(true);
    expect(revocation.serve({ commands: [] })).equal(undefined);
    expect(heard).deep.equal([['s1']]);
  });
});
