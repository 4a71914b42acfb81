import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import pino from 'pino';
import { commitFrame } from '../../src/cluster/bus.js';
import { encodeEvent } from '../../src/domain/codec.js';
import { textContext } from '../../src/domain/messages/sealedMessages.js';
import { type Consequences, DeletedTexts } from '../../src/erasure/deletedTexts.js';
import { HeldTexts } from '../../src/erasure/heldTexts.js';
import { type OpenVault, openVault } from '../../src/vault/openVault.js';
import { openText, RoomKeys, sealText } from '../../src/vault/textKeys.js';
import type { KeyStore } from '../../src/vault/vault.js';
import { eventually } from '../support/eventually.js';
import { MemoryLog } from '../support/memoryLog.js';
import { tempDir } from '../support/tempDir.js';

const [ann, roomId] = [randomUUID(), randomUUID()];
const room = { owner: ann, roomId };
const recordedAt = '2026-01-01T00:00:00.000Z';
const contextOf = (seq: number): string => textContext({ roomId, messageId: `m${seq}` });

const leafOf = (type: 'MessageSent' | 'MessageDeleted', version: number, seq: number, text = ''): string => {
  const common = { stream: `room:${roomId}`, version, recordedAt, commandId: 'c' } as const;
  const message = { roomId, messageId: `m${seq}`, seq };
  return type === 'MessageSent'
    ? encodeEvent({ ...common, type, actor: ann, data: { ...message, text } })
    : encodeEvent({ ...common, type, actor: 'system', data: { ...message, senderId: ann, by: 'system' } });
};

/** What is decided about a user. */
const decisions = {
  suspended: { type: 'UserSuspended', data: { userId: ann, by: 'system', reason: 'sealed' } },
  ended: { type: 'UserAdministered', data: { userId: ann, by: 'system', action: 'sessions ended' } },
  reset: { type: 'UserAdministered', data: { userId: ann, by: 'system', action: 'password reset' } },
  decided: { type: 'ReportDecided', data: { reportId: roomId, by: 'system', decision: {}, note: null } },
} as const;
const decisionLeaf = (name: keyof typeof decisions, version: number): string =>
  encodeEvent({
    ...{ stream: `user:${ann}`, version, recordedAt, commandId: 'c', actor: 'system' },
    ...decisions[name],
  } as Parameters<typeof encodeEvent>[0]); // Each is the data of its type.

const noConsequences: Consequences = { endSessions: async () => {}, finishDecision: async () => {} };

describe('the texts that the log deletes', () => {
  let vault: OpenVault;
  let log: MemoryLog;
  let sealed: string[];
  const running: DeletedTexts[] = [];
  const forgotten: unknown[] = [];

  beforeEach(async () => {
    vault = await openVault({ engine: { kind: 'sqlite', dataDir: tempDir() }, masterKey: randomBytes(32) });
    await vault.keys.create(ann);
    log = new MemoryLog();
    const keys = await keysNow();
    sealed = [1, 2, 3].map((seq) => sealText(keys, { seq, rev: 0 }, `text ${seq}`, contextOf(seq)));
    log.rival(sealed.map((text, i) => leafOf('MessageSent', i + 1, i + 1, text)));
    forgotten.length = 0;
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
    await vault.close();
  });

  async function keysNow(): Promise<RoomKeys> {
    const [keys] = (await vault.keys.getRoomKeys([room])).values();
    if (!(keys instanceof RoomKeys)) throw new Error('ann is not erased');
    return keys;
  }

  /** The texts as they open now; null is destroyed. */
  async function texts(): Promise<(string | null)[]> {
    const keys = await keysNow();
    return sealed.map((text, i) => openText(keys, { seq: i + 1, rev: 0 }, text, contextOf(i + 1)));
  }

  const deletion = (seq: number, version: number) => log.rival([leafOf('MessageDeleted', version, seq)]);

  /** A node that owns the partition while `owned` says so. */
  function node(
    change: Partial<KeyStore> = {},
    owned: () => readonly number[] = () => [0],
    consequences = noConsequences,
  ): DeletedTexts {
    const { keys } = vault;
    const made = new DeletedTexts({
      log,
      keys: {
        destructionProgress: keys.destructionProgress,
        saveDestructionProgress: change.saveDestructionProgress ?? keys.saveDestructionProgress,
      },
      texts: new HeldTexts({
        keys: {
          destroy: keys.destroy,
          destroyTexts: change.destroyTexts ?? keys.destroyTexts,
          forgetRoomKeys: keys.forgetRoomKeys,
        },
        holds: vault.holds,
        partitions: 1,
        forgetRoom: (one) => forgotten.push(one),
      }),
      owned,
      logger: pino({ level: 'silent' }),
    });
    running.push(made);
    made.start(consequences);
    return made;
  }

  it('have their keys destroyed, those of other texts not, and the caller waits for it', async () => {
    const owner = node();
    owner.receive(commitFrame(deletion(2, 4)));
    await owner.waitFor({ partition: 0, size: 4 });
    expect(await texts()).to.deep.equal(['text 1', null, 'text 3']);
    expect(forgotten).to.deep.equal([room]);
    expect(await vault.keys.destructionProgress(0)).to.equal(4);
  });

  it('are destroyed by whoever comes next, when the owner was cut off at any step', async () => {
    for (const step of ['before', 'after', 'at the progress'] as const) {
      const version = 4 + ['before', 'after', 'at the progress'].indexOf(step);
      let isCutOff = false;
      const cutOff = async (): Promise<never> => {
        isCutOff = true;
        throw new Error('cut off');
      };
      const change: Partial<KeyStore> = {
        before: { destroyTexts: cutOff },
        after: {
          async destroyTexts(of: typeof room, seqs: readonly number[]) {
            await vault.keys.destroyTexts(of, seqs);
            return cutOff();
          },
        },
        'at the progress': { saveDestructionProgress: cutOff },
      }[step];
      deletion(version - 3, version);
      const killed = node(change);
      await eventually('it is cut off', () => isCutOff);
      await killed.stop();
      expect(await vault.keys.destructionProgress(0)).to.be.lessThan(version);
      const next = node();
      await next.waitFor({ partition: 0, size: version });
      await next.stop();
    }
    expect(await texts()).to.deep.equal([null, null, null]);
  });

  it('are destroyed in a restored log too, which is shorter than what was followed before', async () => {
    deletion(3, 4);
    const before = node();
    await before.waitFor({ partition: 0, size: 4 });
    await before.stop();
    await vault.keys.beginGeneration();
    log = new MemoryLog();
    sealed = [sealText(await keysNow(), { seq: 1, rev: 0 }, 'said after it', contextOf(1))];
    log.rival(sealed.map((text) => leafOf('MessageSent', 1, 1, text)));
    expect(await texts()).to.deep.equal(['said after it']);
    deletion(1, 2);
    await node().waitFor({ partition: 0, size: 2 });
    expect(await texts()).to.deep.equal([null]);
  });

  it('are destroyed once for all by two nodes that both believe that they own the partition', async () => {
    deletion(1, 4);
    deletion(3, 5);
    const both = [node(), node()];
    await Promise.all(both.map((one) => one.waitFor({ partition: 0, size: 5 })));
    expect(await texts()).to.deep.equal([null, 'text 2', null]);
  });

  it('are known to be destroyed by a node that does not own the partition, after later events too', async () => {
    const owner = node();
    owner.receive(commitFrame(deletion(1, 4)));
    await owner.waitFor({ partition: 0, size: 4 });
    owner.receive(commitFrame(log.rival([leafOf('MessageSent', 5, 4, 'later')])));
    const other = node({}, () => []);
    await other.waitFor({ partition: 0, size: 5 });
    expect(await vault.keys.destructionProgress(0), 'no later event was saved').to.equal(4);
    owner.receive(commitFrame(deletion(3, 6)));
    await other.waitFor({ partition: 0, size: 6 });
    expect(await texts()).to.deep.equal([null, 'text 2', null]);
  });

  it('have their keys destroyed in a log that was put back to before what the vault knows', async () => {
    await vault.keys.saveDestructionProgress(0, 100);
    const owner = node();
    deletion(2, 4);
    await owner.waitFor({ partition: 0, size: 4 });
    expect(await texts()).to.deep.equal(['text 1', null, 'text 3']);
  });

  it('wait while this node does not own their partition, and no longer', async () => {
    let isOwner = false;
    node({}, () => (isOwner ? [0] : []));
    deletion(1, 4);
    const other = node({}, () => []);
    expect(await texts()).to.deep.equal(['text 1', 'text 2', 'text 3']);
    isOwner = true;
    // Another node learns of it from the vault.
    await other.waitFor({ partition: 0, size: 4 });
    expect(await texts()).to.deep.equal([null, 'text 2', 'text 3']);
  });

  it('and what it decides about users is finished by whoever comes next, at each step, and not again', async () => {
    const names = ['suspended', 'ended', 'reset', 'decided'] as const;
    const done: string[] = [];
    let [calls, cut] = [0, 0];
    /** Those of a node that is cut off before or after one of them. */
    const cutOff = (): Consequences => {
      const carryOut = async ({ type }: { readonly type: string }) => {
        if (calls++ >= cut) throw new Error('cut off before it');
        done.push(type);
        if (calls++ >= cut) throw new Error('cut off after it');
      };
      return { endSessions: carryOut, finishDecision: carryOut };
    };
    const version = (i: number) => 1 + cut * names.length + i;
    const carriedOut = ['UserSuspended', 'UserAdministered', 'ReportDecided'];
    for (cut = 0; cut < 2 * carriedOut.length; cut++) {
      [calls, done.length] = [0, 0];
      const last = log.rival(names.map((name, i) => decisionLeaf(name, version(i))));
      const first = node({}, undefined, cutOff());
      await eventually('it is cut off', () => calls > cut);
      await first.stop();
      const next = node({}, undefined, {
        endSessions: async ({ type }) => void done.push(type),
        finishDecision: async ({ type }) => void done.push(type),
      });
      await next.waitFor({ partition: 0, size: last.size });
      expect([...new Set(done)], `cut off at call ${cut}`).to.deep.equal(carriedOut);
      await next.stop();
      done.length = 0;
      const later = node({}, undefined, cutOff());
      await later.waitFor({ partition: 0, size: last.size });
      expect(done).to.deep.equal([]);
      await later.stop();
    }
  });
});
