import { expect } from 'chai';
import { VaultUnavailable } from '../../src/base/errors.js';
import type { NodeId, Reply } from '../../src/cluster/bus.js';
import type { LiveNode } from '../../src/cluster/nodes.js';
import { ErasureBroadcast, evictErasedUser } from '../../src/erasure/erasureBroadcast.js';
import { rejection } from '../support/rejection.js';

const at = [{ partition: 0, size: 7 }];
const body = { kind: 'evict', user: 'ada', at };
const forever = new AbortController().signal;

/** Other nodes by name, with their answers in turn; the last answer repeats. */
function broadcastAmong(others: Readonly<Record<NodeId, readonly Reply[]>>) {
  const asked: NodeId[] = [];
  const here: unknown[] = [];
  const living = new Set(['me', ...Object.keys(others)]);
  let now = 0;
  const erasureBroadcast = new ErasureBroadcast({
    bus: {
      node: 'me',
      async request(to, sent) {
        expect(sent).to.deep.equal(body);
        const turn = asked.filter((node) => node === to).length;
        asked.push(to);
        now += 10_000;
        return others[to]?.[turn] ?? others[to]?.at(-1) ?? 'undelivered';
      },
    },
    nodes: { listLive: async () => [...living].map((node) => ({ node }) as LiveNode) }, // The test reads no other field.
    evictErasedUser: async (...asked) => void here.push(asked),
    now: () => now,
  });
  return { erasureBroadcast, asked, here, living, elapsed: () => now };
}

const evicted: Reply = { reply: true };

describe('The broadcast of an erasure', () => {
  it('is done when this node and all others that live have said so, each asked once', async () => {
    const { erasureBroadcast, asked, here } = broadcastAmong({ b: [evicted], c: [evicted] });
    await erasureBroadcast.evictEverywhere('ada', at, forever);
    expect(asked).to.have.members(['b', 'c']);
    expect(here).to.deep.equal([['ada', at]]);
  });

  it('asks those again that were silent, could not, or were not there', async () => {
    const { erasureBroadcast, asked } = broadcastAmong({
      b: ['unanswered', { reply: false }, 'undelivered', evicted],
    });
    await erasureBroadcast.evictEverywhere('ada', at, forever);
    expect(asked).to.deep.equal(['b', 'b', 'b', 'b']);
  });

  it('waits for none that has died', async () => {
    const { erasureBroadcast, living } = broadcastAmong({ b: ['undelivered'] });
    const done = erasureBroadcast.evictEverywhere('ada', at, forever);
    living.delete('b');
    await done;
  });

  it('waits for one that lives and is silent as long as memories are trusted: a minute', async () => {
    const { erasureBroadcast, elapsed } = broadcastAmong({ b: ['unanswered'] });
    await erasureBroadcast.evictEverywhere('ada', at, forever);
    expect(elapsed()).to.be.within(60_000, 70_000);
  });

  it('rejects when this node cannot, and when it is asked to by another', async () => {
    const away = new VaultUnavailable('it is away');
    const erasureBroadcast = new ErasureBroadcast({
      bus: { node: 'me', request: async () => 'undelivered' },
      nodes: { listLive: async () => [] },
      evictErasedUser: () => Promise.reject(away),
    });
    expect(await rejection(erasureBroadcast.evictEverywhere('ada', at, forever))).to.equal(away);
    expect(await rejection(erasureBroadcast.serve(body) ?? Promise.resolve())).to.equal(away);
    expect(erasureBroadcast.serve({ kind: 'revokedSessions', sessions: [] })).to.equal(undefined);
  });
});

describe('Evicting an erased user from a node', () => {
  const memories = (fresh: () => Promise<Map<string, Buffer | 'destroyed'>>) => {
    const order: string[] = [];
    const step = (name: string) => async () => void order.push(name);
    const parts = {
      keys: { fetchKeys: fresh },
      fannedOut: step('fanned out'),
      texts: { deleteOwner: () => void order.push('texts') },
      gateway: { forget: () => void order.push('gateway') },
      projections: { eraseUsername: step('projections') },
    };
    return { order, parts };
  };

  it('begins with what the vault says, and lets texts go when the last of them is fanned out', async () => {
    const { order, parts } = memories(async () => new Map([['ada', 'destroyed']]));
    await evictErasedUser(parts, 'ada', at);
    expect(order).to.deep.equal(['fanned out', 'texts', 'gateway', 'projections']);
  });

  it('is of nobody whose key is there, whoever says so, and of nobody while the vault is away', async () => {
    const away = new VaultUnavailable('it is away');
    for (const fresh of [async () => new Map([['ada', Buffer.alloc(32)]]), () => Promise.reject(away)]) {
      const { order, parts } = memories(fresh);
      expect(await rejection(evictErasedUser(parts, 'ada', at))).to.be.instanceOf(VaultUnavailable);
      expect(order).to.deep.equal([]);
    }
  });
});
