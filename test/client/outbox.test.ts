import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { createClient } from '../../src/client/client.js';
import { Outbox, type OutboxEntry, type OutboxStore } from '../../src/client/outbox.js';
import { type Client, ClientError, type Message } from '../../src/client/types.js';
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

class MemoryStore implements OutboxStore {
  readonly entries = new Map<string, OutboxEntry>();
  load = (): readonly OutboxEntry[] => [...this.entries.values()];
  put = (entry: OutboxEntry): void => void this.entries.set(entry.id, entry);
  remove = (id: string): void => void this.entries.delete(id);
}

const textOf = ({ data }: OutboxEntry): unknown => 'message' in data && data.message;

describe('the outbox', () => {
  let server: ScriptedServer;
  let client: Client;

  function newClient(): Client {
    const timing = { backoff: { baseMs: 1, capMs: 4 }, answerTimeoutMs: 40 };
    const fresh = createClient({ url: server.url, token: 't', webSocket: WebSocket, ...timing });
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
