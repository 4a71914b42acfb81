import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { createOpener, type Opener } from '../../src/vault/opener.js';
import { type OpenVault, openVault } from '../../src/vault/openVault.js';
import { createSealer, type Sealer } from '../../src/vault/sealer.js';
import { type TextMemory, textMemory } from '../../src/vault/textMemory.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';

describe('texts under their owners’ keys', () => {
  const [ada, bob, roomId, messageId] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  let vault: OpenVault;
  let memories: TextMemory[];
  let sealer: Sealer;
  /** Of another node: has sealed nothing itself. */
  let opener: Opener;

  const memory = () => {
    const made = textMemory();
    memories.push(made);
    return made;
  };

  beforeEach(async () => {
    memories = [];
    vault = await openVault({ engine: { kind: 'sqlite', dataDir: tempDir() }, masterKey: randomBytes(32) });
    await vault.keys.create(ada);
    await vault.keys.create(bob);
    sealer = createSealer(vault.keys, memory());
    opener = createOpener(vault.keys, memory());
    await sealer.ready([ada, bob]);
  });
  afterEach(async () => {
    for (const made of memories) made.close();
    await vault.close();
  });

  const message = (senderId: string, text: string) => ({ senderId, roomId, messageId, text });

  it('open in the order given, messages and names', async () => {
    const one = message(ada, sealer.message(ada, roomId, messageId, 'one'));
    const two = message(bob, sealer.message(bob, roomId, messageId, 'two'));
    expect(await opener.messages([two, one, two])).to.deep.equal(['two', 'one', 'two']);
    expect(await opener.usernames([{ userId: ada, username: sealer.username(ada, 'Ada') }])).to.deep.equal([
      'Ada',
    ]);
    expect(await opener.messages([])).to.deep.equal([]);
  });

  it('are null for an erased owner, and only for that one', async () => {
    const theirs = message(ada, sealer.message(ada, roomId, messageId, 'gone'));
    const mine = message(bob, sealer.message(bob, roomId, messageId, 'here'));
    await vault.keys.destroy(ada);
    expect(await opener.messages([theirs, mine])).to.deep.equal([null, 'here']);
  });

  it('do not open in another room, as another message, or as another’s', async () => {
    const sealed = message(ada, sealer.message(ada, roomId, messageId, 'here'));
    for (const moved of [{ roomId: randomUUID() }, { messageId: randomUUID() }, { senderId: bob }])
      expect(await rejection(opener.messages([{ ...sealed, ...moved }]))).to.have.property(
        'name',
        'CipherError',
      );
  });

  it('of an owner without key or tombstone are an outage', async () => {
    const sealed = message(randomUUID(), sealer.message(ada, roomId, messageId, 'here'));
    expect(await rejection(opener.messages([sealed]))).to.have.property('name', 'VaultUnavailable');
  });

  it('are recalled without opening where they were sealed or opened, until forgotten', async () => {
    const shared = memory();
    const here = createSealer(vault.keys, shared);
    const sealed = here.message(ada, roomId, messageId, 'just now');
    const name = here.username(bob, 'Bob');
    const local = createOpener(vault.keys, shared);
    expect(local.recall(sealed)).to.equal('just now');
    expect(local.recall(name)).to.equal('Bob');
    expect(opener.recall(sealed)).to.equal(undefined);
    await opener.messages([message(ada, sealed)]);
    expect(opener.recall(sealed)).to.equal('just now');
    shared.forget(ada);
    expect(local.recall(sealed)).to.equal(undefined);
    expect(local.recall(name)).to.equal('Bob');
  });

  it('are remembered up to a bound of bytes, the newest', () => {
    const bounded = memory();
    const text = 'x'.repeat(8_192);
    for (let i = 0; i < 2_000; i++) bounded.remember(`${i}-${text}`, text, ada);
    expect(bounded.recall(`0-${text}`)).to.equal(undefined);
    expect(bounded.recall(`1999-${text}`)).to.equal(text);
  });

  it('are sealed only with a key at hand, and never for the erased', async () => {
    const stranger = randomUUID();
    expect(sealer.key(stranger)).to.equal(undefined);
    expect(() => sealer.message(stranger, roomId, messageId, 'x'))
      .to.throw()
      .with.property('name', 'VaultUnavailable');
    expect(await rejection(sealer.ready([ada, stranger]))).to.have.property('name', 'VaultUnavailable');
    await vault.keys.destroy(ada);
    expect(sealer.key(ada)).to.equal(undefined);
    expect(() => sealer.message(ada, roomId, messageId, 'x'))
      .to.throw()
      .with.property('code', 'forbidden');
    expect(sealer.key(bob)).to.be.instanceOf(Buffer);
  });
});
