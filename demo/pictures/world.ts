import { randomUUID } from 'node:crypto';
import { Rest } from '../../packages/client/src/index.js';
import type { Message } from '../../packages/client/src/types.js';
import { HostServer } from '../../test/support/hostServer.js';
import { ask } from '../../test/support/http.js';
import { parley } from '../../test/support/parley.js';
import { EGRESS } from '../../test/support/receiver.js';
import { type ServerProcess, startServer } from '../../test/support/server.js';
import type { Language } from './looks.js';
import { type Both, inLanguage, type Name, type Player, signUpAll } from './people.js';
import { type Line, ofWalkers, openings, requests, unreadOfNeighbours, withBen } from './talks.js';

/** A server with people who know each other. Each look has a world of its own, which its views may change. */
export class World {
  /** The rooms, by what the views call them. */
  readonly rooms = new Map<string, string>();
  /** Messages that the views need, by the views' names for them. */
  readonly messages = new Map<string, Message>();
  /** A report that is open. */
  readonly reportId = randomUUID();

  private constructor(
    readonly server: ServerProcess,
    readonly language: Language,
    private readonly players: ReadonlyMap<Name, Player>,
  ) {}

  static async create(language: Language): Promise<World> {
    const env = { ...EGRESS, RATE_LIMIT: 'off', CONTACTS: 'consent', LOG_ORIGIN: 'example.org/log' };
    const server = await startServer({ engine: 'sqlite', env });
    const world = new World(server, language, await signUpAll(server, language));
    await world.#giveRoles();
    await world.#talkInPairs();
    await world.#talkInGroups();
    await world.#keepOrder();
    await world.#subscribe();
    return world;
  }

  player(name: Name): Player {
    return found(this.players.get(name), name);
  }
  room(name: string): string {
    return found(this.rooms.get(name), name);
  }
  message(name: string): Message {
    return found(this.messages.get(name), name);
  }
  /** A text of the world in its language. */
  words(both: Both): string {
    return inLanguage(both, this.language);
  }

  async close(): Promise<void> {
    for (const { device } of this.players.values()) device.close();
    await this.server.stop();
  }

  #ask = (by: Name) => this.player(by).device.client;
  #idOf = (name: Name): string => this.player(name).person.user.userId;
  #say = ({ by, text }: Line, room: string): Promise<Message> =>
    this.player(by).device.say(this.room(room), this.words(text));
  async #open(by: Name, other: Name, room: string): Promise<void> {
    this.rooms.set(room, await this.player(by).device.chatWith(this.player(other).person));
  }

  async #giveRoles(): Promise<void> {
    for (const [role, name] of [
      ['moderator', 'mia'],
      ['admin', 'mia'],
      ['auditor', 'mia'],
      ['moderator', 'ola'],
    ] as const) {
      const { code, err } = await parley(['role', role, name], this.server.settings);
      if (code !== 0) throw new Error(err);
    }
  }

  /** Ada's private chats: with friends, with somebody who left, and requests. */
  async #talkInPairs(): Promise<void> {
    for (const friend of ['ben', 'cleo.marchetti', 'layla', 'wolfram.m', 'zoe', 'gone', 'dora'] as const)
      for (const [by, other] of [
        ['ada', friend],
        [friend, 'ada'],
      ] as const)
        await this.#ask(by).request('add friend', { friendId: this.#idOf(other) });
    for (const [other, text] of openings) {
      await this.#open('ada', other, other);
      await this.#say({ by: other, text }, other);
    }
    for (const read of ['max.power', 'zoe', 'gone'])
      await this.#ask('ada').request('read messages', { roomId: this.room(read) });
    await this.#open('ada', 'ben', 'ben');
    for (const [i, line] of withBen.entries()) this.messages.set(`ben ${i}`, await this.#say(line, 'ben'));
    await this.#dressTalkWithBen();
    for (const [by, text] of requests) {
      await this.#open(by, 'ada', by);
      await this.#say({ by, text }, by);
    }
    await new Rest(this.server.url).erase(
      this.player('gone').session.token,
      this.#idOf('gone'),
      this.player('gone').person.password,
    );
  }

  /** An answer, two edits, a deletion, reactions and a pin. */
  async #dressTalkWithBen(): Promise<void> {
    const roomId = this.room('ben');
    const idOf = (n: number): string => this.message(`ben ${n}`).messageId;
    const answer = await this.#ask('ada').request('send message', {
      ...{ roomId, messageId: randomUUID(), replyTo: idOf(3) },
      message: this.words(['The lamps are on me', 'المصباحان عليّ']),
    });
    this.messages.set('answer', answer.message);
    for (const text of [
      ['Train at 18:14, platform 4', 'القطار ١٨:١٤، الرصيف ٤'],
      ['Train at 18:24, platform 7', 'القطار ١٨:٢٤، الرصيف ٧'],
    ] as const)
      await this.#ask('ada').request('edit message', {
        ...{ roomId, messageId: idOf(9), editId: randomUUID(), message: this.words(text) },
      });
    await this.#ask('ben').request('delete message', { roomId, messageId: idOf(8) });
    for (const [by, n, emoji] of [
      ['ben', 2, '👍'],
      ['ada', 2, '👍'],
      ['ben', 2, '❤️'],
      ['ada', 10, '🙏'],
    ] as const)
      await this.#ask(by).request('react', { roomId, messageId: idOf(n), emoji, on: true });
    for (const n of [1, 3])
      await this.#ask('ben').request('pin message', { roomId, messageId: idOf(n), on: true });
    for (const by of ['ada', 'ben'] as const) await this.#ask(by).request('read messages', { roomId });
  }

  async #talkInGroups(): Promise<void> {
    await this.#group('ada', 'walkers', ['Sunday walkers', 'مشّاؤو الأحد'], {
      members: ['ben', 'cleo.marchetti', 'layla', 'wolfram.m', 'dora', 'zoe'],
      about: [
        'We walk every Sunday, in all weathers. Nobody has to talk.',
        'نمشي كل يوم أحد، في كل طقس. لا أحد مضطر للكلام.',
      ],
    });
    const walkers = this.room('walkers');
    await this.#ask('max.power').request('add friend', { friendId: this.#idOf('ben') });
    await this.#ask('ben').request('add friend', { friendId: this.#idOf('max.power') });
    await this.#ask('ben').request('add members', { roomId: walkers, userIds: [this.#idOf('max.power')] });
    const role = { roomId: walkers, userId: this.#idOf('ben'), role: 'admin' } as const;
    await this.#ask('ada').request('change role', role);
    for (const [i, line] of ofWalkers.entries())
      this.messages.set(`walk ${i}`, await this.#say(line, 'walkers'));
    await this.#ask('zoe').request('leave group', { roomId: walkers });
    for (const by of ['ben', 'layla', 'wolfram.m', 'dora'] as const) {
      const { messageId } = this.message('walk 1');
      await this.#ask(by).request('react', { roomId: walkers, messageId, emoji: '🥾', on: true });
      await this.#ask(by).request('read messages', { roomId: walkers });
    }
    const pin = { roomId: walkers, messageId: this.message('walk 1').messageId, on: true };
    await this.#ask('ada').request('pin message', pin);
    const mention = await this.#ask('layla').request('send message', {
      ...{ roomId: walkers, messageId: randomUUID(), mentions: [this.#idOf('ada')] },
      message: this.words(['@ada do you have a second map?', '@ada هل لديك خريطة ثانية؟']),
    });
    this.messages.set('mention', mention.message);
    await this.#ask('ada').request('read messages', { roomId: walkers });
    await this.#group('dora', 'neighbours', ['Mill Street 2–40', 'شارع الطاحونة ٢–٤٠'], {
      members: ['ada', 'cleo.marchetti'],
    });
    for (const line of unreadOfNeighbours) await this.#say(line, 'neighbours');
    await this.#group('ada', 'old', ['Flat 4b', 'الشقة ٤'], { members: ['layla', 'dora'] });
    await this.#say({ by: 'layla', text: ['The keys are back', 'عادت المفاتيح'] }, 'old');
    await this.#group('ben', 'news', ['Radio club news', 'أخبار نادي الراديو'], {
      members: ['ada'],
      whoSends: 'admins',
    });
    await this.#say({ by: 'ben', text: ['No meeting in August', 'لا اجتماع في أغسطس'] }, 'news');
  }

  async #group(by: Name, room: string, name: Both, { members, about, whoSends }: GroupParts): Promise<void> {
    const roomId = randomUUID();
    this.rooms.set(room, roomId);
    await this.#ask(by).request('create group', {
      ...{ roomId, name: this.words(name), memberIds: members.map(this.#idOf) },
      ...(about && { about: this.words(about) }),
      ...(whoSends && { whoSends }),
    });
  }

  /** Blocks, reports, a suspension, and what Ada has set of her chats. */
  async #keepOrder(): Promise<void> {
    await this.#ask('ada').request('block user', { userId: this.#idOf('max.power'), block: true });
    const set = (room: string, changes: object) =>
      this.#ask('ada').request('change chat', { roomId: this.room(room), ...changes });
    await set('walkers', { pinned: true });
    await set('old', { archived: true });
    await set('news', { mutedUntil: '9999-12-31T23:59:59.000Z' });
    const messageIds = [await this.#spam(), await this.#spam()].map(({ messageId }) => messageId);
    await this.#ask('dora').request('report', {
      ...{ reportId: this.reportId, roomId: this.room('spam'), messageIds, category: 'spam' },
      note: this.words(['The same every day', 'نفس الشيء كل يوم']),
    });
    await this.#ask('cleo.marchetti').request('report', {
      ...{ reportId: randomUUID(), userId: this.#idOf('max.power'), category: 'harassment' },
    });
    const closed = randomUUID();
    await this.#ask('ada').request('report', {
      reportId: closed,
      userId: this.#idOf('zoe'),
      category: 'other',
    });
    const { token } = this.player('mia').session;
    const json = { suspend: true, note: 'Sold a tent that was not hers' };
    const { status, text } = await ask(this.server.url, `POST /admin/reports/${closed}/decision`, {
      token,
      json,
    });
    if (status >= 300) throw new Error(`the decision was answered with ${status}: ${text}`);
  }

  async #spam(): Promise<Message> {
    await this.#open('sales-4-you', 'dora', 'spam');
    return this.#say({ by: 'sales-4-you', text: ['Cheap lamps!!! Buy 3, pay 2', 'مصابيح رخيصة!!!'] }, 'spam');
  }

  async #subscribe(): Promise<void> {
    const host = await HostServer.of(this.server, 'events');
    const types = ['UserRegistered', 'MessageSent'];
    await host.subscribe('to-the-shop', { url: 'http://127.0.0.1:9/hook', types });
    await host.subscribe('search-index', { url: 'http://127.0.0.1:9/index', batch: 100 });
  }
}

interface GroupParts {
  readonly members: readonly Name[];
  readonly about?: Both;
  readonly whoSends?: 'admins';
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`the world has no ${name}`);
  return value;
}
