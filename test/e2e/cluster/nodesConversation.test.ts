import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import { streamOf } from '../../../src/domain/ids.js';
import { partitionOf } from '../../../src/log/log.js';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { type NatsServerProcess, natsServerBinary, startNats } from '../../support/nats.js';
import { RawSocket } from '../../support/rawSocket.js';
import { type ServerProcess, startServer } from '../../support/server.js';
import { chatOf, hear, heard, Newcomer, say, two } from '../newcomer.js';

const PARTITIONS = 4;

describe('a conversation over two nodes', function () {
  this.timeout(120_000);
  let nats: NatsServerProcess;
  let env: Readonly<Record<string, string>>;
  const nodes: ServerProcess[] = [];
  let one: ServerProcess;
  let other: ServerProcess;

  const start = async () => {
    const node = await startServer({ engine: 'mongodb', env });
    nodes.push(node);
    return node;
  };
  /** A device on that node, of somebody who may have signed up at another. */
  const at = (node: ServerProcess, { token }: { readonly token: string }, cursor?: string) =>
    RawSocket.open(node.wsUrl, token, cursor);
  const isOnline = async (device: RawSocket, who: Newcomer) =>
    // What a node that was killed had not folded is waited for, and refused after 5 s.
    (await device.persist('get online info', { recipientId: who.userId })).isOnline;

  const bothAre = (ready: boolean) =>
    eventually(`both are ${ready ? 'ready' : 'red'}`, async () => {
      const answers = await Promise.all([one, other].map(({ url }) => fetch(`${url}/ready`)));
      return answers.every(({ ok }) => ok === ready);
    });

  /** Two friends, one on each node, and their chat in which something was said and heard. */
  async function talk() {
    const [ada, ben] = await two(one);
    const [phone, tablet] = [await at(one, ada), await at(other, ben)];
    await phone.request('add friend', { friendId: ben.userId });
    await tablet.push('add friend');
    const roomId = await chatOf(phone, ben);
    await say(phone, roomId, 'hello');
    await hear(tablet, 'hello');
    return { ada, ben, phone, tablet, roomId };
  }

  before(async function () {
    if ((await mongoUrl()) === undefined || natsServerBinary() === undefined) this.skip();
    nats = await startNats();
    env = {
      MONGO_URL: await freshDatabase(),
      NATS_URL: nats.url(),
      PARTITIONS: String(PARTITIONS),
      MASTER_KEY: randomBytes(32).toString('base64'),
      PRESENCE_GRACE: '300ms',
      RATE_LIMIT: 'off',
      AUTH_RATE_LIMIT: 'off',
    };
    one = await start();
    other = await start();
  });
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop().catch(() => {})));
    await nats?.stop();
  });

  it('shows each on the other what they do: messages, marks and chats', async () => {
    const { ben, phone, tablet, roomId } = await talk();
    expect(tablet.pushed('init chat').map(({ room }) => room.roomId)).to.deep.equal([roomId]);
    await say(tablet, roomId, 'hello yourself');
    await hear(phone, 'hello yourself');
    await phone.request('read messages', { roomId });
    const { data } = await tablet.push('read messages');
    expect(data).to.deep.include({ roomId, upTo: 2 });
    // Their own other device is told, wherever it is; the one that sent is not.
    const laptop = await at(one, ben);
    await say(tablet, roomId, 'from the tablet');
    await hear(laptop, 'from the tablet');
    expect(heard(tablet)).to.deep.equal(['hello']);
  });

  it('answers on one from what a revision of the other says', async () => {
    const { ada, phone, roomId } = await talk();
    const laptop = await at(other, ada);
    for (let n = 0; n < 10; n++) {
      const message = `message ${n}`;
      const { revision } = await phone.request('send message', { roomId, messageId: randomUUID(), message });
      const { messages } = await laptop.request('fetch messages', { roomId, revision, limit: 1 });
      expect(messages.at(-1)?.message).to.equal(message);
    }
  });

  it('goes on at the other node from the cursor of the first, without gap or duplicate', async () => {
    const { ben, phone, tablet, roomId } = await talk();
    let cursor = tablet.cursor;
    await tablet.close();
    const got: string[] = [];
    let isTalking = true;
    const talking = (async () => {
      for (let n = 0; n < 200; n++) await say(phone, roomId, `${n}`);
      isTalking = false;
    })();
    for (let hop = 0; isTalking || got.length < 200; hop++) {
      const device = await at(hop % 2 === 0 ? one : other, ben, cursor);
      await device.push('identity');
      if (isTalking) await Promise.race([device.push('send message'), talking]);
      cursor = device.cursor;
      got.push(...heard(device).map(String));
      await device.cut();
    }
    await talking;
    expect(got).to.deep.equal(Array.from({ length: 200 }, (_, n) => `${n}`));
  });

  it('shows on one who types on the other, until a message comes or 6 s have passed', async function () {
    // On a machine that stands still for a moment 6 s may pass before the message.
    this.retries(2);
    const { phone, tablet, roomId } = await talk();
    const told = () => tablet.pushed('notify typing').map(({ isTyping }) => isTyping);
    await phone.request('notify typing', { roomId, isTyping: true });
    await tablet.push('notify typing');
    await say(phone, roomId, 'typed');
    await hear(tablet, 'typed');
    await phone.request('notify typing', { roomId, isTyping: true });
    await tablet.push('notify typing', ({ isTyping }) => !isTyping);
    expect(told()).to.deep.equal([true, true, false]);
  });

  it('has somebody online while a device of theirs is active on either', async () => {
    const { ada, phone, tablet } = await talk();
    const laptop = await at(other, ada);
    await phone.close();
    await laptop.request('background app', {});
    const { data } = await tablet.push('get online info', ({ isOnline }) => !isOnline);
    expect(data.recipientId).to.equal(ada.userId);
    tablet.forget();
    const again = await at(one, ada);
    await tablet.push(
      'get online info',
      ({ isOnline, recipientId }) => isOnline && recipientId === ada.userId,
    );
    await laptop.request('active app', {});
    await again.request('background app', {});
    expect(await isOnline(tablet, ada)).to.equal(true);
  });

  it('ends on both when somebody signs out on one, with NATS down too', async () => {
    for (const isDown of [false, true]) {
      const ada = await Newcomer.at(one);
      const { token, device } = await ada.signedIn();
      const laptop = await at(other, { token });
      // The other node remembers it.
      await new Rest(other.url).user(token, ada.userId);
      if (isDown) await nats.stop();
      await new Rest(one.url).signOut(token);
      const refused = await new Rest(other.url).user(token, ada.userId).catch((error: unknown) => error);
      expect(refused).to.include({ code: 'unauthenticated' });
      expect(await Promise.all([device.closed, laptop.closed])).to.deep.equal([4401, 4401]);
    }
    await nats.start();
    await bothAre(true);
  });

  it('ends the other sessions everywhere when a password is changed', async () => {
    const ada = await Newcomer.at(one);
    const [here, there] = [await ada.signedIn(), await ada.signedIn()];
    const laptop = await at(other, there);
    await new Rest(one.url).changePassword(here.token, ada.password, 'an entirely different one');
    const refused = await new Rest(other.url).user(there.token, ada.userId).catch((error: unknown) => error);
    expect(refused).to.include({ code: 'unauthenticated' });
    expect(await laptop.closed).to.equal(4401);
    await new Rest(other.url).user(here.token, ada.userId);
  });

  it('brings what was said while NATS was down from the log, and loses nothing', async () => {
    const pairs = await Promise.all(Array.from({ length: 6 }, talk));
    // In each partition, and so on each node.
    const owned = () =>
      new Set(pairs.map(({ roomId }) => partitionOf(streamOf('room', roomId), PARTITIONS))).size;
    while (owned() < PARTITIONS) pairs.push(await talk());
    await nats.stop();
    await bothAre(false);
    const said = await Promise.all(
      pairs.map(async ({ phone, tablet, roomId }) => {
        const id = phone.send('send message', { roomId, messageId: randomUUID(), message: 'into the dark' });
        const { error } = await phone.answer(id);
        if (!error) await hear(tablet, 'into the dark');
        return error?.code ?? 'delivered';
      }),
    );
    expect(new Set(said)).to.deep.equal(new Set(['delivered', 'overloaded']));
    await nats.start();
    await bothAre(true);
    for (const { phone, tablet, roomId } of pairs) {
      await say(phone, roomId, 'and light');
      await hear(tablet, 'and light');
    }
  });

  it('takes offline whom a node that was killed left online, but not who has come back', async () => {
    const [gone, back] = [await talk(), await talk()];
    const watching = await at(one, gone.ada);
    const laptop = await at(one, back.ada);
    expect(await isOnline(watching, gone.ben)).to.equal(true);
    const killed = other.kill();
    await gone.tablet.closed;
    await killed;
    const died = Date.now();
    await at(one, back.ben);
    const { data } = await watching.push('get online info', ({ isOnline }) => !isOnline);
    expect(data.recipientId).to.equal(gone.ben.userId);
    expect(Date.parse(data.lastSeen ?? '')).within(died - 15_000, died + 1000);
    expect(await isOnline(laptop, back.ben)).to.equal(true);
    expect(laptop.pushed('get online info').filter(({ isOnline }) => !isOnline)).to.deep.equal([]);
  });
});
