import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { textContext } from '../../src/domain/messages/sealedMessages.js';
import { usernameContext } from '../../src/domain/users.js';
import { seal } from '../../src/vault/dataKeys.js';
import { type OpenVault, openVault } from '../../src/vault/openVault.js';
import { RoomKeys, roomKeysId, sealText } from '../../src/vault/textKeys.js';
import {
  createPlaintextCache,
  createTextOpener,
  type PlaintextCache,
  type TextOpener,
} from '../../src/vault/textOpener.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';

describe('texts under their owners’ keys', () => {
  const [ada, bob, roomId, messageId] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  let vault: OpenVault;
  let memories: PlaintextCache[];
  /** The opener of another node, which has sealed nothing itself. */
  let opener: TextOpener;

  const memory = () => {
    const made = createPlaintextCache();
    memories.push(made);
    return made;
  };

  beforeEach(async () => {
    memories = [];
    vault = await openVault({ engine: { kind: 'sqlite', dataDir: tempDir() }, masterKey: randomBytes(32) });
    await vault.keys.create(ada);
    await vault.keys.create(bob);
    opener = createTextOpener(vault.keys, memory());
  });
  afterEach(async () => {
    for (const made of memories) made.close();
    await vault.close();
  });

  const message = (senderId: string, text: string) => ({ senderId, roomId, messageId, seq: 1, text });

  const sealed = async (owner: string, text: string, seq = 1) => {
    const keys = (await vault.keys.getRoomKeys([{ owner, roomId }])).get(roomKeysId({ owner, roomId }));
    if (!(keys instanceof RoomKeys)) throw new Error('the owner is erased');
    return sealText(keys, { seq, rev: 0 }, text, textContext({ roomId, messageId }));
  };
  const sealedName = async (userId: string, name: string) => {
    const key = await vault.keys.getKey(userId);
    if (key === 'destroyed') throw new Error('the owner is erased');
    return seal(key, name, usernameContext(userId));
  };

  it('open in the given order, messages and names', async () => {
    const one = message(ada, await sealed(ada, 'one'));
    const two = message(bob, await sealed(bob, 'two'));
    expect(await opener.messages([two, one, two])).to.deep.equal(['two', 'one', 'two']);
    const name = { owner: ada, sealed: await sealedName(ada, 'Ada'), context: usernameContext(ada) };
    expect(await opener.notes([name])).to.deep.equal(['Ada']);
    expect(await opener.messages([])).to.deep.equal([]);
  });

  it('are null for an erased owner, and only for that one', async () => {
    const theirs = message(ada, await sealed(ada, 'gone'));
    const mine = message(bob, await sealed(bob, 'here'));
    await vault.keys.destroy(ada);
    expect(await opener.messages([theirs, mine])).to.deep.equal([null, 'here']);
  });

  it('are null when the text alone was destroyed, and the others of its writer open', async () => {
    const gone = message(ada, await sealed(ada, 'gone'));
    const here = { ...message(ada, await sealed(ada, 'here', 2)), seq: 2 };
    await vault.keys.destroyTexts({ owner: ada, roomId }, [1]);
    expect(await opener.messages([gone, here])).to.deep.equal([null, 'here']);
    expect(await opener.messages([{ ...here, text: null }]), 'of a deleted message').to.deep.equal([null]);
  });

  it('do not open in another room or place, as another message, or for another sender', async () => {
    const here = message(ada, await sealed(ada, 'here'));
    // Not even while the cache has it, which knows it at its own place only.
    expect(await opener.messages([here])).to.deep.equal(['here']);
    const moves = [{ roomId: randomUUID() }, { messageId: randomUUID() }, { senderId: bob }, { seq: 2 }];
    for (const moved of moves)
      expect(await rejection(opener.messages([{ ...here, ...moved }]))).to.have.property(
        'name',
        'CipherError',
      );
  });

  it('cause an outage error for an owner without key or tombstone', async () => {
    const stray = message(randomUUID(), await sealed(ada, 'here'));
    expect(await rejection(opener.messages([stray]))).to.have.property('name', 'VaultUnavailable');
  });

  it('stay in the cache where they were opened, unless deleted', async () => {
    const shared = memory();
    const local = createTextOpener(vault.keys, shared);
    const text = await sealed(ada, 'just now');
    const name = await sealedName(bob, 'Bob');
    await local.messages([message(ada, text)]);
    await local.notes([{ owner: bob, sealed: name, context: usernameContext(bob) }]);
    const context = textContext({ roomId, messageId });
    const known = () => [
      shared.get({ sealed: text, context, owner: ada, seq: 1 }),
      shared.get({ sealed: name, context: usernameContext(bob), owner: bob }),
    ];
    expect(known()).to.deep.equal(['just now', 'Bob']);
    shared.deleteOwner(ada);
    expect(known()).to.deep.equal([undefined, 'Bob']);
  });

  it('are cached up to a limit of bytes, the newest', () => {
    const bounded = memory();
    const text = 'x'.repeat(8_192);
    const at = (i: number) => ({ sealed: text, context: `${i}`, owner: ada });
    for (let i = 0; i < 2_000; i++) bounded.set(at(i), text);
    expect(bounded.get(at(0))).to.equal(undefined);
    expect(bounded.get(at(1999))).to.equal(text);
  });
});
