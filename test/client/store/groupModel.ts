import { applyAnswer, pushFolds } from '../../../packages/client/src/store/contractFolds.js';
import type { State } from '../../../packages/client/src/store/storeState.js';
import type { Chat, Message, PushData, PushName, User } from '../../../packages/client/src/types.js';
import { person, time } from './story.js';

/** Three who come and go, and one who watches; more would only make the same cases rarer. */
export const people = ['me', 'ada', 'ben', 'cat'].map(person);
const EMOJI = ['👍', '🎉'];

/** What anybody may do. Numbers choose among what there is; an action that is not possible does nothing. */
export interface Action {
  readonly does: (typeof ACTIONS)[number];
  readonly by: number;
  readonly which: number;
  readonly flag: boolean;
}
export const ACTIONS = [
  ...['send', 'send', 'edit', 'delete', 'react', 'pin', 'read'],
  ...['join', 'leave', 'rename', 'role', 'archive', 'mute', 'mention'],
] as const;

export interface Stored {
  readonly name: PushName;
  readonly data: PushData<PushName>;
  /** Of what is said of a message, its `seq`. */
  readonly seq?: number;
  /** Sent by this very device, which gets an answer in its place. */
  readonly isOwn: boolean;
  /** What the answer of a command has beside the data of its push. */
  readonly answer?: object;
  /** Whether `me` was told of it, live. */
  readonly isTold: boolean;
}

/**
 * A group as the contract has it, seen by `me`: what its members did, what a device is pushed live and in a replay, and
 * what queries answer.
 */
export class GroupModel {
  readonly roomId = 'the group';
  readonly messages: Message[] = [];
  readonly log: Stored[] = [];
  readonly #members = [...people];
  readonly #marks = new Map<string, number>();
  #windows: [number, number | null][] = [[1, null]];
  #name = 'first name';
  #role: NonNullable<Chat['role']> = 'owner';
  #pins: string[] = [];
  #settings: { archived?: true; mutedUntil?: string } = {};

  get isIn(): boolean {
    return this.#windows.at(-1)?.[1] === null;
  }

  canSee(seq: number): boolean {
    return this.#windows.some(([from, to]) => seq >= from && seq <= (to ?? seq));
  }

  get visible(): Message[] {
    return this.messages.filter(({ seq }) => this.canSee(seq));
  }

  get unread(): number {
    return this.visible.filter(({ seq }) => seq > this.mark).length;
  }

  get mark(): number {
    return this.#marks.get('me') ?? 0;
  }

  get otherMark(): number {
    const others = this.#members.filter(({ userId }) => userId !== 'me');
    return others.length === 0 ? 0 : Math.min(...others.map(({ userId }) => this.#marks.get(userId) ?? 0));
  }

  get participants(): readonly User[] {
    return this.#members;
  }

  get mentions(): number[] {
    const isMine = ({ senderId, mentions = [] }: Message): boolean =>
      senderId !== 'me' && (mentions.includes('me') || mentions.includes('all'));
    return this.visible.filter((one) => one.seq > this.mark && isMine(one)).map(({ seq }) => seq);
  }

  get chat(): Chat {
    const { archived, mutedUntil } = this.#settings;
    return {
      roomId: this.roomId,
      roomType: 'GROUP',
      participants: [...this.#members],
      lastMessage: this.visible.at(-1) ?? null,
      unread: this.unread,
      readUpTo: Object.fromEntries(this.#marks),
      createdAt: time(0),
      name: this.#name,
      members: this.#members.length,
      windows: this.#windows.map(([from, to]) => [from, to]),
      mentions: this.mentions,
      pinnedMessages: this.#pins.filter((id) => this.visible.some(({ messageId }) => messageId === id)),
      ...(this.isIn && { role: this.#role }),
      ...(archived && { archived }),
      ...(mutedUntil !== undefined && { mutedUntil }),
    };
  }

  page(before: number | undefined): { messages: Message[]; hasMore: boolean } {
    const all = this.visible.filter(({ seq }) => seq < (before ?? Number.POSITIVE_INFINITY));
    return { messages: all.slice(-3), hasMore: all.length > 3 };
  }

  /** Does it, if it can be done. `isOwn`: on the device that is looked at, where `by` is `me`. */
  act(action: Action, isOwn: boolean): void {
    const me = this.#members.find(({ userId }) => userId === 'me');
    const by = isOwn ? me : this.#members[action.by % this.#members.length];
    if (by === undefined) return;
    const own = isOwn && by.userId === 'me';
    const { roomId, messages } = this;
    const at = messages.length;
    const seen = by.userId === 'me' ? this.visible : messages;
    const message = seen[action.which % Math.max(1, seen.length)];
    const flag = action.flag;
    const tell = <N extends PushName>(name: N, data: PushData<N>, more: Partial<Stored> = {}): void => {
      const isTold = this.isIn && (more.seq === undefined || this.canSee(more.seq));
      this.log.push({ name, data, isOwn: own, isTold, ...more });
    };
    const change = (next: Message): void => {
      messages[next.seq - 1] = next;
    };
    switch (action.does) {
      case 'send':
      case 'mention': {
        const seq = at + 1;
        const mentions = action.does === 'mention' ? { mentions: [flag ? 'me' : 'all'] } : {};
        const sent = { roomId, seq, senderId: by.userId, messageId: `m${seq}`, message: `text ${seq}` };
        change({ ...sent, ...mentions, sentAt: time(seq) });
        this.#marks.set(by.userId, seq);
        if (this.isIn && this.#settings.mutedUntil === undefined) delete this.#settings.archived;
        return tell('send message', { message: this.#at(seq) }, { seq });
      }
      case 'edit': {
        if (!message || message.deleted || message.senderId !== by.userId) return;
        const rev = (message.rev ?? 0) + 1;
        const { mentions: _, ...rest } = message;
        const named = flag ? { mentions: ['me'] } : {};
        change({ ...rest, ...named, rev, message: `edit ${rev}`, editedAt: time(500 + rev) });
        return tell('edit message', { roomId, message: this.#at(message.seq) }, { seq: message.seq });
      }
      case 'delete': {
        if (!message || message.deleted || message.senderId !== by.userId) return;
        const { messageId, seq, senderId, sentAt } = message;
        const deleted = { by: by.userId };
        change({ messageId, roomId, seq, senderId, sentAt, message: null, deleted });
        this.#pins = this.#pins.filter((id) => id !== messageId);
        return tell('delete message', { roomId, messageId, seq, by: by.userId }, { seq });
      }
      case 'react': {
        if (!message || message.deleted) return;
        const emoji = EMOJI[action.which % 2] ?? '';
        if (!this.#react(message, { userId: by.userId, emoji, on: flag })) return;
        const { messageId, seq } = message;
        return tell('react', { roomId, messageId, seq, userId: by.userId, emoji, on: flag }, { seq });
      }
      case 'pin': {
        if (!message || message.deleted || this.#pins.includes(message.messageId) === flag) return;
        const { pinned: _, ...rest } = message;
        change(flag ? { ...rest, pinned: true } : rest);
        const { messageId, seq } = message;
        this.#pins = flag ? [...this.#pins, messageId] : this.#pins.filter((id) => id !== messageId);
        return tell('pin message', { roomId, messageId, seq, on: flag, by: by.userId }, { seq });
      }
      case 'read': {
        const upTo = action.which % (at + 1);
        if (upTo <= (this.#marks.get(by.userId) ?? 0)) return;
        this.#marks.set(by.userId, upTo);
        return tell('read messages', { roomId, userId: by.userId, upTo });
      }
      case 'join':
        return this.#join(people[action.which % people.length], by, flag);
      case 'leave':
        return this.#leave(flag ? by : this.#members[action.which % this.#members.length], by);
      case 'rename':
        this.#name = `name ${action.which}`;
        return tell(
          'change group',
          { roomId, by: by.userId, at, name: this.#name },
          { answer: { room: this.chat } },
        );
      case 'role':
        this.#role = flag ? 'admin' : 'member';
        return tell('change role', { roomId, userId: 'me', role: this.#role, by: by.userId, at });
      case 'archive':
      case 'mute':
        if (by.userId !== 'me') return;
        this.#set(action.does, flag);
        return tell('change chat', { chat: this.chat });
    }
  }

  /** Messages as they are now, each once; the rest as it was. Own doings are told too. */
  replay(from: number): Stored[] {
    const missed = this.log
      .slice(from)
      .filter(({ isTold }) => isTold)
      .map((one) => ({ ...one, isOwn: false }));
    const told = new Set<number>();
    return missed.flatMap((one) => {
      if (one.name === 'init chat') return [{ ...one, data: { room: this.chat } }];
      if (one.name === 'change chat') return [{ ...one, data: { chat: this.chat } }];
      if (one.seq === undefined) return [one];
      const message = this.#at(one.seq);
      if (told.has(one.seq)) return [];
      told.add(one.seq);
      const { roomId, messageId, seq, deleted } = message;
      const isNew = missed.some(({ name, seq: of }) => name === 'send message' && of === seq);
      if (isNew) return [{ ...one, name: 'send message', data: { message } }];
      if (deleted)
        return [{ ...one, name: 'delete message', data: { roomId, messageId, seq, by: deleted.by } }];
      return [{ ...one, name: 'edit message', data: { roomId, message } }];
    });
  }

  #at(seq: number): Message {
    const message = this.messages[seq - 1];
    if (!message) throw new Error(`there is no message ${seq}`);
    return message;
  }

  #react(message: Message, { userId, emoji, on }: { userId: string; emoji: string; on: boolean }): boolean {
    const { reactions = [], ...rest } = message;
    const of = reactions.find((one) => one.emoji === emoji);
    const isOn = of?.userIds.includes(userId) === true;
    if (isOn === on) return false;
    const userIds = on ? [...(of?.userIds ?? []), userId] : (of?.userIds ?? []).filter((id) => id !== userId);
    const after = { emoji, userIds, count: userIds.length };
    const all = of ? reactions.map((one) => (one === of ? after : one)) : [...reactions, after];
    const left = all.filter(({ count }) => count > 0);
    this.messages[message.seq - 1] = left.length > 0 ? { ...rest, reactions: left } : rest;
    return true;
  }

  #set(what: 'archive' | 'mute', on: boolean): void {
    const { archived, mutedUntil } = this.#settings;
    if (what === 'archive')
      this.#settings = { ...(on && { archived: true }), ...(mutedUntil && { mutedUntil }) };
    else this.#settings = { ...(archived && { archived }), ...(on && { mutedUntil: time(1e6) }) };
  }

  #join(user: User | undefined, by: User, hasAll: boolean): void {
    if (!user || this.#members.includes(user)) return;
    const at = this.messages.length;
    this.#members.push(user);
    const told = { isOwn: false, isTold: this.isIn };
    this.#marks.set(user.userId, Math.max(this.#marks.get(user.userId) ?? 0, at));
    if (user.userId !== 'me') {
      const data = { roomId: this.roomId, user, role: 'member' as const, by: by.userId, at };
      this.log.push({ name: 'add member', data, ...told });
      return;
    }
    // The window from the first message on holds the earlier ones.
    this.#windows = hasAll ? [[1, null]] : [...this.#windows, [at + 1, null]];
    this.#role = 'member';
    this.log.push({ name: 'init chat', data: { room: this.chat }, isOwn: false, isTold: true });
  }

  #leave(user: User | undefined, by: User): void {
    if (!user || this.#members.length < 2) return;
    const at = this.messages.length;
    const wasIn = this.isIn;
    this.#members.splice(this.#members.indexOf(user), 1);
    if (user.userId === 'me')
      this.#windows = this.#windows.flatMap(([from, to]): [number, number | null][] =>
        to !== null ? [[from, to]] : from > at ? [] : [[from, at]],
      );
    const data = { roomId: this.roomId, userId: user.userId, by: by.userId, at };
    this.log.push({ name: 'remove member', data, isOwn: false, isTold: wasIn });
  }
}

/** Folds a push in; what this device did itself as the answer that it gets in place of the push. */
export function applyTold(state: State, { name, data, isOwn, answer = {} }: Stored): State {
  if (!isOwn) {
    // Each push of the model has the data of its name.
    const fold = pushFolds[name] as ((state: State, data: PushData<PushName>) => State) | undefined;
    return fold?.(state, data) ?? state;
  }
  // A command has the name of its push, and its request and answer together at least the same data.
  return (applyAnswer as (state: State, name: string, answer: object, data: object) => State)(
    state,
    name,
    { ...data, ...answer },
    data,
  );
}
