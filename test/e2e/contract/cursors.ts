import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, heard, Newcomer, say, talk } from '../newcomer.js';

/** The steps while a user is away. Resolves with the steps and checks of the return. */
type Absence = () => Promise<() => Promise<void>>;

/**
 * Resuming from a cursor. `ageCursors` is called once. It makes all cursors issued so far old, for example by a restart.
 */
export function cursors(place: Place, ageCursors: () => Promise<void>): void {
  const caughtUp = (device: RawSocket) => device.push('identity', ({ caughtUp }) => caughtUp);
  /** The events of stored pushes, in the order they came. `caughtUp` has a cursor and is not stored. */
  const stored = (device: RawSocket) =>
    device.frames.flatMap(({ id, event, cursor }) =>
      id === undefined && cursor !== undefined && event !== 'identity' ? [event] : [],
    );
  const absences: Absence[] = [];
  const returns: (() => Promise<void>)[] = [];
  const absence = (title: string, away: Absence): void => {
    const at = absences.push(away) - 1;
    it(title, () => returns[at]?.());
  };
  before(async function () {
    this.timeout(120_000);
    for (const away of absences) returns.push(await away());
    await ageCursors();
  });

  absence(
    'is repeated by the answer, and what was missed comes in order, then caughtUp, then what is new',
    async () => {
      const { ada, ben, phone, tablet, roomId } = await talk(place);
      const { cursor } = tablet;
      await tablet.close();
      for (const text of ['one', 'two', 'three']) await say(phone, roomId, text);
      return async () => {
        const resumed = await ben.device(cursor);
        expect(resumed.frames[0]?.data).to.deep.equal({ user: ben.user, cursor });
        await caughtUp(resumed);
        expect(heard(resumed)).to.deep.equal(['one', 'two', 'three']);
        await say(await ada.device(), roomId, 'live');
        await hear(resumed, 'live');
        expect(heard(resumed)).to.deep.equal(['one', 'two', 'three', 'live']);
        expect(resumed.pushed('identity')).to.deep.equal([{ caughtUp: true }]);
      };
    },
  );

  absence('brings messages as they were pushed', async () => {
    const { ben, phone, tablet, roomId, hello } = await talk(place);
    const { cursor } = tablet;
    await tablet.close();
    const message = await phone.request('send message', {
      roomId,
      messageId: crypto.randomUUID(),
      message: 'a reply 👋\u0000',
      replyTo: hello.messageId,
    });
    return async () => {
      const resumed = await ben.device(cursor);
      await caughtUp(resumed);
      expect(resumed.pushed('send message')).to.deep.equal([{ message: message.message }]);
    };
  });

  absence('brings caughtUp alone when nothing was missed, and none without a cursor', async () => {
    const { ada, ben, tablet, roomId } = await talk(place);
    const { cursor } = tablet;
    return async () => {
      const [resumed, anew] = [await ben.device(cursor), await ben.device()];
      await caughtUp(resumed);
      await say(await ada.device(), roomId, 'live');
      await Promise.all([hear(resumed, 'live'), hear(anew, 'live')]);
      expect(stored(resumed)).to.deep.equal(['send message']);
      expect(anew.pushed('identity')).to.deep.equal([]);
    };
  });

  absence('brings new friends and chats too: the chat before its first message', async () => {
    const ben = await Newcomer.at(place);
    const first = await ben.device();
    const { cursor } = first;
    await first.close();
    const [ada, cleo] = [await Newcomer.at(place), await Newcomer.at(place)];
    const [phone, laptop] = [await ada.device(), await cleo.device()];
    await phone.request('add friend', { friendId: ben.userId });
    const [withAda, withCleo] = [await chatOf(phone, ben), await chatOf(laptop, ben)];
    await say(phone, withAda, 'hello from Ada');
    await say(laptop, withCleo, 'hello from Cleo');
    // In which nothing was said: not active for Ben.
    await chatOf(await (await Newcomer.at(place)).device(), ben);
    return async () => {
      const resumed = await ben.device(cursor);
      await caughtUp(resumed);
      expect(resumed.pushed('add friend')).to.deep.equal([{ friend: ada.user }]);
      expect(resumed.pushed('init chat').map(({ room }) => room.roomId)).to.have.members([withAda, withCleo]);
      expect(heard(resumed)).to.have.members(['hello from Ada', 'hello from Cleo']);
      for (const roomId of [withAda, withCleo]) {
        const ofRoom = resumed.frames.filter(({ data }) => JSON.stringify(data ?? {}).includes(roomId));
        expect(ofRoom.map(({ event }) => event)).to.deep.equal(['init chat', 'send message']);
      }
    };
  });

  absence('brings what my other devices did, and this one', async () => {
    const { ada, ben, phone, roomId } = await talk(place);
    const cleo = await Newcomer.at(place);
    const laptop = await ada.device();
    // Its node may be pushed what was said before only now.
    await say(phone, roomId, 'not missed');
    await hear(laptop, 'not missed');
    const { cursor } = laptop;
    await say(phone, roomId, 'from my phone');
    await hear(laptop, 'from my phone');
    await say(laptop, roomId, 'from here');
    await laptop.request('add friend', { friendId: ben.userId });
    await laptop.request('init chat', { friendId: cleo.userId });
    await laptop.close();
    return async () => {
      const resumed = await ada.device(cursor);
      await caughtUp(resumed);
      expect(heard(resumed)).to.deep.equal(['from my phone', 'from here']);
      expect(resumed.pushed('add friend')).to.deep.equal([{ friend: ben.user }]);
      expect(resumed.pushed('init chat')).to.have.length(1);
    };
  });

  absence('brings read marks as the newest of each member', async () => {
    const { ben, phone, tablet, roomId, ada } = await talk(place);
    const { cursor } = tablet;
    for (const text of ['two', 'three', 'four']) {
      const { seq } = await say(phone, roomId, text);
      await tablet.request('read messages', { roomId, upTo: seq });
    }
    await tablet.request('send message', { roomId, messageId: crypto.randomUUID(), message: 'five' });
    await phone.request('read messages', { roomId });
    return async () => {
      const resumed = await ben.device(cursor);
      await caughtUp(resumed);
      expect(resumed.pushed('read messages')).to.have.deep.members([
        { roomId, userId: ben.userId, upTo: 4 },
        { roomId, userId: ada.userId, upTo: 5 },
      ]);
      expect(heard(resumed)).to.deep.equal(['two', 'three', 'four', 'five']);
    };
  });

  absence('goes on without gap or duplicate from wherever it was cut off', async () => {
    const ben = await Newcomer.at(place);
    const first = await ben.device();
    let { cursor } = first;
    await first.close();
    const rooms: string[] = [];
    const senders: RawSocket[] = [];
    for (let n = 0; n < 4; n++) {
      const sender = await (await Newcomer.at(place)).device();
      rooms.push(await chatOf(sender, ben));
      senders.push(sender);
    }
    for (let n = 1; n <= 5; n++)
      for (const [at, sender] of senders.entries()) await say(sender, rooms[at] ?? '', `number ${n}`);
    return async () => {
      const got: { roomId: string; seq: number }[] = [];
      let done = false;
      // Three pushes at a time: the rest is lost with the connection.
      for (let cuts = 0; !done && cuts < 30; cuts++) {
        const device = await ben.device(cursor);
        await device.until('some pushes', () =>
          stored(device).length >= 3 ? true : device.pushes('identity')[0],
        );
        await device.cut();
        let taken = 0;
        for (const frame of device.frames) {
          if (frame.id !== undefined) continue;
          if (taken === 3) break;
          if (frame.event === 'identity') done = true;
          if (frame.cursor === undefined) continue;
          taken++;
          cursor = frame.cursor;
          // A frame of this event has a message.
          if (frame.event === 'send message')
            got.push((frame.data as { message: { roomId: string; seq: number } }).message);
        }
      }
      expect(done).to.equal(true);
      for (const roomId of rooms)
        expect(got.filter((message) => message.roomId === roomId).map(({ seq }) => seq)).to.deep.equal([
          1, 2, 3, 4, 5,
        ]);
      expect(got).to.have.length(20);
    };
  });

  absence('has neither gap nor duplicate while others go on talking', async () => {
    const { ada, ben, phone, tablet, roomId } = await talk(place);
    const { cursor } = tablet;
    await Promise.all(Array.from({ length: 300 }, (_, n) => say(phone, roomId, `missed ${n}`)));
    return async () => {
      const sender = await ada.device();
      const talking = Promise.all(
        Array.from({ length: 300 }, (_, n) => say(sender, roomId, `meanwhile ${n}`)),
      );
      const resumed = await ben.device(cursor);
      await talking;
      await hear(resumed, 'meanwhile 299');
      await caughtUp(resumed);
      const seqs = resumed.pushed('send message').map(({ message }) => message.seq);
      expect(seqs).to.deep.equal(Array.from({ length: 600 }, (_, n) => n + 2));
    };
  });

  absence('brings more than a reader is given at once', async () => {
    const { ben, phone, tablet, roomId } = await talk(place);
    const { cursor } = tablet;
    await tablet.close();
    const other = await (await Newcomer.at(place)).device();
    const otherRoom = await chatOf(other, ben);
    const large = '🌧'.repeat(8192);
    for (let n = 0; n < 12; n++) await Promise.all([say(phone, roomId, large), say(other, otherRoom, large)]);
    return async () => {
      const resumed = await ben.device(cursor);
      await caughtUp(resumed);
      expect(heard(resumed)).to.have.length(24);
    };
  });

  absence('lets queries see all that was replayed', async () => {
    const { ben, phone, tablet, roomId } = await talk(place);
    const { cursor } = tablet;
    await tablet.close();
    await say(phone, roomId, 'missed');
    return async () => {
      const resumed = await ben.device(cursor);
      await hear(resumed, 'missed');
      const { chats } = await resumed.request('get active chats', {});
      expect(chats[0]?.lastMessage?.message).to.equal('missed');
      const { messages } = await resumed.request('fetch messages', { roomId, limit: 1 });
      expect(messages[0]?.message).to.equal('missed');
    };
  });
}
