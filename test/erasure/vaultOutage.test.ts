import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { VaultUnavailable } from '../../src/base/errors.js';
import { usernameContext } from '../../src/domain/users.js';
import { seal } from '../../src/vault/dataKeys.js';
import { createKeyStore } from '../../src/vault/keyStore.js';
import { createPlaintextCache, createTextOpener } from '../../src/vault/textOpener.js';
import type { KeyRow, VaultStore } from '../../src/vault/vaultStore.js';
import { runs } from '../support/lanes.js';

const USERS = 3;
const user = fc.nat({ max: USERS - 1 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), user }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('forget' as const), user }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('erase' as const), user }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('fail' as const, 'mend' as const), user }) },
);

/** The rows of keys; every read throws while the vault is away. */
class Rows {
  readonly keys = new Map<string, KeyRow>();
  isAway = false;

  store(): VaultStore {
    const rows: Pick<VaultStore, 'findKeys' | 'findNumber' | 'insertKey' | 'destroyKey'> = {
      findKeys: async (owners) => {
        this.#look();
        return owners.flatMap((owner) => this.keys.get(owner) ?? []);
      },
      findNumber: async () => 0,
      insertKey: async (owner, own) => {
        this.keys.set(owner, { owner, own });
        return true;
      },
      destroyKey: async (owner) => {
        this.#look();
        this.keys.set(owner, { owner, own: null });
      },
    };
    return rows as VaultStore; // Key stores call nothing else.
  }

  #look(): void {
    if (this.isAway) throw new VaultUnavailable('it is away');
  }
}

describe('An outage of the vault', () => {
  it('never reads as an erasure, nor an erasure as an outage, whatever two nodes remember', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const rows = new Rows();
        const wrapping = randomBytes(32);
        const nodes = [0, 1].map(() => {
          const [keys, memory] = [createKeyStore(rows.store(), wrapping), createPlaintextCache()];
          return { keys, memory, open: createTextOpener(keys, memory) };
        });
        const [here, there] = nodes;
        if (!here || !there) throw new Error('there are two nodes');
        const people = await Promise.all(
          Array.from({ length: USERS }, async () => {
            const userId = randomUUID();
            await here.keys.create(userId);
            const key = await here.keys.getKey(userId);
            if (key === 'destroyed') throw new Error('it was just made');
            const context = usernameContext(userId);
            return {
              userId,
              name: { owner: userId, context, sealed: seal(key, `name of ${userId}`, context) },
            };
          }),
        );
        const erased = new Set<string>();
        for (const { kind, user } of steps) {
          const person = people[user];
          if (!person) throw new Error('there is no such person');
          const { userId } = person;
          if (kind === 'fail' || kind === 'mend') rows.isAway = kind === 'fail';
          else if (kind === 'forget') there.memory.deleteOwner(userId);
          else if (kind === 'erase') {
            const done = await here.keys.destroy(userId).then(
              () => true,
              () => false,
            );
            expect(done).to.equal(!rows.isAway);
            if (!done) continue;
            erased.add(userId);
            // Like the nodes of a cluster, each one checks the vault.
            for (const { keys, memory } of nodes) {
              await keys.fetchKeys([userId]);
              memory.deleteOwner(userId);
            }
          } else
            for (const { open } of nodes) {
              const read = open.notes([person.name]).catch((error: unknown) => error);
              const [name] = (await Promise.all([read])).flat();
              if (name === null) expect(erased.has(userId), 'null means erased').to.equal(true);
              else if (typeof name === 'string')
                expect(erased.has(userId), 'the text of one who is not').to.equal(false);
              else expect(name).to.be.instanceOf(VaultUnavailable);
            }
        }
        for (const { keys, memory } of nodes) {
          keys.close();
          memory.close();
        }
      }),
      { numRuns: runs(40) },
    );
  });
});
