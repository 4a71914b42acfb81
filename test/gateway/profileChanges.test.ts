import { expect } from 'chai';
import { pino } from 'pino';
import { overloaded } from '../../src/base/errors.js';
import type { User } from '../../src/domain/userMessageChat.js';
import type { Connection } from '../../src/gateway/connection.js';
import { ProfileChanges } from '../../src/gateway/membersAndProfiles.js';
import { eventually } from '../support/eventually.js';

const userOf = (userId: string, displayName: string): User => ({
  ...{ userId, username: userId, backgroundColor: '#000000', createdAt: '2026-01-01', displayName },
});

/** A node to which ann's friend bob is connected, and ann herself. */
class Node {
  readonly sent: string[] = [];
  readonly expired: string[] = [];
  names = new Map([['ann', 'Ann 0']]);
  failures = 0;
  asked = 0;
  /** What queries wait for. */
  gate: Promise<void> = Promise.resolve();
  readonly changes: ProfileChanges;

  constructor() {
    const connection = (to: string) =>
      ({
        session: {},
        sendText: (text: Buffer | string) => void this.sent.push(`${to} ${String(text)}`),
      }) as unknown as Connection; // What pushing uses of it.
    this.changes = new ProfileChanges({
      queries: {
        peers: async () => {
          this.asked++;
          await this.gate;
          if (this.failures-- > 0) throw overloaded('not now');
          return new Set(['bob', 'cem']);
        },
        groups: {
          memberships: async () => [
            { roomId: 'now', partition: 0, offset: 1, isMember: true, periods: [] },
            { roomId: 'before', partition: 0, offset: 1, isMember: false, periods: [] },
          ],
        },
        self: async (user) => ({ ...this.#user(user), locale: 'nl' }),
      },
      profiles: {
        expire: (user, { partition, size }) => void this.expired.push(`${user} ${partition}/${size}`),
        load: async ([user = '']) => new Map([[user, this.#user(user)]]),
      },
      live: {
        hub: { connectionsOf: (user) => (user === 'cem' ? [] : [connection(user)]) },
        groups: { membersNow: (room) => (room === 'now' ? ['ann', 'bob', 'dan'] : ['eve']) },
      },
      vector: () => [1, 2],
      logger: pino({ level: 'silent' }),
    });
  }

  #user(user: string): User {
    return userOf(user, this.names.get(user) ?? user);
  }

  /** The names that were pushed, with to whom. */
  get pushed(): string[] {
    return this.sent.map((text) => {
      const [, to, data = '{}'] = /^(\w+) [^{]*(\{.*\})/s.exec(text) ?? [];
      const { user } = JSON.parse(data).data as { user: User };
      return `${to}: ${user.displayName}${user.locale === undefined ? '' : ` (${user.locale})`}`;
    });
  }
}

describe('a changed profile', () => {
  it('is pushed to friends and to members of groups who are connected, and with the locale to its own user', async () => {
    const node = new Node();
    node.changes.note('ann', { partition: 1, offset: 7 });
    expect(node.expired, 'at once, so that no later push shows the old one').to.deep.equal(['ann 1/8']);
    await eventually('the pushes', () => node.sent.length === 3);
    expect(node.pushed).to.deep.equal(['bob: Ann 0', 'dan: Ann 0', 'ann: Ann 0 (nl)']);
  });

  it('is pushed as it is then: many changes at once become few pushes, the newest last', async () => {
    const node = new Node();
    let open = () => {};
    node.gate = new Promise((resolve) => {
      open = resolve;
    });
    for (let i = 1; i <= 50; i++) {
      node.names.set('ann', `Ann ${i}`);
      node.changes.note('ann', { partition: 0, offset: i });
    }
    open();
    await eventually('the pushes', () => node.sent.length === 6);
    expect(node.expired).to.have.length(50);
    expect(node.asked).to.equal(2);
    expect(node.pushed.filter((text) => text.startsWith('bob'))).to.deep.equal([
      'bob: Ann 50',
      'bob: Ann 50',
    ]);
  });

  it('is tried three times, and then left to queries', async () => {
    const node = new Node();
    node.failures = 2;
    node.changes.note('ann', { partition: 0, offset: 1 });
    await eventually('the pushes', () => node.sent.length === 3);
    node.failures = 3;
    node.changes.note('ann', { partition: 0, offset: 2 });
    node.changes.note('bob', { partition: 0, offset: 3 });
    await eventually('those of another user', () => node.pushed.some((text) => text === 'bob: bob (nl)'));
    expect(node.pushed.filter((text) => text.includes('Ann'))).to.have.length(3);
  });

  it('is not pushed once the node stops', async () => {
    const node = new Node();
    node.changes.stop();
    node.changes.note('ann', { partition: 0, offset: 1 });
    expect([node.asked, node.expired]).to.deep.equal([0, ['ann 0/2']]);
  });
});
