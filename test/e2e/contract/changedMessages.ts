import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say, talk } from '../newcomer.js';

const FAMILY = '👩‍👩‍👧';
const KEYCAP = '1️⃣';
const unknown = '11111111-1111-4111-8111-111111111111';

/** Two people who talk, for each test. */
function pair(place: Place) {
  const world = {} as Awaited<ReturnType<typeof talk>>; // Filled before each test.
  beforeEach(async () => {
    Object.assign(world, await talk(place));
  });
  afterEach(() => Promise.all([world.phone, world.tablet].map((device) => device.close())));
  return world;
}

/** The page of all messages, as the device sees it now. */
const page = async (device: RawSocket, roomId: string): Promise<Message[]> =>
  (await device.request('fetch messages', { roomId, limit: 200 })).messages;

/** What a device of this person is sent that comes back with this cursor. */
async function missed(who: Newcomer, cursor: string | undefined) {
  const back = await who.device(cursor);
  await back.push('identity', ({ caughtUp }) => caughtUp);
  const names = ['send message', 'edit message', 'delete message', 'react', 'pin message'] as const;
  const found = names.flatMap((name) => back.pushed(name).map((data) => [name, data] as const));
  await back.close();
  return found;
}

/** `mentions` and `data` of `send message`. */
export function bodies(place: Place): void {
  const world = pair(place);
  const send = (body: object) => ({ roomId: world.roomId, messageId: randomUUID(), message: 'hi', ...body });

  it('has mentions and data, which come as they were given, to everybody and for ever', async () => {
    const { ada, ben, phone, tablet, roomId } = world;
    const data = JSON.parse(
      '{"b":[1,{"c":null}],"a":"\\u0000😀","__proto__":{"x":1},"constructor":2,"10":0}',
    );
    const sent = send({ mentions: [ben.userId.toUpperCase(), ada.userId, ben.userId], data });
    const { message } = await phone.request('send message', sent as never);
    expect(message.mentions).to.deep.equal([ben.userId, ada.userId]);
    expect(JSON.stringify(message.data)).to.equal(JSON.stringify(data));
    expect(await hear(tablet, 'hi')).to.deep.equal(message);
    expect(JSON.stringify((await page(tablet, roomId)).at(-1))).to.equal(JSON.stringify(message));
    expect((await phone.request('send message', sent as never)).message, 'once more').to.deep.equal(message);
    const plain = await say(phone, roomId, 'plain');
    expect(plain).to.not.have.any.keys('mentions', 'data', 'rev', 'editedAt', 'reactions', 'pinned');
  });

  it('is another body with other mentions or data, whatever the order of keys', async () => {
    const { ben, phone } = world;
    const sent = send({ mentions: [ben.userId], data: { a: 1, b: { c: [1, 2], d: 2 } } });
    const { message } = await phone.request('send message', sent as never);
    const reordered = { ...sent, data: { b: { d: 2, c: [1, 2] }, a: 1 } };
    expect((await phone.request('send message', reordered as never)).message).to.deep.equal(message);
    const others = [
      { ...sent, data: { ...reordered.data, a: 2 } },
      { ...sent, data: { ...reordered.data, b: { d: 2, c: [2, 1] } } },
      { ...sent, mentions: ['all'] },
      { ...sent, data: undefined },
      { ...sent, mentions: undefined },
    ];
    for (const other of others)
      expect(await phone.refusal('send message', other)).to.include({ code: 'conflict' });
  });

  it('mentions members only, at most 50, or all', async () => {
    const { ben, phone } = world;
    const stranger = await Newcomer.at(place);
    const refused = [[stranger.userId], [ben.userId, unknown], ['nobody'], ['all', ben.userId], 'all', [7]];
    for (const mentions of refused) {
      const { code, fields } = await phone.refusal('send message', send({ mentions }));
      expect({ code, path: fields?.[0]?.path.split('.')[0] }, JSON.stringify(mentions)).to.deep.equal({
        code: 'bad_request',
        path: 'mentions',
      });
    }
    const many = Array.from({ length: 51 }, () => randomUUID());
    const { code, reason } = await phone.refusal('send message', send({ mentions: many }));
    expect({ code, reason }).to.deep.equal({ code: 'forbidden', reason: 'too_many' });
    const { message } = await phone.request('send message', send({ mentions: ['all'] }) as never);
    expect(message.mentions).to.deep.equal(['all']);
    const none = await phone.request('send message', send({ mentions: [] }) as never);
    expect(none.message).to.not.have.property('mentions');
  });

  it('takes data of at most 4 KiB as JSON, an object and nothing else', async () => {
    const { phone } = world;
    const ofBytes = (bytes: number) => ({ k: 'x'.repeat(bytes - '{"k":""}'.length) });
    const { message } = await phone.request('send message', send({ data: ofBytes(4096) }) as never);
    expect(message.data).to.deep.equal(ofBytes(4096));
    const wide = { k: '€'.repeat(1363) };
    for (const data of [ofBytes(4097), wide, 'text', 7, null, [1], true]) {
      const { code, fields } = await phone.refusal('send message', send({ data }));
      expect({ code, path: fields?.[0]?.path }).to.deep.equal({ code: 'bad_request', path: 'data' });
    }
    // As text: `JSON.stringify` cannot write it.
    const deep = `{"k":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const request = JSON.stringify({ id: 'deep', event: 'send message', data: send({ data: 0 }) });
    phone.socket.send(request.replace('"data":0', `"data":${deep}`));
    const { error } = await phone.answer('deep');
    expect(error).to.containSubset({ code: 'bad_request', fields: [{ path: 'data' }] });
    expect((await phone.request('send message', send({ data: {} }) as never)).message.data).to.deep.equal({});
  });

  it('shows me the messages above my mark that mention me, the newest 100', async () => {
    const { ben, phone, tablet, roomId } = world;
    const mentionsNow = async (revision?: string) => {
      const asked = revision === undefined ? { roomId } : { roomId, revision };
      return (await tablet.request('get chat', asked)).chat.mentions ?? [];
    };
    expect(await mentionsNow()).to.deep.equal([]);
    const [first] = await Promise.all(
      ['all', ben.userId].map((who) => phone.request('send message', send({ mentions: [who] }) as never)),
    );
    // What the other device is pushed may come later than the answer.
    const said = await phone.request('send message', send({ message: 'nobody' }) as never);
    expect(await mentionsNow(said.revision)).to.deep.equal([2, 3]);
    const messageId = first?.message.messageId ?? '';
    const edit = { roomId, messageId, editId: randomUUID(), message: 'nobody any more' };
    const edited = await phone.request('edit message', edit);
    expect(await mentionsNow(edited.revision)).to.deep.equal([3]);
    const again = { ...edit, editId: randomUUID(), mentions: [ben.userId] };
    const { revision } = await phone.request('edit message', again);
    expect(await mentionsNow(revision)).to.deep.equal([2, 3]);
    await tablet.request('read messages', { roomId, upTo: 2 });
    expect(await mentionsNow()).to.deep.equal([3]);
    let last: string | undefined;
    for (let i = 0; i < 100; i++)
      last = (await phone.request('send message', send({ mentions: ['all'] }) as never)).revision;
    const shown = await mentionsNow(last);
    expect([shown.length, shown[0], shown.at(-1)]).to.deep.equal([100, 5, 104]);
    expect((await phone.request('get chat', { roomId })).chat, 'mine').to.not.have.property('mentions');
  });
}

/** `edit message` and `get edits`. */
export function edits(place: Place): void {
  const world = pair(place);
  const editOf = (messageId: string, message: string, more: object = {}) => ({
    ...{ roomId: world.roomId, messageId, editId: randomUUID(), message },
    ...more,
  });

  it('keeps seq and sentAt, raises rev, sets editedAt, and is pushed to all but the sending connection', async () => {
    const { ada, ben, phone, tablet, roomId } = world;
    const laptop = await ada.device();
    const data = { of: 'mine' };
    const first = { roomId, messageId: randomUUID(), message: 'frist', data, mentions: ['all'] };
    const { message: sent } = await phone.request('send message', first);
    await tablet.request('react', { roomId, messageId: sent.messageId, emoji: '👍', on: true });
    const { message, revision } = await phone.request(
      'edit message',
      editOf(sent.messageId, 'first', { mentions: [ben.userId] }),
    );
    const reactions = [{ emoji: '👍', userIds: [ben.userId], count: 1 }];
    const editedAt = message.editedAt ?? '';
    expect(message).to.deep.equal({
      ...{ ...sent, message: 'first', mentions: [ben.userId], data, rev: 1, editedAt, reactions },
    });
    expect(editedAt >= sent.sentAt && editedAt === new Date(editedAt).toISOString()).to.equal(true);
    for (const device of [laptop, tablet]) {
      const push = await device.push('edit message');
      expect(push.data).to.deep.equal({ roomId, message });
      expect(push.cursor).to.be.a('string');
    }
    expect(phone.pushed('edit message')).to.deep.equal([]);
    const read = await tablet.request('fetch messages', { roomId, revision });
    expect(read.messages.at(-1)).to.deep.equal(message);
    expect((await tablet.request('get chat', { roomId })).chat.lastMessage).to.deep.equal(message);
    const again = await phone.request('edit message', editOf(sent.messageId, 'first again'));
    expect(again.message).to.include({ rev: 2, message: 'first again', seq: sent.seq, sentAt: sent.sentAt });
    expect(again.message, 'the body is a new one').to.not.have.property('mentions');
    await laptop.close();
  });

  it('may be repeated with its editId, and is answered with the message as it is now', async () => {
    const { ben, phone, tablet, roomId, hello } = world;
    const mentions = [ben.userId];
    const [one, two, three] = ['one', 'two', 'three'].map((text) =>
      editOf(hello.messageId, text, { mentions }),
    );
    if (!one || !two || !three) throw new Error('there are three edits');
    await Promise.all([phone.request('edit message', one), phone.request('edit message', one)]);
    await phone.request('edit message', two);
    const { message: now } = await phone.request('edit message', three);
    expect(now).to.include({ rev: 3, message: 'three' });
    for (const edit of [one, two, three]) {
      expect((await phone.request('edit message', edit)).message).to.deep.equal(now);
      for (const other of [
        { ...edit, message: 'other' },
        { ...edit, mentions: [] },
      ])
        expect(await phone.refusal('edit message', other)).to.include({ code: 'conflict' });
    }
    await tablet.push('edit message', ({ message }) => message.rev === 3);
    expect(tablet.pushed('edit message').map(({ message }) => message.rev)).to.deep.equal([1, 2, 3]);
    const repeated = { roomId, messageId: hello.messageId, message: 'hello' };
    const { message } = await phone.request('send message', repeated);
    expect(message, 'a repeated send').to.deep.equal(now);
    const changed = { ...repeated, message: 'three' };
    expect(await phone.refusal('send message', changed)).to.include({ code: 'conflict' });
  });

  it('is for my own messages, of a room of mine, and of texts as sent', async () => {
    const { phone, tablet, roomId, hello } = world;
    const stranger = await (await Newcomer.at(place)).device();
    const edit = editOf(hello.messageId, 'theirs');
    expect(await tablet.refusal('edit message', edit)).to.include({ code: 'forbidden' });
    expect(await stranger.refusal('edit message', edit)).to.include({ code: 'not_found' });
    expect(await stranger.refusal('get edits', { roomId, messageId: hello.messageId })).to.include({
      code: 'not_found',
    });
    expect(await phone.refusal('edit message', editOf(unknown, 'x'))).to.include({ code: 'not_found' });
    expect(await phone.refusal('get edits', { roomId, messageId: unknown })).to.include({
      code: 'not_found',
    });
    for (const message of ['', ' ', 'x'.repeat(8193), '\ud800']) {
      const { code, fields } = await phone.refusal('edit message', editOf(hello.messageId, message));
      expect({ code, path: fields?.[0]?.path }).to.deep.equal({ code: 'bad_request', path: 'message' });
    }
    await stranger.close();
  });

  it('gives all texts, oldest first, from the first text, and takes 50', async () => {
    const { phone, tablet, roomId, hello } = world;
    const { messageId } = hello;
    const texts = ['hello', ...Array.from({ length: 50 }, (_, i) => `text ${i + 1}`)];
    for (const text of texts.slice(1)) await phone.request('edit message', editOf(messageId, text));
    const { code, reason } = await phone.refusal('edit message', editOf(messageId, 'one more'));
    expect({ code, reason }).to.deep.equal({ code: 'forbidden', reason: 'too_many' });
    const { edits: given } = await tablet.request('get edits', { roomId, messageId });
    expect(given.map(({ rev, message }) => [rev, message])).to.deep.equal(
      texts.map((text, rev) => [rev, text]),
    );
    expect(given[0]?.at).to.equal(hello.sentAt);
    const times = given.map(({ at }) => at);
    expect(times).to.deep.equal([...times].sort());
    const plain = await say(phone, roomId, 'never edited');
    const { edits: none } = await tablet.request('get edits', { roomId, messageId: plain.messageId });
    expect(none).to.deep.equal([{ rev: 0, message: 'never edited', at: plain.sentAt }]);
  });
}

/** `delete message`. */
export function deletions(place: Place): void {
  const world = pair(place);

  it('leaves the place of the message, and nothing else of it', async () => {
    const { ada, ben, phone, tablet, roomId, hello } = world;
    const laptop = await ada.device();
    const first = {
      roomId,
      messageId: randomUUID(),
      message: 'gone',
      data: { a: 1 },
      mentions: [ben.userId],
    };
    const { message: sent } = await phone.request('send message', { ...first, replyTo: hello.messageId });
    const { messageId, seq } = sent;
    await phone.request('edit message', { roomId, messageId, editId: randomUUID(), message: 'gone too' });
    await tablet.request('react', { roomId, messageId, emoji: '🎉', on: true });
    await tablet.request('pin message', { roomId, messageId, on: true });
    const { revision } = await phone.request('delete message', { roomId, messageId });
    const told = { roomId, messageId, seq, by: ada.userId };
    for (const device of [laptop, tablet])
      expect((await device.push('delete message')).data).to.deep.equal(told);
    expect(phone.pushed('delete message')).to.deep.equal([]);
    const left = {
      ...{ messageId, roomId, seq, senderId: ada.userId, message: null, replyTo: hello.messageId },
      ...{ sentAt: sent.sentAt, deleted: { by: ada.userId } },
    };
    const { messages } = await tablet.request('fetch messages', { roomId, revision });
    expect(messages.at(-1)).to.deep.equal(left);
    const { chat } = await tablet.request('get chat', { roomId });
    expect(chat.lastMessage).to.deep.equal(left);
    expect(chat).to.not.have.any.keys('mentions', 'pinnedMessages');
    expect((await tablet.request('get edits', { roomId, messageId })).edits).to.deep.equal([]);
    await phone.request('delete message', { roomId, messageId });
    const again = await phone.request('send message', { ...first, replyTo: hello.messageId });
    expect(again.message, 'a repeated send').to.deep.equal(left);
    expect(tablet.pushed('delete message')).to.deep.equal([told]);
    await laptop.close();
  });

  it('is mine to do, and every later change is a conflict with gone', async () => {
    const { phone, tablet, roomId, hello } = world;
    const { messageId } = hello;
    const stranger = await (await Newcomer.at(place)).device();
    const edit = { roomId, messageId, editId: randomUUID(), message: 'late' };
    await phone.request('edit message', edit);
    expect(await tablet.refusal('delete message', { roomId, messageId })).to.include({ code: 'forbidden' });
    for (const [device, id] of [
      [stranger, messageId],
      [phone, unknown],
    ] as const)
      expect(await device.refusal('delete message', { roomId, messageId: id })).to.include({
        code: 'not_found',
      });
    await phone.request('delete message', { roomId, messageId });
    const changes: [RawSocket, string, object][] = [
      [phone, 'edit message', edit],
      [phone, 'edit message', { ...edit, editId: randomUUID() }],
      [tablet, 'react', { roomId, messageId, emoji: '👍', on: true }],
      [tablet, 'pin message', { roomId, messageId, on: true }],
    ];
    for (const [device, event, data] of changes) {
      const { code, reason } = await device.refusal(event, data);
      expect({ code, reason }, event).to.deep.equal({ code: 'conflict', reason: 'gone' });
    }
    await stranger.close();
  });
}

/** `react` and `pin message`. */
export function reactionsAndPins(place: Place): void {
  const world = pair(place);

  it('shows who reacted, in order, and tells the others', async () => {
    const { ada, ben, phone, tablet, roomId, hello } = world;
    const { messageId, seq } = hello;
    const react = (device: RawSocket, emoji: string, on = true) =>
      device.request('react', { roomId, messageId, emoji, on });
    await react(tablet, '👍');
    await react(phone, FAMILY);
    const { reactions, revision } = await react(phone, '👍');
    expect(reactions).to.deep.equal([
      { emoji: '👍', userIds: [ben.userId, ada.userId], count: 2 },
      { emoji: FAMILY, userIds: [ada.userId], count: 1 },
    ]);
    const { messages } = await tablet.request('fetch messages', { roomId, revision });
    expect(messages[0]).to.deep.equal({ ...hello, reactions });
    const push = await tablet.push('react', ({ emoji }) => emoji === '👍');
    expect(push.data).to.deep.equal({ roomId, messageId, seq, userId: ada.userId, emoji: '👍', on: true });
    expect(push.cursor).to.be.a('string');
    expect((await react(phone, '👍')).reactions, 'a repeat').to.deep.equal(reactions);
    await react(phone, '👍', false);
    expect((await react(phone, '👍', false)).reactions, 'a repeat').to.deep.equal([
      { emoji: '👍', userIds: [ben.userId], count: 1 },
      { emoji: FAMILY, userIds: [ada.userId], count: 1 },
    ]);
    await react(tablet, '👍', false);
    expect((await react(phone, FAMILY, false)).reactions).to.deep.equal([]);
    // Before this push the tablet's own questions need not know of it.
    await tablet.push('react', ({ emoji, on }) => emoji === FAMILY && !on);
    expect((await page(tablet, roomId))[0], 'as at first').to.deep.equal(hello);
    expect(tablet.pushed('react').map(({ emoji, on }) => [emoji, on])).to.deep.equal([
      [FAMILY, true],
      ['👍', true],
      ['👍', false],
      [FAMILY, false],
    ]);
  });

  it('takes one emoji of Unicode’s RGI set, 10 of mine and 50 different ones a message', async () => {
    const { phone, tablet, roomId, hello } = world;
    const react = { roomId, messageId: hello.messageId, on: true };
    for (const emoji of [KEYCAP, '🇩🇪', '👍🏽', '❤️']) {
      await phone.request('react', { ...react, emoji });
      await phone.request('react', { ...react, emoji, on: false });
    }
    for (const emoji of ['', 'a', '👍👍', '👍 ', '1', '\u200d', ':+1:', `${FAMILY}👩`, '🇩', 7]) {
      const { code, fields } = await phone.refusal('react', { ...react, emoji });
      expect({ code, path: fields?.[0]?.path }, String(emoji)).to.deep.equal({
        code: 'bad_request',
        path: 'emoji',
      });
    }
    const faces = Array.from({ length: 11 }, (_, i) => String.fromCodePoint(0x1f600 + i));
    for (const emoji of faces.slice(0, 10)) await phone.request('react', { ...react, emoji });
    const { code, reason } = await phone.refusal('react', { ...react, emoji: faces[10] });
    expect({ code, reason }).to.deep.equal({ code: 'forbidden', reason: 'too_many' });
    await phone.request('react', { ...react, emoji: faces[0] ?? '', on: false });
    await phone.request('react', { ...react, emoji: faces[10] ?? '' });
    await tablet.request('react', { ...react, emoji: faces[0] ?? '' });
  });

  it('pins messages for both, at most 50 a room, in the order of pinning', async () => {
    const { ada, ben, phone, tablet, roomId, hello } = world;
    const pin = (device: RawSocket, messageId: string, on = true) =>
      device.request('pin message', { roomId, messageId, on });
    const { revision } = await pin(tablet, hello.messageId);
    expect((await phone.push('pin message')).data).to.deep.equal({
      ...{ roomId, messageId: hello.messageId, seq: 1, on: true, by: ben.userId },
    });
    const { messages } = await phone.request('fetch messages', { roomId, revision });
    expect(messages[0]).to.deep.equal({ ...hello, pinned: true });
    const others: string[] = [];
    for (let i = 0; i < 50; i++) others.push((await say(phone, roomId, `message ${i}`)).messageId);
    for (const messageId of others.slice(0, 49)) await pin(phone, messageId);
    const last = others[49] ?? '';
    const { code, reason } = await phone.refusal('pin message', { roomId, messageId: last, on: true });
    expect({ code, reason }).to.deep.equal({ code: 'forbidden', reason: 'too_many' });
    await pin(phone, hello.messageId);
    await pin(phone, hello.messageId, false);
    await pin(phone, hello.messageId, false);
    await pin(phone, last);
    await tablet.push('pin message', ({ messageId }) => messageId === last);
    const { chat } = await tablet.request('get chat', { roomId });
    expect(chat.pinnedMessages).to.deep.equal(others);
    expect(
      tablet.pushed('pin message').filter(({ messageId }) => messageId === hello.messageId),
    ).to.deep.equal([{ roomId, messageId: hello.messageId, seq: 1, on: false, by: ada.userId }]);
    expect((await page(phone, roomId))[0]).to.deep.equal(hello);
  });

  it('is for members, and for messages that are there', async () => {
    const { phone, roomId, hello } = world;
    const stranger = await (await Newcomer.at(place)).device();
    for (const [event, data] of [
      ['react', { emoji: '👍', on: true }],
      ['pin message', { on: true }],
    ] as const) {
      const refused = async (device: RawSocket, room: string, messageId: string) =>
        (await device.refusal(event, { ...data, roomId: room, messageId })).code;
      expect(await refused(stranger, roomId, hello.messageId)).to.equal('not_found');
      expect(await refused(phone, roomId, unknown)).to.equal('not_found');
      const other = await chatOf(phone, await Newcomer.at(place));
      expect(await refused(phone, other, hello.messageId), 'of another room').to.equal('not_found');
    }
    await stranger.close();
  });
}

/** Changed messages for those who were away; `pause` happens while they are. */
export function changesMissed(place: Place, pause: () => Promise<void>): void {
  it('come once each, as they are now, where they were sent or changed', async () => {
    const { ada, ben, phone, tablet, roomId, hello } = await talk(place);
    const old = await say(phone, roomId, 'old');
    const kept = await say(phone, roomId, 'kept');
    const doomed = await say(phone, roomId, 'doomed');
    await hear(tablet, 'doomed');
    const { cursor } = tablet;
    await tablet.close();
    // One on each node: what has been pushed there comes before `caughtUp`, and is behind the present cursor.
    const witnesses = [await ada.device(), await ada.device()];
    const edit = (messageId: string, message: string) =>
      phone.request('edit message', { roomId, messageId, editId: randomUUID(), message });
    const fresh = await say(phone, roomId, 'fresh');
    await edit(fresh.messageId, 'fresh, edited');
    await phone.request('react', { roomId, messageId: old.messageId, emoji: '👍', on: true });
    await phone.request('react', { roomId, messageId: fresh.messageId, emoji: '🎉', on: true });
    await edit(old.messageId, 'old, edited');
    await edit(old.messageId, 'old, edited twice');
    await edit(doomed.messageId, 'doomed, edited');
    await phone.request('delete message', { roomId, messageId: doomed.messageId });
    const gone = await say(phone, roomId, 'said and deleted');
    await phone.request('delete message', { roomId, messageId: gone.messageId });
    await phone.request('pin message', { roomId, messageId: hello.messageId, on: true });
    await Promise.all(witnesses.map((witness) => witness.push('pin message')));
    const bySeq = async () => new Map((await page(phone, roomId)).map((message) => [message.seq, message]));
    const now = await bySeq();
    const { cursor: present } = await ada.device().then(async (device) => {
      const at = device.cursor;
      await device.close();
      return { cursor: at };
    });
    await pause();
    const given = await missed(ben, cursor);
    expect(given).to.have.deep.members([
      ['send message', { message: now.get(fresh.seq) }],
      ['send message', { message: now.get(gone.seq) }],
      ['edit message', { roomId, message: now.get(old.seq) }],
      ['edit message', { roomId, message: now.get(hello.seq) }],
      ['delete message', { roomId, messageId: doomed.messageId, seq: doomed.seq, by: ada.userId }],
    ]);
    expect(JSON.stringify(given)).to.not.include(kept.messageId);
    expect(now.get(old.seq)).to.include({ rev: 2, message: 'old, edited twice' });
    expect(now.get(old.seq)?.reactions).to.have.length(1);
    expect(await missed(ben, present), 'from behind it all').to.deep.equal([]);
    await Promise.all([phone, ...witnesses].map((device) => device.close()));
  });
}

/** `change chat`, and the filters of `get active chats`. */
export function chatSettings(place: Place): void {
  const world = pair(place);
  const change = (changes: object) =>
    world.tablet.request('change chat', { roomId: world.roomId, ...changes });
  const listed = async (filter?: 'all' | 'active' | 'archived') => {
    const { chats } = await world.tablet.request('get active chats', filter ? { filter } : {});
    return chats.map(({ roomId }) => roomId);
  };

  it('are mine alone, told to my other devices, and may be repeated', async () => {
    const { ben, phone, tablet, roomId } = world;
    const watch = await ben.device();
    const mutedUntil = '2030-01-02T03:04:05.000Z';
    const { chat, revision } = await change({ mutedUntil: '2030-01-02T03:04:05Z', pinned: true });
    expect(chat).to.deep.include({ roomId, mutedUntil, pinned: true });
    expect(chat).to.not.have.property('archived');
    expect((await tablet.request('get chat', { roomId, revision })).chat).to.deep.equal(chat);
    expect((await tablet.request('get active chats', { revision })).chats).to.deep.equal([chat]);
    const push = await watch.push('change chat');
    expect(push.data).to.deep.equal({ chat });
    expect(push.cursor).to.be.a('string');
    expect((await change({ mutedUntil, pinned: true })).chat).to.deep.equal(chat);
    expect((await change({})).chat).to.deep.equal(chat);
    const undone = await change({ mutedUntil: null, pinned: false });
    expect(undone.chat).to.not.have.any.keys('mutedUntil', 'pinned');
    await watch.push('change chat', (data) => data.chat.pinned === undefined);
    expect(watch.pushed('change chat'), 'a repeat is not told').to.have.length(2);
    expect(tablet.pushed('change chat')).to.deep.equal([]);
    expect((await phone.request('get chat', { roomId })).chat, 'the other’s').to.not.have.any.keys('pinned');
    expect(phone.pushed('change chat')).to.deep.equal([]);
    await watch.close();
  });

  it('archive a chat until a new message comes, unless it is muted', async () => {
    const { phone, roomId } = world;
    expect([await listed(), await listed('archived')]).to.deep.equal([[roomId], []]);
    expect((await change({ archived: true })).chat.archived).to.equal(true);
    expect([await listed(), await listed('active'), await listed('archived')]).to.deep.equal([
      [],
      [],
      [roomId],
    ]);
    await say(phone, roomId, 'wake up');
    await hear(world.tablet, 'wake up');
    expect([await listed('all'), await listed('archived')]).to.deep.equal([[roomId], []]);
    await change({ archived: true, mutedUntil: '2030-01-01T00:00:00.000Z' });
    await say(phone, roomId, 'sleep on');
    await hear(world.tablet, 'sleep on');
    expect([await listed(), await listed('archived')]).to.deep.equal([[], [roomId]]);
    await change({ mutedUntil: null });
    expect([await listed(), await listed('archived')], 'said while it was muted').to.deep.equal([
      [],
      [roomId],
    ]);
    await say(phone, roomId, 'now');
    await hear(world.tablet, 'now');
    expect([await listed(), await listed('archived')]).to.deep.equal([[roomId], []]);
    await change({ archived: true });
    expect((await change({ archived: false })).chat).to.not.have.property('archived');
  });

  it('come to a device that was away, as they are now', async () => {
    const { ben, tablet, roomId } = world;
    const watch = await ben.device();
    const { cursor } = watch;
    await watch.close();
    for (const pinned of [true, false, true]) await change({ pinned });
    const back = await ben.device(cursor);
    await back.push('identity', ({ caughtUp }) => caughtUp);
    // Its node may hear of the last change only now.
    await back.push('change chat', ({ chat }) => chat.pinned === true);
    const { chat } = await tablet.request('get chat', { roomId });
    expect(back.pushed('change chat').at(-1)).to.deep.equal({ chat });
    expect(back.pushed('change chat').length).to.be.at.most(2);
    await back.close();
  });

  it('are of a chat of mine, and times, booleans and filters of the contract', async () => {
    const { tablet, roomId } = world;
    const stranger = await (await Newcomer.at(place)).device();
    for (const room of [roomId, unknown])
      expect(await stranger.refusal('change chat', { roomId: room, pinned: true })).to.include({
        code: 'not_found',
      });
    const wrong = [
      ['mutedUntil', 'tomorrow'],
      ['mutedUntil', '2026-02-30T00:00:00.000Z'],
      ['pinned', 'yes'],
      ['archived', null],
    ] as const;
    for (const [path, value] of wrong) {
      const { code, fields } = await tablet.refusal('change chat', { roomId, [path]: value });
      expect({ code, path: fields?.[0]?.path }).to.deep.equal({ code: 'bad_request', path });
    }
    expect(await tablet.refusal('get active chats', { filter: 'none' })).to.include({ code: 'bad_request' });
    await stranger.close();
  });
}
