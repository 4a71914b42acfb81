import { expect } from 'chai';
import type { RequestName } from '../../src/domain/contract.js';
import { requests } from '../../src/domain/contract.js';
import type { Held } from '../../src/domain/defineCommand.js';
import { roomIdOf } from '../../src/domain/ids.js';
import type { Handlers } from '../../src/gateway/commandRunner.js';
import type { Connection } from '../../src/gateway/connection.js';
import { askBefore } from '../../src/gateway/heldRooms.js';
import type { SendQuestion } from '../../src/gateway/sendHook.js';

const [ada, bob] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
const roomId = roomIdOf(ada, bob);
const otherRoom = '44444444-4444-4444-8444-444444444444';
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Handlers that note what they begin, and a host that answers when the test says so. */
class Asking {
  readonly begun: string[] = [];
  readonly questions: { readonly question: SendQuestion; answer(held?: Held): void }[] = [];
  readonly handlers: Handlers;
  #isSlow = false;

  constructor() {
    const plain = Object.fromEntries(
      Object.keys(requests).map((event) => [
        event,
        async (_: Connection, me: string, data: { message?: string; held?: Held }) => {
          const held = data.held ? ` (${data.held.why})` : '';
          this.begun.push(
            `${me === ada ? '' : 'bob: '}${event}${data.message ? `: ${data.message}` : ''}${held}`,
          );
          if (this.#isSlow) await new Promise(() => {});
          return {};
        },
      ]),
    );
    // One for each request; each answers with nothing.
    this.handlers = askBefore(plain as unknown as Handlers, {
      ask: (question) =>
        new Promise((resolve) => this.questions.push({ question, answer: (held) => resolve(held) })),
    });
  }

  /** From now on no handler ends. */
  stall(): void {
    this.#isSlow = true;
  }

  ask(connection: Connection, event: RequestName, data: object, me = ada): Promise<unknown> {
    // The data of the request that the test names.
    return this.handlers[event as 'get friends'](connection, me, data as never);
  }

  send(connection: Connection, message: string, room = roomId, me = ada): Promise<unknown> {
    return this.ask(connection, 'send message', { roomId: room, messageId: message, message }, me);
  }
}

const connection = (): Connection => ({}) as Connection; // It is only told from others.

describe('what waits while the host is asked about a text', () => {
  it('is what the same connection asks about the same room, in the order sent', async () => {
    const asking = new Asking();
    const [phone, laptop] = [connection(), connection()];
    void asking.send(phone, 'held');
    void asking.ask(phone, 'react', { roomId, messageId: 'held' });
    void asking.ask(phone, 'block user', { userId: bob, block: true });
    void asking.ask(phone, 'join room', { roomIds: [otherRoom, roomId] });
    void asking.send(phone, 'behind it');
    void asking.ask(phone, 'read messages', { roomId });
    await turn();
    expect(asking.begun).to.deep.equal([]);
    // Another room, another device, another user, and what is about no room do not wait.
    void asking.ask(phone, 'read messages', { roomId: otherRoom });
    void asking.ask(phone, 'get friends', {});
    void asking.ask(laptop, 'react', { roomId, messageId: 'held' });
    await turn();
    expect(asking.begun).to.deep.equal(['read messages', 'get friends', 'react']);
    void asking.send(laptop, 'of another device');
    void asking.send(connection(), 'of another user', roomId, bob);
    void asking.send(phone, 'elsewhere', otherRoom);
    await turn();
    expect(asking.questions.map(({ question }) => question.message)).to.deep.equal([
      'held',
      'of another device',
      'of another user',
      'elsewhere',
    ]);
    expect(asking.questions.at(-1)?.question.message).to.equal('elsewhere');
    for (const { answer } of asking.questions.slice(1, 3)) answer();
    await turn();
    expect(asking.begun.slice(3)).to.deep.equal([
      'send message: of another device',
      'bob: send message: of another user',
    ]);
    asking.begun.length = 0;
    asking.questions[0]?.answer();
    await turn();
    expect(asking.begun).to.deep.equal(['send message: held', 'react', 'block user', 'join room']);
    // Asked only now: one question of a connection about a room at a time.
    for (const { answer } of asking.questions.slice(3)) answer();
    await turn();
    const last = asking.begun.slice(4);
    expect(last).to.have.members(['send message: behind it', 'read messages', 'send message: elsewhere']);
    expect(last.indexOf('send message: behind it')).to.be.below(last.indexOf('read messages'));
  });

  it('may begin before the command of the text has ended', async () => {
    const asking = new Asking();
    const phone = connection();
    asking.stall();
    void asking.send(phone, 'slow');
    void asking.ask(phone, 'react', { roomId, messageId: 'slow' });
    await turn();
    asking.questions[0]?.answer();
    await turn();
    expect(asking.begun).to.deep.equal(['send message: slow', 'react']);
  });

  it('begins all the same when the host refuses, and the verdict goes with the command', async () => {
    const asking = new Asking();
    const phone = connection();
    void asking.send(phone, 'one');
    void asking.ask(phone, 'edit message', { roomId, messageId: 'one', editId: 'e', message: 'two' });
    await turn();
    asking.questions[0]?.answer({ why: 'refused' });
    await turn();
    expect(asking.questions[1]?.question).to.deep.equal({
      ...{ userId: ada, roomId, messageId: 'one', editId: 'e', message: 'two' },
    });
    asking.questions[1]?.answer({ why: 'not asked' });
    await turn();
    expect(asking.begun).to.deep.equal(['send message: one (refused)', 'edit message: two (not asked)']);
  });

  it('is nothing where there is no hook: the handlers are the same', () => {
    const handlers = {} as Handlers;
    expect(askBefore(handlers, undefined)).to.equal(handlers);
  });
});
