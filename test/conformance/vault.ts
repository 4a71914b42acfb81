import { type KeyObject, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { WriterInRoom } from '../../src/domain/ids.js';
import type { OpenVault } from '../../src/vault/openVault.js';
import type { Subscription } from '../../src/vault/subscriptionStore.js';
import { type RoomKeys, roomKeysId } from '../../src/vault/textKeys.js';
import type { CachedKeys, Credential, SignedHead } from '../../src/vault/vault.js';
import { rejection } from '../support/rejection.js';

/** Opens the same vault as another process would, with its own cache. */
export type OpenAgain = () => Promise<OpenVault>;

const NOW = new Date('2026-03-01T12:00:00.000Z');
const HOUR = 3_600_000;
const later = (ms: number) => new Date(NOW.getTime() + ms);

const credential = (): Credential => ({
  userId: randomUUID(),
  username: 'Ada',
  backgroundColor: '#a1b2c3',
  passwordHash: '$2b$04$first',
  registered: false,
});
const newName = () => `ada-${randomUUID().slice(0, 8)}`;

/** The promises of every vault. Each check rejects if its promise is broken. */
export const vaultPromises: Readonly<Record<string, (open: OpenAgain) => Promise<void>>> = {
  async 'a key is created once, and is the same for every process'(open) {
    const [here, there] = [await open(), await open()];
    const owner = randomUUID();
    await Promise.all([here.keys.create(owner), there.keys.create(owner), here.keys.create(owner)]);
    const key = await here.keys.getKey(owner);
    expect(key).to.be.instanceOf(Buffer).with.length(32);
    expect(await there.keys.getKey(owner)).to.deep.equal(key);
    expect(await (await open()).keys.getKey(owner)).to.deep.equal(key);
  },

  async 'no two users share a key'(open) {
    const { keys } = await open();
    const owners = [randomUUID(), randomUUID()];
    for (const owner of owners) await keys.create(owner);
    const found = [...(await keys.getKeys(owners)).values()].map(String);
    expect(new Set(found)).to.have.property('size', 2);
  },

  async 'a destroyed key reads as destroyed, at once here and for every new process'(open) {
    const { keys } = await open();
    const owner = randomUUID();
    await keys.create(owner);
    await keys.destroy(owner);
    await keys.destroy(owner);
    expect(await keys.getKey(owner)).to.equal('destroyed');
    expect(keys.getCached(owner)).to.equal('destroyed');
    expect(await (await open()).keys.getKey(owner)).to.equal('destroyed');
  },

  async 'a destroyed key is never created again'(open) {
    const { keys } = await open();
    const [owner, unborn] = [randomUUID(), randomUUID()];
    await keys.create(owner);
    await keys.destroy(owner);
    await keys.destroy(unborn);
    for (const each of [owner, unborn]) {
      expect(await rejection(keys.create(each))).to.have.property('name', 'KeyDestroyed');
      expect(await rejection((await open()).keys.create(each))).to.have.property('name', 'KeyDestroyed');
      expect(await (await open()).keys.getKey(each)).to.equal('destroyed');
    }
  },

  async 'a batch returns each owner’s own key'(open) {
    const { keys } = await open();
    const owners = Array.from({ length: 5 }, () => randomUUID());
    for (const owner of owners) await keys.create(owner);
    await keys.destroy(owners[2] ?? '');
    const fresh = (await open()).keys;
    const found = await fresh.getKeys([...owners, ...owners]);
    expect([...found.keys()]).to.have.members(owners);
    for (const owner of owners) expect(found.get(owner)).to.deep.equal(await keys.getKey(owner));
    expect(found.get(owners[2] ?? '')).to.equal('destroyed');
    expect(await fresh.getKeys([])).to.have.property('size', 0);
  },

  async 'an unknown user is an outage, not an erasure'(open) {
    const { keys } = await open();
    const known = randomUUID();
    await keys.create(known);
    const unknown = randomUUID();
    expect(await rejection(keys.getKey(unknown))).to.have.property('name', 'VaultUnavailable');
    expect(await rejection(keys.getKeys([known, unknown]))).to.have.property('name', 'VaultUnavailable');
    expect(keys.getCached(unknown)).to.equal(undefined);
  },

  async 'the keys of texts are the same for every process, and others in each room and of each writer'(open) {
    const [here, there] = [(await open()).keys, (await open()).keys];
    const owners = [randomUUID(), randomUUID()];
    for (const owner of owners) await here.create(owner);
    const roomIds = [randomUUID(), randomUUID()];
    const rooms = owners.flatMap((owner) => roomIds.map((roomId) => ({ owner, roomId })));
    const keyOf = (keys: RoomKeys | 'destroyed' | undefined, seq: number, rev: number) => {
      if (keys === undefined || keys === 'destroyed') throw new Error('nothing was destroyed');
      return keys.keyOf(keys.generation, seq, rev)?.toString('hex');
    };
    const found = [await here.getRoomKeys(rooms), await there.getRoomKeys(rooms)];
    const [mine, theirs] = found.map((keys) =>
      rooms.flatMap((room) => {
        const own = keys.get(roomKeysId(room));
        return [keyOf(own, 1, 0), keyOf(own, 1, 1), keyOf(own, 2, 0), keyOf(own, 17, 0)];
      }),
    );
    expect(theirs).to.deep.equal(mine);
    expect(new Set(mine)).to.have.property('size', 16);
    expect(await here.getRoomKeys([])).to.have.property('size', 0);
    const [room] = rooms as [WriterInRoom, ...WriterInRoom[]]; // There are four.
    expect(keyOf(here.getCachedRoomKeys(room), 1, 0)).to.equal(mine?.[0]);
    expect(keyOf((await there.fetchRoomKeys([room])).get(roomKeysId(room)), 1, 0)).to.equal(mine?.[0]);
  },

  async 'a destroyed text has no key, at once here and for every new process, and all others have theirs'(
    open,
  ) {
    const { keys } = await open();
    const room = { owner: randomUUID(), roomId: randomUUID() };
    await keys.create(room.owner);
    const read = async (from: CachedKeys) => {
      const found = (await from.getRoomKeys([room])).get(roomKeysId(room));
      if (found === undefined || found === 'destroyed') throw new Error('the writer is not erased');
      return Array.from({ length: 40 }, (_, seq) => found.keyOf(0, seq, 0)?.toString('hex'));
    };
    const before = await read(keys);
    await keys.destroyTexts(room, [3, 20]);
    await (await open()).keys.destroyTexts(room, [4]);
    await keys.destroyTexts(room, [3, 20]);
    const left = before.map((key, seq) => ([3, 4, 20].includes(seq) ? undefined : key));
    expect(await read(keys)).to.deep.equal(left);
    expect(await read((await open()).keys)).to.deep.equal(left);
  },

  async 'an erased writer’s keys of texts read as destroyed, an unknown writer’s are an outage'(open) {
    const { keys } = await open();
    const [known, erased] = [randomUUID(), randomUUID()];
    for (const owner of [known, erased]) await keys.create(owner);
    const roomOf = (owner: string) => ({ owner, roomId: randomUUID() });
    const rooms = [roomOf(erased), roomOf(erased)];
    await keys.destroyTexts(rooms[0] ?? roomOf(erased), [1]);
    await keys.getRoomKeys(rooms);
    await keys.destroy(erased);
    for (const each of [keys, (await open()).keys]) {
      expect([...(await each.getRoomKeys(rooms)).values()]).to.deep.equal(['destroyed', 'destroyed']);
      for (const room of rooms) {
        expect(each.getCachedRoomKeys(room)).to.equal('destroyed');
        // Nothing is left to destroy.
        await each.destroyTexts(room, [1]);
      }
      const asked = [roomOf(known), roomOf(randomUUID())];
      expect(await rejection(each.getRoomKeys(asked))).to.have.property('name', 'VaultUnavailable');
      expect(await rejection(each.destroyTexts(roomOf(randomUUID()), [1]))).to.have.property(
        'name',
        'VaultUnavailable',
      );
    }
  },

  async 'texts are sealed in the newest generation, for a writer of before it too'(open) {
    const [here, there] = [(await open()).keys, (await open()).keys];
    const room = { owner: randomUUID(), roomId: randomUUID() };
    await here.create(room.owner);
    const newest = async (keys: CachedKeys) => {
      const found = (await keys.fetchRoomKeys([room])).get(roomKeysId(room));
      return found === 'destroyed' ? undefined : found?.generation;
    };
    expect(await newest(here)).to.equal(0);
    expect(await here.beginGeneration()).to.equal(1);
    expect(await there.beginGeneration()).to.equal(2);
    expect(await Promise.all([newest(here), newest(there)])).to.deep.equal([2, 2]);
  },

  async 'the progress of destructions only grows, for each partition by itself'(open) {
    const [here, there] = [(await open()).keys, (await open()).keys];
    expect(await here.destructionProgress(3)).to.equal(0);
    await Promise.all([5, 9, 7].map((size) => here.saveDestructionProgress(3, size)));
    await there.saveDestructionProgress(3, 8);
    await there.saveDestructionProgress(0, 2);
    expect(await there.destructionProgress(3)).to.equal(9);
    expect(await here.destructionProgress(0)).to.equal(2);
    expect(await here.destructionProgress(1)).to.equal(0);
  },

  async 'the progress of destructions begins anew with a generation, as the restored log may be shorter'(
    open,
  ) {
    const [here, there] = [(await open()).keys, (await open()).keys];
    await here.saveDestructionProgress(0, 9);
    expect(await here.generation()).to.equal(0);
    await there.beginGeneration();
    expect(await here.generation()).to.equal(1);
    expect(await here.destructionProgress(0)).to.equal(0);
    await here.saveDestructionProgress(0, 2);
    expect(await there.destructionProgress(0)).to.equal(2);
  },

  async 'a vault that does not answer is an outage in every call'(open) {
    const vault = await open();
    const [owner, name] = [randomUUID(), newName()];
    await vault.keys.create(owner);
    await vault.credentials.claim(name, credential());
    const { token } = await vault.sessions.create(owner, NOW, HOUR);
    const closed = await open();
    await closed.close();
    const asked = [
      closed.keys.getKey(owner),
      closed.keys.getKeys([owner]),
      closed.keys.create(randomUUID()),
      closed.keys.destroy(owner),
      closed.keys.getRoomKeys([{ owner, roomId: randomUUID() }]),
      closed.keys.destroyTexts({ owner, roomId: randomUUID() }, [1]),
      closed.keys.beginGeneration(),
      closed.keys.generation(),
      closed.keys.destructionProgress(0),
      closed.keys.saveDestructionProgress(0, 1),
      closed.credentials.find(name),
      closed.credentials.claim(newName(), credential()),
      closed.sessions.find(token, NOW),
      closed.sessions.revokeAll(owner),
    ];
    for (const answer of asked) expect(await rejection(answer)).to.have.property('name', 'VaultUnavailable');
    expect(await vault.keys.getKey(owner)).to.be.instanceOf(Buffer);
  },

  async 'a name is claimed once, whatever its case and however many try'(open) {
    const [here, there] = [await open(), await open()];
    const name = newName();
    const tries = [name, name.toUpperCase(), name, `A${name.slice(1)}`];
    const outcomes = await Promise.all(
      tries.map((each, i) => (i % 2 ? here : there).credentials.claim(each, credential())),
    );
    expect(outcomes.filter(Boolean)).to.have.length(1);
    expect(await (await open()).credentials.claim(name, credential())).to.equal(false);
  },

  async 'a claim is found by its name in any case, unchanged'(open) {
    const { credentials } = await open();
    const name = newName();
    const made = { ...credential(), username: name.toUpperCase() };
    expect(await credentials.claim(name, made)).to.equal(true);
    expect(await (await open()).credentials.find(name.toUpperCase())).to.deep.equal(made);
    expect(await credentials.find(`${name}x`)).to.equal(undefined);
  },

  async 'a claim tells whether its user is registered'(open) {
    const { credentials } = await open();
    const name = newName();
    const made = credential();
    await credentials.claim(name, made);
    await credentials.markRegistered(name);
    await credentials.markRegistered(name);
    expect(await (await open()).credentials.find(name)).to.deep.equal({ ...made, registered: true });
  },

  async 'a password changes only from its present hash, once'(open) {
    const [here, there] = [await open(), await open()];
    const name = newName();
    const made = credential();
    await here.credentials.claim(name, made);
    await here.credentials.markRegistered(name);
    expect(await here.credentials.changePassword(name, 'another', 'second')).to.equal(false);
    let passwordHash = made.passwordHash;
    // One race may be run one after the other by chance, and shows nothing then.
    for (let race = 0; race < 20; race++) {
      const wanted = [`here ${race}`, `there ${race}`] as const;
      const outcomes = await Promise.all([
        here.credentials.changePassword(name, passwordHash, wanted[0]),
        there.credentials.changePassword(name, passwordHash, wanted[1]),
      ]);
      expect(outcomes.filter(Boolean)).to.have.length(1);
      passwordHash = outcomes[0] ? wanted[0] : wanted[1];
      expect(await there.credentials.find(name)).to.deep.equal({ ...made, registered: true, passwordHash });
    }
    expect(await here.credentials.changePassword(newName(), 'first', 'second')).to.equal(false);
  },

  async 'an erased claim keeps the name and nothing else'(open) {
    const { credentials } = await open();
    const name = newName();
    await credentials.claim(name, credential());
    await credentials.erase(name);
    await credentials.erase(name);
    const fresh = (await open()).credentials;
    expect(await fresh.find(name)).to.equal('erased');
    expect(await fresh.claim(name, credential())).to.equal(false);
    expect(await fresh.changePassword(name, '$2b$04$first', 'second')).to.equal(false);
    expect(await fresh.find(name)).to.equal('erased');
  },

  async 'a session is found by its token alone, in every process'(open) {
    const { sessions } = await open();
    const userId = randomUUID();
    const { token, session } = await sessions.create(userId, NOW, HOUR);
    expect(Buffer.from(token, 'base64url')).to.have.length(32);
    expect(session).to.include({
      userId,
      createdAt: NOW.toISOString(),
      expiresAt: later(HOUR).toISOString(),
    });
    expect(session.id).to.match(/^[0-9a-f]{64}$/);
    for (const each of [sessions, (await open()).sessions]) {
      expect(await each.find(token, NOW)).to.deep.equal(session);
      expect(await each.find(session.id, NOW)).to.equal(undefined);
      expect(await each.find('', NOW)).to.equal(undefined);
      expect(await each.find(`${token.slice(1)}A`, NOW)).to.equal(undefined);
    }
  },

  async 'a session is not found once it has expired, cached or not'(open) {
    const { sessions } = await open();
    const { token } = await sessions.create(randomUUID(), NOW, HOUR);
    expect(await sessions.find(token, later(HOUR - 1))).to.have.property('expiresAt');
    for (const each of [sessions, (await open()).sessions])
      expect(await each.find(token, later(HOUR))).to.equal(undefined);
  },

  async 'a revoked session is not found, at once here and in every new process'(open) {
    const { sessions } = await open();
    const { token, session } = await sessions.create(randomUUID(), NOW, HOUR);
    await sessions.find(token, NOW);
    await sessions.revoke(session.id);
    await sessions.revoke(session.id);
    for (const each of [sessions, (await open()).sessions])
      expect(await each.find(token, NOW)).to.equal(undefined);
  },

  async 'a revocation that overtakes a look-up is kept'(open) {
    const { sessions } = await open();
    const { token, session } = await sessions.create(randomUUID(), NOW, HOUR);
    const looking = sessions.find(token, NOW);
    await sessions.revoke(session.id);
    await looking;
    expect(await sessions.find(token, NOW)).to.equal(undefined);
  },

  async 'all sessions of a user are revoked but one, and nobody else’s'(open) {
    const { sessions } = await open();
    const [userId, other] = [randomUUID(), randomUUID()];
    const mine = [];
    for (let i = 0; i < 4; i++) mine.push(await sessions.create(userId, later(i), HOUR));
    const theirs = await sessions.create(other, NOW, HOUR);
    const [first, second, ...rest] = mine.map(({ session }) => session.id);
    await sessions.revoke(second ?? '');
    expect(await sessions.revokeAll(userId, first)).to.have.members(rest);
    const live = (token: string) => sessions.find(token, later(5));
    const found = await Promise.all([...mine, theirs].map(({ token }) => live(token)));
    expect(found.map((session) => session !== undefined)).to.deep.equal([true, false, false, false, true]);
    expect(await sessions.revokeAll(userId)).to.deep.equal([first]);
    expect(await sessions.revokeAll(userId)).to.deep.equal([]);
  },

  async 'every revocation is reported'(open) {
    const { sessions } = await open();
    const userId = randomUUID();
    const one = await sessions.create(userId, NOW, HOUR);
    const two = await sessions.create(userId, NOW, HOUR);
    const told: string[] = [];
    const stop = sessions.onRevoked((id) => told.push(id));
    await sessions.revoke(one.session.id);
    await sessions.revokeAll(userId);
    expect(told).to.deep.equal([one.session.id, two.session.id]);
    stop();
    await sessions.revoke(two.session.id);
    expect(told).to.have.length(2);
  },

  async 'the list includes ended sessions with their end, the newest first'(open) {
    const { sessions } = await open();
    const userId = randomUUID();
    const old = (await sessions.create(userId, NOW, HOUR)).session;
    const young = (await sessions.create(userId, later(1), HOUR)).session;
    await sessions.revoke(old.id);
    const [first, second, ...none] = await (await open()).sessions.list(userId);
    expect(first).to.deep.equal(young);
    expect(second).to.include(old).and.have.property('endedAt').that.matches(/Z$/);
    expect(none).to.deep.equal([]);
  },

  async 'the newest ended sessions and all open ones are kept'(open) {
    const { sessions } = await open();
    const userId = randomUUID();
    const live = await sessions.create(userId, NOW, 10 * HOUR);
    for (let i = 1; i <= 105; i++) await sessions.create(userId, later(i), 1);
    await sessions.create(userId, later(HOUR), HOUR);
    const listed = await sessions.list(userId);
    expect(listed).to.have.length(102);
    expect(await sessions.find(live.token, later(HOUR))).to.deep.equal(live.session);
    expect(listed.at(-1)).to.deep.equal(live.session);
    expect(listed.at(-2)?.createdAt).to.equal(later(6).toISOString());
  },

  async 'the newest head of each partition is kept, and only grows'(open) {
    const { heads } = await open();
    const [small, large, other] = [headOf(3, 5), headOf(3, 9), headOf(4, 1)];
    expect(await heads.get(3)).to.equal(undefined);
    expect(await heads.advance(undefined, small)).to.equal(true);
    expect(await heads.advance(undefined, other)).to.equal(true);
    expect(await heads.advance(small, large)).to.equal(true);
    expect(await rejection(heads.advance(large, headOf(3, 9)))).to.be.instanceOf(RangeError);
    expect(await rejection(heads.advance(large, headOf(3, 8)))).to.be.instanceOf(RangeError);
    const there = (await open()).heads;
    expect(await there.get(3)).to.deep.equal(large);
    expect(await there.list()).to.have.deep.members([large, other]);
  },

  async 'one of several concurrent signers of a partition wins'(open) {
    const [here, there] = [(await open()).heads, (await open()).heads];
    const first = await Promise.all([
      here.advance(undefined, headOf(0, 1)),
      there.advance(undefined, headOf(0, 2)),
    ]);
    expect(first.filter(Boolean)).to.have.length(1);
    const from = await here.get(0);
    const tries = [5, 6, 7, 8].map((size) => headOf(0, size));
    const done = await Promise.all(tries.map((to, i) => (i % 2 ? here : there).advance(from, to)));
    expect(done.filter(Boolean)).to.have.length(1);
    expect(await there.get(0)).to.deep.equal(tries[done.indexOf(true)]);
  },

  async 'a head is replaced by another, smaller or not, but not by a caller with an outdated one'(open) {
    const { heads } = await open();
    const [old, large, small] = [headOf(0, 5), headOf(0, 9), headOf(0, 2)];
    await heads.advance(undefined, old);
    await heads.advance(old, large);
    expect(await heads.replaceAbandoned(old, small)).to.equal(false);
    expect(await heads.replaceAbandoned(large, small)).to.equal(true);
    expect(await (await open()).heads.get(0)).to.deep.equal(small);
  },

  async 'signing keys are the same for every process, the newest first, without loss'(open) {
    const [here, there] = [(await open()).signing, (await open()).signing];
    const told = (keys: readonly KeyObject[]) =>
      keys.map((key) => key.export({ format: 'der', type: 'pkcs8' }).toString('base64'));
    const [one, same] = await Promise.all([here.list(), there.list()]);
    expect(told(one)).to.have.length(1);
    expect(told(same)).to.deep.equal(told(one));
    await here.rotate();
    const [newest, ...older] = told(await there.list());
    expect(older).to.deep.equal(told(one));
    expect(newest).not.to.equal(older[0]);
  },

  async 'an erasure that has begun is listed until its end, with the first key that has asked for it'(open) {
    const [here, there] = [(await open()).erasures, (await open()).erasures];
    const [byKey, byUser] = [randomUUID(), randomUUID()];
    const begun = await here.begin(byKey, byKey, 'a key');
    await there.begin(byKey, byKey);
    const own = await there.begin(byUser, byUser);
    expect([begun.via, own]).to.deep.equal(['a key', { userId: byUser, claim: own.claim }]);
    const listed = (await (await open()).erasures.list()).filter(
      ({ userId }) => userId === byKey || userId === byUser,
    );
    expect(listed).to.have.deep.members([begun, own]);
    await here.end(byKey);
    await there.end(byUser);
    expect(await here.list())
      .to.not.deep.include(begun)
      .and.not.deep.include(own);
  },

  async 'a subscription is made once, and changed by who has read its present version'(open) {
    const [here, there] = [(await open()).subscriptions, (await open()).subscriptions];
    const made = subscriptionOf('a');
    const places = [0, 1].map((partition) => ({ partition, size: partition, history: 'h' }));
    expect(await here.insert(made, places)).to.equal(true);
    expect(await there.insert(subscriptionOf('a'), [])).to.equal(false);
    expect(await there.list()).to.deep.equal([made]);
    const changed = { ...made, version: 2, isPaused: true, batch: 5 };
    expect(await there.replace(changed)).to.equal(true);
    expect(await here.replace({ ...made, version: 2 })).to.equal(false);
    expect(await here.insert(subscriptionOf('b'), places)).to.equal(true);
    expect((await (await open()).subscriptions.list()).map(({ id }) => id)).to.deep.equal(['a', 'b']);
    expect((await here.list())[0]).to.deep.equal(changed);
    await here.remove('a');
    await there.remove('a');
    expect(await there.deliveries('a')).to.deep.equal([]);
    expect(await there.deliveries('b')).to.have.length(2);
    expect(await here.insert(made, places)).to.equal(true);
  },

  async 'the place of a subscription is moved by who has read the present one, or by order'(open) {
    const [here, there] = [(await open()).subscriptions, (await open()).subscriptions];
    await here.insert(subscriptionOf('a'), [{ partition: 3, size: 1, history: 'h' }]);
    const [first] = await there.deliveries('a');
    if (!first) throw new Error('it has a place');
    expect(first).to.include({ partition: 3, size: 1, history: 'h' });
    const pending = { upTo: 9, types: ['MessageSent'] };
    const second = await here.advance('a', first, { size: 5, history: 'h', pending });
    expect(await there.advance('a', first, { size: 6, history: 'h' })).to.equal(undefined);
    expect(await there.deliveries('a')).to.deep.equal([second]);
    if (!second) throw new Error('it was stored');
    const soon = await there.advance('a', second, { size: 6, history: 'h' }, true);
    expect(await here.advance('a', second, { size: 7, history: 'h' }, true)).to.equal(undefined);
    expect(await (await open()).subscriptions.deliveries('a')).to.deep.equal([soon]);
    await there.put('a', 3, { size: 2, history: 'h' });
    expect(await here.advance('a', second, { size: 7, history: 'h' })).to.equal(undefined);
    expect((await here.deliveries('a'))[0])
      .to.include({ size: 2 })
      .and.not.have.property('pending');
    await here.remove('a');
    if (second) expect(await here.advance('a', second, { size: 7, history: 'h' })).to.equal(undefined);
  },

  async 'the session of an issued token is stored once, and stays ended as long as the token lives'(open) {
    const [here, there] = [(await open()).sessions, (await open()).sessions];
    const [token, userId] = [`a.${randomUUID()}.b`, randomUUID()];
    const session = { userId, createdAt: NOW.toISOString(), expiresAt: later(HOUR).toISOString() };
    expect(await here.findIssued(token, NOW)).to.equal(undefined);
    const made = await here.createIssued(token, session);
    expect(made).to.include(session);
    expect(await there.createIssued(token, { ...session, userId: randomUUID() })).to.deep.equal(made);
    expect(await there.findIssued(token, NOW)).to.deep.equal(made);
    expect(await there.findIssued(token, later(HOUR))).to.equal('ended');
    await here.revoke(made?.id ?? '');
    // More sessions than are kept of those that have ended.
    for (let i = 0; i < 110; i++) {
      const { session: other } = await here.create(userId, later(i + 1), HOUR);
      await here.revoke(other.id);
    }
    expect(await here.findIssued(token, NOW)).to.equal('ended');
    expect(await here.createIssued(token, session)).to.equal(undefined);
    expect(await (await open()).sessions.findIssued(token, NOW)).to.equal('ended');
  },

  async 'the sessions of issued tokens end by their user and time, or by the session of the issuer'(open) {
    const { sessions } = await open();
    const [userId, sid] = [randomUUID(), randomUUID()];
    const issue = async (at: number, more: { sid?: string; userId?: string } = {}) => {
      const token = `a.${randomUUID()}.b`;
      const times = { createdAt: later(at).toISOString(), expiresAt: later(HOUR).toISOString() };
      return { token, made: await sessions.createIssued(token, { userId, ...times, ...more }) };
    };
    const [early, late, other] = [
      await issue(0),
      await issue(2000),
      await issue(0, { userId: randomUUID() }),
    ];
    const own = await sessions.create(userId, NOW, HOUR);
    expect(await sessions.revokeIssued({ userId, upTo: later(1000) })).to.deep.equal([early.made?.id]);
    const isOpen = async ({ token }: { token: string }) =>
      (await sessions.findIssued(token, NOW)) !== 'ended';
    expect([await isOpen(early), await isOpen(late), await isOpen(other)]).to.deep.equal([false, true, true]);
    expect(await sessions.find(own.token, NOW)).to.deep.equal(own.session);
    const [one, two] = [await issue(0, { sid }), await issue(0, { sid, userId: randomUUID() })];
    const ended = await sessions.revokeIssued({ sid });
    expect(ended).to.have.members([one.made?.id, two.made?.id]);
    expect([await isOpen(one), await isOpen(late), await isOpen(other)]).to.deep.equal([false, true, true]);
  },

  async 'a host id names one user for ever'(open) {
    const [here, there] = [(await open()).hostLinks, (await open()).hostLinks];
    const hostId = `Person ${randomUUID()}`;
    const links = [randomUUID(), randomUUID()].map((userId) => ({ userId, backgroundColor: '#a1b2c3' }));
    const [one, two] = links as [(typeof links)[0], (typeof links)[0]]; // Two were made.
    const claimed = await Promise.all([here.claim(hostId, one), there.claim(hostId, two)]);
    expect(claimed[0]).to.deep.equal(claimed[1]);
    expect(claimed[0].isComplete).to.equal(false);
    expect(await there.find(hostId.toLowerCase()), 'case matters').to.equal(undefined);
    const names = await Promise.all([here.chooseName(hostId, 'ada'), there.chooseName(hostId, 'eve')]);
    expect(names[0]).to.equal(names[1]);
    await here.markComplete(hostId);
    expect(await there.find(hostId)).to.deep.equal({ ...claimed[0], username: names[0], isComplete: true });
    expect(here.nameOf(hostId, 0))
      .to.equal(there.nameOf(hostId, 0))
      .and.to.match(/^[a-z0-9]{12}$/);
    expect(here.nameOf(hostId, 0)).not.to.equal(here.nameOf(hostId, 1));
  },

  async 'tokens of a subject are refused until a time, and those of a session for ever'(open) {
    const { hostLinks: links } = await open();
    const [subject, sid] = [randomUUID(), randomUUID()];
    await links.refuseUntil(subject, 1000);
    await links.refuseUntil(subject, 900);
    await links.refuseSession(sid);
    const { hostLinks: again } = await open();
    const refused = [
      again.isRefused(subject, 1000, undefined),
      again.isRefused(subject, 1001, undefined),
      again.isRefused(subject, 1001, sid),
      again.isRefused(randomUUID(), 1, randomUUID()),
    ];
    expect(await Promise.all(refused)).to.deep.equal([true, false, true, false]);
  },

  async 'a server key is found by its secret alone, by every process, until it is revoked'(open) {
    const [here, there] = [(await open()).serverKeys, (await open()).serverKeys];
    const key = { id: randomUUID(), name: 'shop', scopes: ['users', 'events'] as const };
    const made = { ...key, createdAt: NOW.toISOString() };
    const secret = await here.create(made);
    expect(secret).to.match(/^prk_[\w-]{43}$/);
    expect(await there.find(secret)).to.deep.equal(made);
    for (const other of ['', secret.slice(0, -1), `${secret}x`, secret.replace('prk_', 'prk-'), key.id])
      expect(await there.find(other), other).to.equal(undefined);
    await there.revoke(key.id, later(HOUR));
    await here.revoke(key.id, later(2 * HOUR));
    expect(await here.find(secret)).to.equal(undefined);
    const revoked = { ...made, revokedAt: later(HOUR).toISOString() };
    expect(await here.list()).to.deep.include(revoked);
  },

  async 'server keys are listed in the order of their creation, without their secrets'(open) {
    const { serverKeys } = await open();
    const keys = [2, 0, 1].map((hours) => ({
      ...{ id: randomUUID(), name: `key ${hours}`, scopes: ['rooms'] as const },
      createdAt: later(hours * HOUR).toISOString(),
    }));
    for (const key of keys) await serverKeys.create(key);
    const ids = new Set<string>(keys.map(({ id }) => id));
    const listed = (await serverKeys.list()).filter(({ id }) => ids.has(id));
    expect(listed).to.deep.equal(keys.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1)));
  },
};

const subscriptionOf = (id: string): Subscription => ({
  ...{ id, version: 1, url: `https://a.example/${id}?token=1`, isPaused: false, secretNumber: 1 },
  secrets: [{ secret: `whsec_${randomUUID()}` }],
});

/** The vault ignores the content of a signed head. */
const headOf = (partition: number, size: number): SignedHead => ({
  partition,
  position: size + 1,
  size,
  root: `root of ${size}`,
  hash: `hash of ${size}`,
  note: `note of ${partition}/${size} ${randomUUID()}`,
});

/** Runs every promise against vaults of `make`. Each test gets a new one. */
export function vaultConformance(make: () => Promise<OpenAgain>): void {
  for (const [promise, check] of Object.entries(vaultPromises)) {
    it(promise, async () => {
      const open = await make();
      const opened: OpenVault[] = [];
      try {
        await check(async () => {
          const vault = await open();
          opened.push(vault);
          return vault;
        });
      } finally {
        await Promise.allSettled(opened.map((vault) => vault.close()));
      }
    });
  }
}
