import { expect } from 'chai';
import { ADMISSION_LIMITS } from '../../src/base/rateLimits.js';
import { encodeEvent } from '../../src/domain/codec.js';
import type { Command } from '../../src/domain/commands.js';
import { streamOf } from '../../src/domain/ids.js';
import { textContext } from '../../src/domain/messages/sealedMessages.js';
import { StorageError } from '../../src/log/log.js';
import { openText, RoomKeys, sealText } from '../../src/vault/textKeys.js';
import { MemoryLog } from '../support/memoryLog.js';
import { ada, adaAndBob, bob, eve, eventsOf, gate, openChat, send, settled, World } from './world.js';

const started = () => World.start(new MemoryLog());
async function withChat() {
  const world = await started();
  await world.execute(openChat(ada, bob));
  return world;
}
const sent = (world: World) =>
  eventsOf(world.log.commits()).flatMap((event) => (event.type === 'MessageSent' ? [event.data] : []));
/** The keys of a user's texts in the room. */
async function roomKeysOf(world: World, owner: string): Promise<RoomKeys> {
  const [keys] = (await world.vault.keys.getRoomKeys([{ owner, roomId: adaAndBob }])).values();
  if (!(keys instanceof RoomKeys)) throw new Error('no key');
  return keys;
}

/** Holds every append until it is opened. */
function held(world: World) {
  const { open: release, opened } = gate();
  world.log.script = async () => {
    await opened;
    return { kind: 'store' };
  };
  return release;
}

describe('a writer', () => {
  describe('making commits', () => {
    it('fences with an epoch above the last before it decides anything', async () => {
      const world = await withChat();
      await world.restart();
      await world.execute(openChat(bob, ada));
      const commits = world.log.commits().map(({ epoch, leaves }) => [epoch, leaves.length]);
      expect(commits).to.deep.equal([
        [1, 0],
        [1, 2],
        [2, 0],
        [2, 1],
      ]);
      expect(world.frames.map(({ position }) => position)).to.deep.equal([1, 2, 3, 4]);
    });

    it('begins commits at least the interval apart under load, and at once when it was idle', async () => {
      const world = await withChat();
      world.commitIntervalMs = 4;
      await world.restart();
      await world.time.advance(10);
      // The first message also opens the chat.
      await world.execute(send(ada, 'm0'));
      await world.time.advance(10);
      const before = world.log.commits().length;
      /** How many events each commit since then has. */
      const sizes = () =>
        world.log
          .commits()
          .slice(before)
          .map(({ leaves }) => leaves.length);
      // Only the clock of this world stands still.
      await world.execute(send(ada, 'm1'));
      expect(sizes()).to.deep.equal([1]);
      const answers: Promise<unknown>[] = [];
      for (const id of ['m2', 'm3', 'm4']) {
        answers.push(world.execute(send(ada, id)));
        await world.time.advance(1);
      }
      expect(sizes()).to.deep.equal([1]);
      await world.time.advance(1);
      expect(sizes()).to.deep.equal([1, 3]);
      await Promise.all(answers);
    });

    it('decides a few commands of everybody before the flood of one', async () => {
      const world = await withChat();
      const release = held(world);
      const first = world.execute(send(ada, 'first'));
      await settled();
      const flood = Array.from({ length: 500 }, (_, n) => world.execute(send(ada, `flood ${n}`)));
      const one = world.execute(send(bob, 'one'));
      await settled();
      release();
      await Promise.all([first, ...flood, one]);
      const order = sent(world).map(({ messageId }) => messageId);
      // One round has 128 commands; in it the two take turns.
      expect(order.indexOf('one')).to.be.below(128);
      expect(order.filter((id) => id.startsWith('flood'))).to.deep.equal(
        Array.from({ length: 500 }, (_, n) => `flood ${n}`),
      );
    });

    it('answers only once the commit is durable and published', async () => {
      const world = await withChat();
      const release = held(world);
      let isAnswered = false;
      const answer = world.execute(send(ada, 'm1'), 'c1').then((value) => {
        isAnswered = true;
        expect(world.frames.at(-1)?.events.map(({ type }) => type)).to.deep.equal([
          'ChatOpened',
          'MessageSent',
        ]);
        return value;
      });
      await settled();
      expect(isAnswered).to.equal(false);
      release();
      expect(await answer).to.deep.equal({
        message: {
          messageId: 'm1',
          roomId: adaAndBob,
          seq: 1,
          senderId: ada,
          message: 'text of m1',
          sentAt: '2026-01-02T03:04:05.678Z',
        },
        isNew: true,
        contact: bob,
        moment: { partition: 0, size: 4 },
      });
      const [, event] = world.frames.at(-1)?.events ?? [];
      expect(event).to.deep.include({ offset: 3, version: 4, actor: ada, commandId: 'c1' });
      expect(world.frames.at(-1)?.events).to.deep.equal(eventsOf(world.log.commits().slice(-1)));
    });

    it('gathers what arrives while an append is in flight into the next commit', async () => {
      const world = await withChat();
      const release = held(world);
      const first = world.execute(send(ada, 'm1'));
      await settled();
      const more = ['m2', 'm3', 'm4', 'm5'].map(async (id) => {
        await settled();
        return world.execute(send(bob, id));
      });
      await settled();
      await settled();
      release();
      await Promise.all([first, ...more]);
      expect(world.appended).to.deep.equal([2, 2, 4]);
    });

    it('has only sealed text in the log, which its sender’s key opens', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1', 'between us'));
      expect(
        world.log
          .commits()
          .flatMap(({ leaves }) => leaves)
          .join(),
      ).not.to.contain('between us');
      const keys = await roomKeysOf(world, ada);
      const [message] = sent(world);
      const place = { seq: 1, rev: 0 };
      expect(
        openText(keys, place, message?.text ?? '', textContext({ roomId: adaAndBob, messageId: 'm1' })),
      ).equal('between us');
    });

    it('splits what does not fit into one commit, by events and by bytes', async () => {
      const world = await withChat();
      await Promise.all(Array.from({ length: 600 }, (_, i) => world.execute(send(ada, `m${i}`))));
      const large = '\u{1f642}'.repeat(8192);
      await Promise.all(Array.from({ length: 20 }, (_, i) => world.execute(send(bob, `large ${i}`, large))));
      expect(sent(world).map(({ seq }) => seq)).to.deep.equal(Array.from({ length: 620 }, (_, i) => i + 1));
      for (const { leaves } of world.log.commits()) {
        expect(leaves.length).to.be.at.most(256);
        expect(Buffer.byteLength(leaves.join(''))).to.be.at.most(256 * 1024);
      }
    });

    it('never lets commit times go back', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      world.clock -= 60_000;
      const { message } = await world.execute(send(ada, 'm2'));
      expect(message.sentAt).to.equal('2026-01-02T03:04:05.678Z');
      await world.restart();
      const times = world.log.commits().map(({ recordedAt }) => recordedAt);
      expect(new Set(times).size).to.equal(1);
      expect(eventsOf(world.log.commits()).map(({ recordedAt }) => recordedAt)).to.include.members(times);
    });

    it('goes on when the bus fails: consumers read the log', async () => {
      const world = await withChat();
      world.onPublish = () => {
        throw new Error('the bus is down');
      };
      expect(await world.outcome(send(ada, 'm1'))).to.have.property('message');
      expect(world.reported).to.have.length(1);
    });
  });

  describe('deciding', () => {
    it('lets commands on one room take effect in the order of the calls', async () => {
      const world = await started();
      const outcomes = await Promise.all([
        world.outcome(send(ada, 'too early')),
        world.outcome(openChat(ada, bob)),
        world.outcome(send(ada, 'm1')),
        world.outcome({ kind: 'read messages', actor: bob, roomId: adaAndBob }),
        world.outcome({ kind: 'read messages', actor: bob, roomId: adaAndBob, upTo: 2 }),
        world.outcome(send(bob, 'm2', 'yes', { replyTo: 'm1' })),
        world.outcome(send(bob, 'm3', 'what?', { replyTo: 'm4' })),
        world.outcome(send(eve, 'm5')),
      ]);
      const moment = { partition: 0, size: 6 };
      expect(outcomes).to.containSubset([
        'not_found',
        { isNewActive: true, roomId: adaAndBob, moment },
        { message: { seq: 1 }, moment },
        { upTo: 1, unread: 0, moment },
        'bad_request',
        { message: { seq: 2, replyTo: 'm1' }, moment },
        'bad_request',
        'not_found',
      ]);
    });

    it('registers users, makes friends and follows presence', async () => {
      const world = await started();
      const register = {
        kind: 'register user',
        userId: ada,
        username: 'Ada',
        backgroundColor: '#123456',
      } as const;
      expect(await world.execute(register)).to.include({ isNew: true });
      expect(await world.execute(register)).to.include({ isNew: false });
      const nobody = '00000000-0000-4000-8000-0000000000ff';
      expect(await world.outcome({ kind: 'add friend', actor: ada, friendId: nobody })).to.equal('not_found');
      expect(await world.outcome(openChat(ada, nobody))).to.equal('not_found');
      expect(await world.execute({ kind: 'add friend', actor: ada, friendId: bob })).to.include({
        isNew: true,
      });
      expect(await world.execute({ kind: 'add friend', actor: bob, friendId: ada })).to.include({
        isNew: false,
      });
      expect(await world.execute({ kind: 'go online', userId: ada })).to.include({ changed: true });
      expect(await world.execute({ kind: 'go online', userId: ada })).to.include({ changed: false });
      expect(await world.outcome({ kind: 'go online', userId: eve })).to.equal('not_found');
      expect(eventsOf(world.log.commits()).map(({ type, stream }) => [type, stream])).to.deep.equal([
        ['UserRegistered', streamOf('user', ada)],
        ['FriendAdded', streamOf('room', adaAndBob)],
        ['FriendAdded', streamOf('room', adaAndBob)],
        ['UserWentOnline', streamOf('user', ada)],
      ]);
    });

    it('takes nobody offline who is active on another node, and asks at the time', async () => {
      const world = await started();
      await world.execute({
        kind: 'register user',
        userId: ada,
        username: 'ada',
        backgroundColor: '#112233',
      });
      await world.execute({ kind: 'go online', userId: ada });
      const offline = { kind: 'go offline', userId: ada, lastSeen: '2026-01-02T03:04:05.678Z' } as const;
      world.active.add(ada);
      expect(await world.execute(offline)).to.include({ changed: false });
      world.active.delete(ada);
      expect(await world.execute(offline)).to.include({ changed: true });
    });

    it('answers at once what appends nothing, and after the append what rests on it', async () => {
      const world = await withChat();
      const commits = world.log.commits().length;
      expect(await world.outcome(openChat(ada, bob))).to.include({ isNewActive: false });
      expect(world.log.commits()).to.have.length(commits);
      const release = held(world);
      const order: string[] = [];
      const note = (name: string) => () => order.push(name);
      const all = [
        world.outcome(send(ada, 'm1')).then(note('m1')),
        world
          .outcome({ kind: 'read messages', actor: bob, roomId: adaAndBob, upTo: 2 })
          .then(note('refusal')),
        world.outcome(send(ada, 'm1')).then(note('repeat')),
        world.outcome(openChat(ada, ada)).then(note('another room')),
      ];
      await settled();
      expect(order).to.deep.equal(['another room']);
      release();
      await Promise.all(all);
      expect(order).to.deep.equal(['another room', 'm1', 'refusal', 'repeat']);
    });

    it('refuses whose key has been destroyed', async () => {
      const world = await withChat();
      await world.vault.keys.destroy(ada);
      expect(await world.outcome(send(ada, 'm1'))).to.equal('unauthenticated');
      expect(await world.outcome(send(bob, 'm2'))).to.have.nested.property('message.seq', 1);
    });

    it('refuses what an erased user still had on its way, and does nothing of it', async () => {
      const world = await withChat();
      await world.execute(send(bob, 'm1'));
      await world.execute({ kind: 'erase member', roomId: adaAndBob, userId: ada });
      await world.vault.keys.destroy(ada);
      world.existing.delete(ada);
      const commits = world.log.commits().length;
      const late: Command[] = [
        { kind: 'add friend', actor: ada, friendId: bob },
        openChat(ada, eve),
        openChat(ada, bob),
        { kind: 'read messages', actor: ada, roomId: adaAndBob, upTo: 1 },
        send(ada, 'm2'),
      ];
      for (const command of late) expect(await world.outcome(command)).to.equal('unauthenticated');
      expect(world.log.commits()).to.have.length(commits);
    });
  });

  describe('asking what users permit', () => {
    const remove = { kind: 'remove friend', actor: bob, friendId: ada } as const;

    it('asks nothing for a message to somebody who is a contact', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      world.askedPreferences.length = 0;
      world.slowReads = () => Promise.reject(new Error('nothing may be read'));
      for (const id of ['m2', 'm3']) await world.execute(send(ada, id));
      await world.execute(send(bob, 'm4'));
      expect(world.askedPreferences).to.deep.equal([]);
    });

    it('asks before the first message, and after a restart', async () => {
      const world = await withChat();
      world.whoWrites = 'contacts';
      expect(await world.outcome(send(ada, 'm1'))).to.equal('forbidden');
      await world.restart();
      expect(await world.outcome(send(ada, 'm1'))).to.equal('forbidden');
      world.whoWrites = 'everyone';
      await world.execute(send(ada, 'm1'));
    });

    it('reads what a command of the same commit made necessary, and keeps the order of the calls', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      world.whoWrites = 'contacts';
      const accept = { kind: 'accept chat', actor: bob, roomId: adaAndBob } as const;
      const outcomes = await Promise.all(
        [remove, send(ada, 'm2'), accept, send(ada, 'm3')].map((command) => world.outcome(command)),
      );
      expect(outcomes.map((outcome) => typeof outcome === 'string')).to.deep.equal([
        false,
        true,
        false,
        false,
      ]);
      expect(sent(world).map(({ messageId }) => messageId)).to.deep.equal(['m1', 'm3']);
    });

    it('refuses, nothing done, if it cannot be read; the commands behind go on', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      const removed = world.execute(remove);
      world.slowReads = () => Promise.reject(new Error('the read models are down'));
      expect(await world.outcome(send(ada, 'm2'))).to.equal('overloaded');
      await removed;
      world.slowReads = async () => {};
      await world.execute(send(ada, 'm2'));
    });
  });

  describe('given a message again', () => {
    const first = {
      message: { messageId: 'm1', seq: 1, sentAt: '2026-01-02T03:04:05.678Z', message: 'text of m1' },
    };

    async function expectRepeat(world: World) {
      world.clock += 60_000;
      expect(await world.outcome(send(ada, 'm1'))).to.containSubset(first);
      expect(await world.outcome(send(ada, 'm1', 'other words'))).to.equal('conflict');
      expect(await world.outcome(send(ada, 'm1', undefined, { replyTo: 'm0' }))).to.equal('conflict');
      expect(await world.outcome(send(bob, 'm1'))).to.equal('conflict');
      expect(sent(world).filter(({ messageId }) => messageId === 'm1')).to.have.length(1);
    }

    it('answers as the first time from the same batch', async () => {
      const world = await withChat();
      const [once, again] = await Promise.all([
        world.execute(send(ada, 'm1')),
        world.execute(send(ada, 'm1')),
      ]);
      // The first made a contact.
      expect({ ...again, isNew: true, contact: bob }).to.deep.equal(once);
      expect(sent(world)).to.have.length(1);
    });

    it('answers as the first time while no read model has it', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      await expectRepeat(world);
    });

    it('answers as the first time when only the history has it', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      await world.project();
      await expectRepeat(world);
      await world.restart();
      await expectRepeat(world);
    });

    it('answers as the first time after a restart before any was folded', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      await world.restart();
      await expectRepeat(world);
    });

    it('answers it with a revision of now', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm1'));
      await world.execute(send(ada, 'm2'));
      expect((await world.execute(send(ada, 'm1'))).moment).to.deep.equal({ partition: 0, size: 5 });
    });

    it('takes the same id in another room for another message', async () => {
      const world = await withChat();
      const { roomId } = await world.execute(openChat(ada, eve));
      await world.execute(send(ada, 'm1'));
      expect(await world.outcome(send(ada, 'm1', 'hello', { roomId }))).to.have.nested.property(
        'message.seq',
        1,
      );
    });

    for (const restarted of [false, true])
      it(`finds it though it was folded during the look-up${restarted ? ', after a restart' : ''}`, async () => {
        const world = await withChat();
        await world.execute(send(ada, 'm1'));
        if (restarted) await world.restart();
        const { open: answer, opened } = gate();
        world.slowReads = () => opened;
        const again = world.outcome(send(ada, 'm1'));
        const next = world.outcome(send(bob, 'm2', 'and on', { replyTo: 'm1' }));
        await settled();
        // Both look-ups were answered "not there" by now, and the answers are on their way.
        await world.project();
        await settled();
        answer();
        expect(await again).to.containSubset(first);
        expect(await next).to.containSubset({ message: { seq: 2, replyTo: 'm1' } });
      });
  });

  describe('losing its partition', () => {
    it('drops what it knew, fences higher and decides again', async () => {
      const world = await withChat();
      const keys = await roomKeysOf(world, bob);
      const text = sealText(
        keys,
        { seq: 1, rev: 0 },
        'mine was first',
        textContext({ roomId: adaAndBob, messageId: 'theirs' }),
      );
      const data = { roomId: adaAndBob, messageId: 'theirs', seq: 1, text };
      const theirs = encodeEvent({
        ...{ type: 'MessageSent', stream: streamOf('room', adaAndBob), version: 3, data, actor: bob },
        ...{ recordedAt: '2026-01-02T03:04:06.000Z', commandId: 'theirs' },
      });
      let appends = 0;
      world.log.script = () =>
        ++appends === 1 ? { kind: 'lose', leaves: () => [theirs] } : { kind: 'store' };
      const outcomes = await Promise.all([
        world.outcome(send(ada, 'm1')),
        world.outcome(send(bob, 'theirs', 'mine was first')),
        world.outcome(send(ada, 'theirs', 'mine was first')),
      ]);
      expect(outcomes).to.containSubset([
        { message: { seq: 2 } },
        { message: { seq: 1, sentAt: '2026-01-02T03:04:06.000Z' } },
        'conflict',
      ]);
      expect(world.log.commits().map(({ epoch }) => epoch)).to.deep.equal([1, 1, 2, 3, 3]);
      expect(sent(world).map(({ seq }) => seq)).to.deep.equal([1, 2]);
    });

    it('keeps the order of what was in flight, ready, being prepared and waiting', async () => {
      const world = await withChat();
      const { open: lose, opened } = gate();
      let appends = 0;
      world.log.script = async () => {
        if (++appends > 1) return { kind: 'store' };
        await opened;
        return { kind: 'lose', leaves: () => [] };
      };
      const ids = Array.from({ length: 12 }, (_, i) => `m${i}`);
      const all: Promise<unknown>[] = [];
      const { open: answer, opened: answered } = gate();
      for (const [i, id] of ids.entries()) {
        if (i === 6) world.slowReads = () => answered;
        all.push(world.execute(send(ada, id)));
        if (i % 3 === 2) await settled();
      }
      lose();
      await settled();
      world.slowReads = async () => {};
      answer();
      await Promise.all(all);
      expect(sent(world).map(({ messageId }) => messageId)).to.deep.equal(ids);
    });
  });

  describe('when something fails', () => {
    it('says unknown of what was in flight, overloaded of the rest, and stops', async () => {
      for (const kind of ['fail', 'store and fail'] as const) {
        const world = await withChat();
        const { open: fail, opened } = gate();
        world.log.script = async () => {
          await opened;
          return { kind };
        };
        const first = world.outcome(send(ada, 'm1'));
        await settled();
        const rest = [world.outcome(send(ada, 'm2')), world.outcome(send(bob, 'm3'))];
        await settled();
        fail();
        expect(await Promise.all([first, ...rest])).to.deep.equal(['unknown', 'overloaded', 'overloaded']);
        expect(world.fatal).to.have.length(1);
        expect(world.fatal[0]).to.be.instanceOf(StorageError);
        expect(await world.outcome(send(ada, 'm4'))).to.equal('overloaded');
        await world.writer.giveUp();
      }
    });

    it('is overloaded, and has done nothing, while what deciding needs cannot be read', async () => {
      const world = await withChat();
      await world.execute(send(ada, 'm0'));
      await world.project();
      const commits = world.log.commits().length;
      world.slowReads = () => Promise.reject(new Error('the read models are down'));
      // Only an id that was used and has left the tail is looked for.
      expect(await world.outcome(send(ada, 'm0'))).to.equal('overloaded');
      const { keys } = world.vault;
      world.slowReads = async () => {};
      const { getKeys: all } = keys;
      keys.getKeys = () => Promise.reject(new Error('the vault is down'));
      expect(await world.outcome(send(ada, 'm1'))).to.equal('overloaded');
      expect(world.log.commits()).to.have.length(commits);
      expect(world.reported).to.have.length(2);
      keys.getKeys = all.bind(keys);
      expect(await world.outcome(send(ada, 'm1'))).to.have.nested.property('message.seq', 2);
    });

    it('is overloaded while too many bytes of events are not folded, and goes on once they are', async () => {
      const world = await World.start(new MemoryLog(64));
      await world.execute(openChat(ada, bob));
      const text = 'x'.repeat(8000);
      let sends = 0;
      while ((await world.outcome(send(ada, `m${sends}`, text))) !== 'overloaded') sends++;
      // 64 MiB for 64 partitions. A leaf has a little more than its text in base64.
      expect(sends).to.be.within(80, 100);
      await world.project();
      expect(await world.outcome(send(ada, 'late', text))).to.have.property('message');
    });

    it('is not overloaded by any number of events that are folded', async () => {
      const world = await World.start(new MemoryLog(64));
      await world.execute(openChat(ada, bob));
      // 5 MiB, of which 1 MiB may be in memory; the read models are told of 700 events at a time.
      for (let round = 0; round < 12; round++) {
        const ids = Array.from({ length: 700 }, (_, i) => `m${round} ${i}`);
        const outcomes = await Promise.all(ids.map((id) => world.outcome(send(ada, id, 'x'.repeat(200)))));
        expect(outcomes, `round ${round}`).not.to.include('overloaded');
        await world.project();
      }
    });

    it('accepts commands however long the read models have stood still', async () => {
      const world = await withChat();
      world.clock += 3_600_000;
      expect(await world.outcome(send(ada, 'm1'))).to.have.property('message');
    });

    it('is overloaded while its queue is full, by commands or by bytes', async () => {
      const world = await withChat();
      const release = held(world);
      const read = { kind: 'read messages', actor: ada, roomId: adaAndBob } as const;
      const waiting = [world.outcome(send(ada, 'm1'))];
      for (let i = 1; i < ADMISSION_LIMITS.commands; i++) waiting.push(world.outcome(read));
      expect(world.writer.depth).to.equal(ADMISSION_LIMITS.commands);
      expect(await world.outcome(read)).to.equal('overloaded');
      release();
      expect(await Promise.all(waiting)).not.to.include('overloaded');
      expect(world.writer.depth).to.equal(0);

      const large = 'x'.repeat(8192);
      const many = Array.from({ length: 1200 }, (_, i) => world.outcome(send(ada, `large ${i}`, large)));
      const outcomes = await Promise.all(many);
      expect(outcomes.slice(0, 900)).not.to.include('overloaded');
      expect(outcomes.at(-1)).to.equal('overloaded');
    });

    it('refuses an event that not every node can read', async () => {
      const world = await withChat();
      world.unknownTypes.add('MessageSent');
      expect(await world.outcome(send(ada, 'm1'))).to.equal('overloaded');
      expect(await world.outcome(openChat(ada, eve))).to.include({ isNewActive: true });
      world.unknownTypes.clear();
      expect(await world.outcome(send(ada, 'm1'))).to.have.nested.property('message.seq', 1);
    });
  });

  describe('holding a lease', () => {
    it('fences with the epoch of the lease, or above the last', async () => {
      const world = await withChat();
      await world.writer.giveUp();
      for (const epoch of [7, 3]) {
        world.lease = { epoch, validUntil: Number.POSITIVE_INFINITY };
        await world.writer.takeOver(world.lease);
        await world.execute(send(ada, `m${epoch}`));
        await world.writer.giveUp();
      }
      expect(world.log.commits().map(({ epoch }) => epoch)).to.deep.equal([1, 1, 7, 7, 8, 8]);
    });

    it('takes only what is addressed to it, before its take-over has ended too', async () => {
      const world = new World(new MemoryLog());
      for (const user of [ada, bob]) await world.vault.keys.create(user);
      expect(await world.outcome(openChat(ada, bob))).to.equal('not owner');
      const taking = world.writer.takeOver(world.lease);
      const early = world.outcome(openChat(ada, bob));
      await taking;
      expect(await early).to.include({ isNewActive: true });
      world.lease = { ...world.lease, epoch: 2 };
      expect(await world.outcome(send(ada, 'm1'))).to.equal('not owner');
    });

    it('given up: what is in the append in flight is answered, the rest was not done', async () => {
      const world = await withChat();
      const release = held(world);
      const first = [world.outcome(send(ada, 'm1')), world.outcome(send(ada, 'm1'))];
      await settled();
      const rest = [world.outcome(send(ada, 'm2')), world.outcome(send(bob, 'm3'))];
      await settled();
      const last = world.outcome(send(bob, 'm4'));
      let isGivenUp = false;
      const givenUp = world.writer.giveUp().then(() => {
        isGivenUp = true;
      });
      expect(await Promise.all([...rest, last])).to.deep.equal(['not owner', 'not owner', 'not owner']);
      expect(await world.outcome(send(ada, 'm5'))).to.equal('not owner');
      expect(isGivenUp).to.equal(false);
      release();
      await givenUp;
      for (const answer of await Promise.all(first)) expect(answer).to.have.nested.property('message.seq', 1);
      expect(sent(world)).to.have.length(1);
    });

    it('given up with an append in flight that is lost: nothing of it was done', async () => {
      const world = await withChat();
      const { open: lose, opened } = gate();
      world.log.script = async () => {
        await opened;
        return { kind: 'lose', leaves: () => [] };
      };
      const first = world.outcome(send(ada, 'm1'));
      await settled();
      const givenUp = world.writer.giveUp();
      lose();
      await givenUp;
      expect(await first).to.equal('not owner');
      expect(world.log.commits().map(({ epoch }) => epoch)).to.deep.equal([1, 1, 2]);
    });

    it('given up while it takes over: it owns nothing, and fences no more', async () => {
      const world = new World(new MemoryLog());
      world.log.rival([]);
      const { open: answer, opened } = gate();
      const read = world.log.tail.bind(world.log);
      world.log.tail = async (partition) => {
        await opened;
        return read(partition);
      };
      const taken = world.writer.takeOver(world.lease).catch((error: Error) => error.name);
      const early = world.outcome(openChat(ada, bob));
      const givenUp = world.writer.giveUp();
      answer();
      await givenUp;
      expect([await taken, await early]).to.deep.equal(['NotOwner', 'not owner']);
      expect(world.log.commits()).to.have.length(1);
    });

    it('that ends while another writes: it gives up instead of fencing again', async () => {
      const world = await withChat();
      let appends = 0;
      world.log.script = () => {
        if (++appends > 1) return { kind: 'store' };
        world.lease.validUntil = world.time.now();
        return { kind: 'lose', leaves: () => [] };
      };
      const outcomes = [world.outcome(send(ada, 'm1')), world.outcome(send(bob, 'm2'))];
      expect(await Promise.all(outcomes)).to.deep.equal(['not owner', 'not owner']);
      expect(world.deposed).to.deep.equal([0]);
      expect(world.log.commits().map(({ epoch }) => epoch)).to.deep.equal([1, 1, 2]);
      expect(await world.outcome(send(ada, 'm3'))).to.equal('not owner');
    });

    it('that is not valid: what appends nothing is answered after the next append', async () => {
      const world = await withChat();
      world.lease.validUntil = world.time.now();
      const order: string[] = [];
      const note = (name: string) => (outcome: unknown) => void order.push(`${name}: ${String(outcome)}`);
      const refused = world.outcome(send(eve, 'm1')).then(note('refused'));
      await settled();
      expect(order).to.deep.equal([]);
      const answered = world.outcome(send(ada, 'm2')).then(() => order.push('answered'));
      await Promise.all([refused, answered]);
      expect(order).to.deep.equal(['refused: not_found', 'answered']);
    });

    it('that is not valid: what appends nothing is answered after the next renewal', async () => {
      const world = await withChat();
      world.lease.validUntil = world.time.now();
      let outcome: unknown;
      const refused = world.outcome(send(eve, 'm1')).then((told) => {
        outcome = told;
      });
      await settled();
      // Of a renewal that was sent before it was decided, nothing follows.
      world.writer.handleRenewal();
      await settled();
      expect(outcome).to.equal(undefined);
      world.lease.validUntil = world.time.now() + 1;
      world.writer.handleRenewal();
      await refused;
      expect(outcome).to.equal('not_found');
    });

    it('never refuses what another has made true meanwhile', async () => {
      const world = await withChat();
      // It sleeps past its lease; another opens the room of ada and eve, and it wakes up none the wiser.
      world.lease.validUntil = world.time.now();
      const other = new World(world.log);
      for (const user of [ada, bob, eve]) await other.vault.keys.create(user);
      await other.writer.takeOver(other.lease);
      const { roomId } = await other.execute(openChat(ada, eve));
      const refused = world.outcome(send(ada, 'm1', 'hello', { roomId }));
      const lost = world.outcome(send(bob, 'm2'));
      expect(await Promise.all([refused, lost])).to.deep.equal(['not owner', 'not owner']);
    });
  });

  describe('that cannot take over', () => {
    it('refuses what waits for it, and says why', async () => {
      const world = new World(new MemoryLog());
      world.log.script = () => ({ kind: 'fail' });
      const taken = world.writer.takeOver(world.lease).catch((thrown: unknown) => thrown);
      const waiting = world.outcome(openChat(ada, bob));
      expect(await taken).to.be.instanceOf(StorageError);
      expect(await waiting).to.equal('not owner');
    });

    it('tries again while the log is away, and takes what waits then', async () => {
      const world = new World(new MemoryLog());
      for (const user of [ada, bob]) await world.vault.keys.create(user);
      const read = world.log.tail.bind(world.log);
      world.log.tail = () => Promise.reject(new Error('the log is away'));
      const taken = world.writer.takeOver(world.lease);
      const waiting = world.outcome(openChat(ada, bob));
      await world.time.advance(10_000);
      expect(world.reported.length).to.be.above(3);
      world.log.tail = read;
      await world.time.advance(2000);
      await taken;
      expect(await waiting).to.include({ isNewActive: true });
    });
  });
});
