import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { createClient } from '../../packages/client/src/client.js';
import {
  Outbox,
  type OutboxEntry,
  type OutboxStore,
  type QueuedRequest,
} from '../../packages/client/src/outbox.js';
import { type Client, ClientError, type Message } from '../../packages/client/src/types.js';
import { eventually } from '../support/eventually.js';
import { runs } from '../support/lanes.js';
import { type RequestFrame, type Scripted, ScriptedServer, someone } from './scripted.js';

/** What may become of one `send message`. */
const fates = [
  'answered',
  'answered twice',
  'lost before it was done',
  'lost after it was done',
  'overloaded',
  'rate limited',
  'unknown, not done',
  'unknown, done',
  'restarting',
  'silent',
] as const;
type Fate = (typeof fates)[number];

/** A server's rooms: `messageId` is unique, `seq` has no hole, a repeat gets the first answer. */
class Rooms {
  readonly messages: Message[] = [];
  add({ data }: RequestFrame): Message {
    const known = this.messages.find(({ messageId }) => messageId === data.messageId);
    if (known) return known;
    const seq = this.messages.filter(({ roomId }) => roomId === data.roomId).length + 1;
    // The client under test sends what the types of the request say.
    const { roomId, messageId, message } = data as { roomId: string; messageId: string; message: string };
    const sentAt = someone.createdAt;
    const added = { roomId, messageId, message, seq, senderId: someone.userId, sentAt };
    this.messages.push(added);
    return added;
  }
  texts(roomId: string): (string | null)[] {
    return this.messages.filter((m) => m.roomId === roomId).map((m) => m.message);
  }
}

function meet(fate: Fate, rooms: Rooms, connection: Scripted, frame: RequestFrame): void {
  const again = { retryAfterMs: 1 };
  const answer = (): void => connection.answer(frame, { message: rooms.add(frame), revision: 'r' });
  switch (fate) {
    case 'answered':
      return answer();
    case 'answered twice':
      answer();
      return answer();
    case 'lost before it was done':
      return connection.drop();
    case 'lost after it was done':
      rooms.add(frame);
      return connection.drop();
    case 'overloaded':
      return connection.refuse(frame, { code: 'overloaded', ...again });
    case 'rate limited':
      return connection.refuse(frame, { code: 'rate_limited', ...again });
    case 'unknown, not done':
      return connection.refuse(frame, { code: 'unknown', ...again });
    case 'unknown, done':
      rooms.add(frame);
      return connection.refuse(frame, { code: 'unknown', ...again });
    case 'restarting':
      rooms.add(frame);
      return connection.socket.close(1012);
    case 'silent':
      rooms.add(frame);
  }
}

/** As `meet`, for any request: `done` is called with the id of what was done, perhaps again. */
function meetAny(fate: Fate, connection: Scripted, frame: RequestFrame, done: (id: string) => void): void {
  const id = String(frame.data.messageId);
  const message = { messageId: id };
  const answered = { message, reactions: [], revision: 'r' };
  if (['lost after it was done', 'unknown, done', 'restarting', 'silent'].includes(fate)) done(id);
  if (fate === 'answered' || fate === 'answered twice') {
    done(id);
    connection.answer(frame, answered);
    if (fate === 'answered twice') connection.answer(frame, answered);
  } else if (fate === 'restarting') connection.socket.close(1012);
  else if (fate.startsWith('lost')) connection.drop();
  else if (fate !== 'silent') {
    const code = fate.startsWith('unknown') ? 'unknown' : fate.replace(' ', '_');
    connection.refuse(frame, { code, retryAfterMs: 1 });
  }
}

class MemoryStore implements OutboxStore {
  readonly entries = new Map<string, OutboxEntry>();
  load: OutboxStore['load'] = () => [...this.entries.values()];
  put = (entry: OutboxEntry): void => void this.entries.set(entry.id, entry);
  remove = (id: string): void => void this.entries.delete(id);
}

const textOf = ({ data }: OutboxEntry): unknown => 'message' in data && data.message;

describe('the outbox', () => {
  let server: ScriptedServer;
  let client: Client;

  function newClient(): Client {
    const timing = { backoff: { baseMs: 1, capMs: 4 }, answerTimeoutMs: 40 };
    const fresh = createClient({ url: server.url, getToken: () => 't', webSocket: WebSocket, ...timing });
    fresh.start();
    return fresh;
  }

  beforeEach(async () => {
    server = await ScriptedServer.start();
    client = newClient();
  });

  afterEach(async () => {
    client.close();
    await server.stop();
  });

  it('delivers each message once and in order, whatever is lost, refused or repeated', async () => {
    const plan = fc.array(fc.constantFrom(...fates), { maxLength: 12 });
    const sends = fc.array(fc.constantFrom('one', 'two', 'three'), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(plan, sends, async (planned, roomIds) => {
        const rooms = new Rooms();
        const left = [...planned];
        const take = (): Fate => left.shift() ?? 'answered';
        server.on({ 'send message': (connection, frame) => meet(take(), rooms, connection, frame) });
        const outbox = new Outbox(client);
        const answers = await Promise.all(roomIds.map((roomId, n) => outbox.send(roomId, `text ${n}`)));
        expect(outbox.waiting).to.deep.equal([]);
        expect(answers.map(({ message }) => message)).to.deep.equal(roomIds.map((_, n) => `text ${n}`));
        for (const roomId of new Set(roomIds)) {
          const sent = roomIds.flatMap((room, n) => (room === roomId ? [`text ${n}`] : []));
          expect(rooms.texts(roomId)).to.deep.equal(sent);
        }
      }),
      { numRuns: runs(60) },
    );
  });

  it('drops and reports a message that the server refuses, and goes on', async () => {
    const rooms = new Rooms();
    server.on({
      'send message': (connection, frame) => {
        if (frame.data.message === 'bad') connection.refuse(frame, { code: 'forbidden' });
        else meet('answered', rooms, connection, frame);
      },
    });
    const refused: string[] = [];
    const outbox = new Outbox(client, { onRefused: ({ request }, { code }) => refused.push(request, code) });
    const bad = outbox.send('room', 'bad').catch((error: unknown) => error);
    await outbox.send('room', 'good');
    expect(await bad)
      .to.be.instanceOf(ClientError)
      .with.property('code', 'forbidden');
    expect(refused).to.deep.equal(['send message', 'forbidden']);
    expect(rooms.texts('room')).to.deep.equal(['good']);
  });

  it('delivers edits, deletions and reactions once and in order with messages, whatever happens', async () => {
    const plan = fc.array(fc.constantFrom(...fates), { maxLength: 12 });
    const kinds = ['send message', 'edit message', 'delete message', 'react'] as const;
    const kind = fc.constantFrom<QueuedRequest>(...kinds);
    const queued = fc.array(fc.tuple(kind, fc.constantFrom('one', 'two')), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(plan, queued, async (planned, wanted) => {
        const left = [...planned];
        const done = new Map<string, string[]>();
        server.on(
          Object.fromEntries(
            kinds.map((name) => [
              name,
              (connection: Scripted, frame: RequestFrame) =>
                meetAny(left.shift() ?? 'answered', connection, frame, (id) => {
                  const room = String(frame.data.roomId);
                  const before = done.get(room) ?? [];
                  if (!before.includes(id)) done.set(room, [...before, id]);
                }),
            ]),
          ),
        );
        const outbox = new Outbox(client);
        const expected = new Map<string, string[]>();
        const all = wanted.map(([request, roomId], n) => {
          const id = `${n}`;
          expected.set(roomId, [...(expected.get(roomId) ?? []), id]);
          // An emoji of its own for each, as of the same only the last would be sent.
          const data = { roomId, messageId: id, editId: id, message: 'text', emoji: id, on: true };
          // The test's server needs no more than these.
          return outbox.add({ id, request, data, queuedAt: someone.createdAt } as OutboxEntry);
        });
        await Promise.all(all);
        expect(done).to.deep.equal(expected);
        expect(outbox.waiting).to.deep.equal([]);
      }),
      { numRuns: runs(40) },
    );
  });

  it('sends of one reaction to a message only the last state, and answers all who asked', async () => {
    const store = new MemoryStore();
    const react = (emoji: string, on: boolean, messageId = 'm') => ({ roomId: 'room', messageId, emoji, on });
    client.close();
    client = createClient({ url: server.url, getToken: () => 't', webSocket: WebSocket });
    const outbox = new Outbox(client, { store });
    const rooms = new Rooms();
    server.on({
      'send message': (c, frame) => meet('answered', rooms, c, frame),
      react: (c, frame) => c.answer(frame, { reactions: [], revision: 'r' }),
    });
    // The first of a room is on its way as soon as it is queued.
    const first = outbox.send('room', 'first');
    const all = [
      react('👍', true),
      react('🎉', true),
      react('👍', false),
      react('👍', true, 'other'),
      react('👍', true),
      react('🎉', false),
    ].map((data) => outbox.queue('react', data));
    const last = [react('👍', true), react('🎉', false), react('👍', true, 'other')];
    expect(outbox.waiting.slice(1).map(({ data }) => data)).to.deep.equal(last);
    expect([...store.entries.values()].slice(1).map(({ data }) => data)).to.deep.equal(last);
    client.start();
    await Promise.all([first, ...all]);
    expect(server.sent('react').map(({ data }) => data)).to.deep.equal(last);
    expect(store.entries.size).to.equal(0);
  });

  it('sends a reaction again that changes while the one before is on its way', async () => {
    const held: [Scripted, RequestFrame][] = [];
    server.on({ react: (c, frame) => void held.push([c, frame]) });
    const outbox = new Outbox(client);
    const data = { roomId: 'room', messageId: 'm', emoji: '👍' };
    const first = outbox.queue('react', { ...data, on: true });
    await eventually('it is on its way', () => held.length === 1);
    const second = outbox.queue('react', { ...data, on: false });
    for (const on of [true, false]) {
      await eventually('it is asked', () => held.length === 1);
      const [c, frame] = held.shift() ?? [];
      expect(frame?.data.on).to.equal(on);
      if (c && frame) c.answer(frame, { reactions: [], revision: 'r' });
    }
    await Promise.all([first, second]);
  });

  it('sends what an earlier outbox left before what is queued meanwhile, even if it cannot be read', async () => {
    const store = new MemoryStore();
    const rooms = new Rooms();
    server.on({ 'send message': (connection, frame) => meet('answered', rooms, connection, frame) });
    const outbox = new Outbox(client, { store });
    const left = outbox.entryOf('send message', { roomId: 'room', message: 'left' });
    let read = (_: readonly OutboxEntry[]): void => {};
    store.load = () =>
      new Promise<readonly OutboxEntry[]>((resolve) => {
        read = resolve;
      });
    const resumed = outbox.resume();
    const sent = outbox.send('room', 'new');
    read([left]);
    await Promise.all([resumed, sent]);
    expect(rooms.texts('room')).to.deep.equal(['left', 'new']);
    const broken = { ...store, load: () => Promise.reject(new Error('unreadable')) };
    const other = new Outbox(client, { store: { ...broken, put: () => {}, remove: () => {} } });
    const failing = other.resume().catch(({ message }) => message);
    expect(await other.send('room', 'last')).to.include({ message: 'last' });
    expect(await failing).to.equal('unreadable');
  });

  it('refuses messages beyond its limit', async () => {
    const outbox = new Outbox(client, { limit: 2 });
    const first = [outbox.send('room', '1'), outbox.send('room', '2')].map((p) => p.catch(() => {}));
    const error = await outbox.send('room', '3').catch((e: unknown) => e);
    expect(error).to.have.property('code', 'too_many');
    expect(outbox.waiting.map(textOf)).to.deep.equal(['1', '2']);
    client.close();
    await Promise.all(first);
  });

  it('stores a message before it sends it, and a later outbox sends it with the same id', async () => {
    const store = new MemoryStore();
    const storedWhenSent: boolean[] = [];
    server.on({
      'send message': (_, frame) => storedWhenSent.push(store.entries.has(String(frame.data.messageId))),
    });
    const lost = new Outbox(client, { store }).send('room', 'hello').catch((error: unknown) => error);
    await eventually('it is on its way', () => storedWhenSent.length === 1);
    expect(storedWhenSent).to.deep.equal([true]);
    client.close();
    expect(await lost).to.have.property('code', 'closed');

    const rooms = new Rooms();
    server.on({ 'send message': (connection, frame) => meet('answered', rooms, connection, frame) });
    client = newClient();
    await new Outbox(client, { store }).resume();
    await eventually('it is sent and forgotten', () => store.entries.size === 0);
    expect(rooms.texts('room')).to.deep.equal(['hello']);
    expect(new Set(server.sent('send message').map(({ data }) => data.messageId)).size).to.equal(1);
  });

  it('sends nothing that it could not store', async () => {
    const full = new Error('no room left');
    const store = { load: () => [], put: () => Promise.reject(full), remove: () => {} };
    const error = await new Outbox(client, { store }).send('room', 'hello').catch((e: unknown) => e);
    expect(error).to.equal(full);
    expect(server.sent('send message')).to.deep.equal([]);
  });
});
