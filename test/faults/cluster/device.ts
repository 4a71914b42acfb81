import { setTimeout as pass } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Link } from '../../../packages/client/src/link.js';
import {
  ClientError,
  type Message,
  type Push,
  type RequestAnswer,
  type RequestInput,
  type RequestName,
} from '../../../packages/client/src/types.js';
import { isGroupId } from '../../../src/domain/ids.js';
import { type Random, upTo } from '../../support/random.js';
import type { GroupRequest, GroupRequestName, History, Told } from './history.js';

/** A node as a client sees it; its address changes with every start. */
export interface Door {
  readonly name: string;
  readonly wsUrl: string;
}

export interface DeviceOptions {
  readonly name: string;
  readonly userId: string;
  readonly token: string;
  /** Where to connect, asked before every connection: one of these at random. */
  readonly doors: readonly Door[];
  readonly history: History;
  readonly random: Random;
  /** Where to go on from; default: the present. */
  readonly cursor?: string;
}

/** Refusals that say "later": nothing was done. */
const REFUSALS = ['overloaded', 'rate_limited'];
/** What happens to who has left a group, or asks of a message that was deleted meanwhile. */
const DENIALS = ['forbidden', 'not_found', 'conflict'];
/** It may have happened. */
const OPEN_ENDS = ['unknown', 'disconnected'];
/** How long a connection without any answer is kept: some devices are patient, some go elsewhere soon. */
const PATIENCE_MS = [2000, 12_000];

interface Session {
  readonly link: Link;
  readonly connection: number;
  /** The last message pushed to this very connection. */
  lastPushed: Message | undefined;
}

/**
 * One device that stays connected to some node, resuming from its cursor, until it is closed, and notes all that it
 * does and sees. Leaner than the client of `packages/client`, which hides refusals and repeats.
 */
export class Device {
  /** Where the first connection began: what a newcomer must give to see all that this one saw. */
  firstCursor: string | undefined;
  /** Sends that have no end yet. */
  underWay = 0;
  #cursor: string | undefined;
  #session: Session | undefined;
  #link: Link | undefined;
  #connections = 0;
  #closed = false;
  #caughtUp = false;
  /** How long the next pause between two connections is at least. */
  #awayMs = 0;
  readonly #known = new Map<string, Message[]>();
  readonly #onSession = new Set<() => void>();

  constructor(readonly options: DeviceOptions) {
    const { history, name: device, userId } = options;
    history.add({ kind: 'device', device, userId });
    this.#cursor = options.cursor;
    void this.#stayConnected();
  }

  get userId(): string {
    return this.options.userId;
  }

  /** Whether it has been told that its last resumption is complete. */
  get hasCaughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Resolves when it is signed in somewhere; undefined once it is closed. */
  async session(): Promise<Session | undefined> {
    while (!this.#session && !this.#closed)
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#onSession.delete(look);
          resolve();
        };
        this.#onSession.add(look);
      });
    return this.#closed ? undefined : this.#session;
  }

  /** Leaves this node for another, or for the same. */
  move(): void {
    this.#link?.end(1000, 'on the move');
  }

  /** Is away for a while, and comes back with its cursor. */
  goAway(ms: number): void {
    this.#awayMs = ms;
    this.#link?.end(1000, 'away');
  }

  /** The messages of a room that were pushed to it, or acknowledged. */
  messagesIn(roomId: string): readonly Message[] {
    return this.#known.get(roomId) ?? [];
  }

  close(): void {
    this.#closed = true;
    this.#link?.end(1000, 'the round is over');
    for (const look of [...this.#onSession]) look();
  }

  /**
   * Sends a message; with `insist`, again and again until it is acknowledged. Resolves with the revision of its
   * answer, or undefined.
   */
  say(roomId: string, messageId: string, text: string, insist: boolean): Promise<Said | undefined> {
    const { history, name: device } = this.options;
    return this.#tryOn('send message', roomId, insist, async (session, attempt) => {
      const { connection } = session;
      history.add({ kind: 'sent', device, connection, attempt, roomId, messageId, text });
      const data = { roomId, messageId, message: text };
      const { message, revision } = await session.link.request('send message', data);
      history.add({ kind: 'acknowledged', attempt, message });
      this.#know(message);
      return { message, revision, session };
    });
  }

  /** Changes a group or a message in it; with `insist`, again and again until there is an answer. */
  async change<N extends GroupRequestName>(
    request: N,
    data: RequestInput<N> & { readonly roomId: string },
    insist: boolean,
  ): Promise<void> {
    const { history, name: device } = this.options;
    const change = history.newAttempt();
    await this.#tryOn(request, data.roomId, insist, async (session, attempt) => {
      // Both are of one name.
      const asked = { request, data } as unknown as GroupRequest;
      history.add({ kind: 'asked', device, change, attempt, ...asked });
      const answer: object = await session.link.request(request, data);
      // The answer to an edit has the message.
      const { message } = answer as { readonly message?: Message };
      history.add({ kind: 'done', attempt, ...(message ? { rev: message.rev ?? 0 } : {}) });
    });
  }

  /** Asks once, or with `insist` until there is an answer; resolves with undefined if there was none. */
  async #tryOn<A>(
    request: string,
    roomId: string,
    insist: boolean,
    once: (session: Session, attempt: number) => Promise<A>,
  ): Promise<A | undefined> {
    this.underWay++;
    try {
      for (;;) {
        const session = await this.session();
        if (!session) return undefined;
        const attempt = this.options.history.newAttempt();
        try {
          return await once(session, attempt);
        } catch (error) {
          const again = this.#failed(request, attempt, error, isGroupId(roomId));
          if (!insist || !again) return undefined;
          await this.#breathe(error);
        }
      }
    } finally {
      this.underWay--;
    }
  }

  #know(message: Message): void {
    const known = this.#known.get(message.roomId) ?? [];
    known.push(message);
    this.#known.set(message.roomId, known);
  }

  /** Marks all of a room as read; resolves with the answer, or undefined when there was none that says so. */
  async read(roomId: string): Promise<RequestAnswer<'read messages'> | undefined> {
    const { history, name: device } = this.options;
    const session = await this.session();
    if (!session) return undefined;
    const attempt = history.newAttempt();
    history.add({ kind: 'reading', device, attempt, roomId });
    try {
      const answer = await session.link.request('read messages', { roomId });
      history.add({ kind: 'read', attempt, upTo: answer.upTo });
      return answer;
    } catch (error) {
      this.#failed('read messages', attempt, error);
      return undefined;
    }
  }

  /** Asks for the page that begins with what an answer said, wherever the device is connected now. */
  async fetchAnswered({ message, revision }: Said): Promise<void> {
    const session = await this.session();
    if (session) await this.#fetch(session, 'answer', message, { revision });
  }

  /** Asks, over the same connection, for the page that begins with the last message pushed to it. */
  async fetchPushed(): Promise<void> {
    const session = await this.session();
    if (session?.lastPushed) await this.#fetch(session, 'push', session.lastPushed, {});
  }

  /** All that the user may fetch of a group; undefined if it is not found. */
  async fetchGroup(roomId: string, revision: string): Promise<Message[] | undefined> {
    const messages: Message[] = [];
    for (;;) {
      const session = await this.session();
      if (!session) throw new ClientError({ code: 'closed' });
      const after = messages.at(-1)?.seq ?? 0;
      try {
        const asked = { roomId, after, limit: 200, revision };
        const page = await session.link.request('fetch messages', asked);
        messages.push(...page.messages);
        if (!page.hasMore) return messages;
      } catch (error) {
        if (error instanceof ClientError && error.code === 'not_found') return undefined;
        if (!this.#failed('fetch messages', 0, error)) throw error;
        await this.#breathe(error);
      }
    }
  }

  /** Asks until it is answered; rejects with what no fault excuses, and when the device is closed. */
  async ask<N extends RequestName>(name: N, data: RequestInput<N>): Promise<RequestAnswer<N>> {
    for (;;) {
      const session = await this.session();
      if (!session) throw new ClientError({ code: 'closed' });
      try {
        return await session.link.request(name, data);
      } catch (error) {
        if (!this.#failed(name, 0, error)) throw error;
        await this.#breathe(error);
      }
    }
  }

  async #fetch(
    { link }: Session,
    after: 'answer' | 'push',
    expected: Message,
    at: { revision?: string },
  ): Promise<void> {
    const { history, name: device } = this.options;
    const { roomId, seq } = expected;
    try {
      const asked = { roomId, after: seq - 1, limit: 20, ...at };
      const { messages } = await link.request('fetch messages', asked);
      history.add({ kind: 'fetched', device, after, expected, messages });
    } catch (error) {
      this.#failed('fetch messages', 0, error);
    }
  }

  /** Notes how an attempt failed; whether it is worth another. */
  #failed(request: string, attempt: number, error: unknown, mayBeDenied = false): boolean {
    const { history, name: device } = this.options;
    const code = error instanceof ClientError ? error.code : String(error);
    if (REFUSALS.includes(code)) history.add({ kind: 'refused', attempt, code });
    else if (OPEN_ENDS.includes(code)) history.add({ kind: 'unknown', attempt, code });
    else if (mayBeDenied && DENIALS.includes(code)) history.add({ kind: 'denied', attempt, code });
    else history.add({ kind: 'error', device, request, code });
    return REFUSALS.includes(code) || OPEN_ENDS.includes(code);
  }

  /** Between two tries; shorter than a refusal asks for, to see more of the fault. */
  async #breathe(error: unknown): Promise<void> {
    const asked = error instanceof ClientError ? (error.retryAfterMs ?? 0) : 0;
    await pass(20 + Math.min(asked, 500) * this.options.random());
  }

  async #stayConnected(): Promise<void> {
    while (!this.#closed) {
      await this.#connect();
      await pass(10 + upTo(150, this.options.random) + this.#awayMs);
      this.#awayMs = 0;
    }
  }

  /** One connection, from its first try to its end. */
  #connect(): Promise<void> {
    const { history, name: device, doors, random } = this.options;
    const door = doors[upTo(doors.length, random)];
    if (!door) throw new Error('a device needs a node to connect to');
    const connection = ++this.#connections;
    return new Promise((resolve) => {
      // What comes together with the answer to `identity` is handled after it.
      const early: Push[] = [];
      let session: Session | undefined;
      const link: Link = new Link(door.wsUrl, this.#linkOptions(), {
        onOpen: () => {
          this.#identify(link, door.name, connection).then((identified) => {
            if (!identified) return link.end(1000, 'not signed in');
            session = identified;
            for (const push of early) this.#handle(session, push);
            this.#begin(session);
          });
        },
        onPush: (push) => (session ? this.#handle(session, push) : early.push(push)),
        onEnd: (code) => {
          if (session) history.add({ kind: 'closed', device, connection, code });
          this.#session = undefined;
          this.#link = undefined;
          resolve();
        },
      });
      this.#link = link;
      if (this.#closed) link.end(1000, '');
    });
  }

  async #identify(link: Link, node: string, connection: number): Promise<Session | undefined> {
    const { history, name: device, token } = this.options;
    const from = this.#cursor;
    try {
      const { cursor } = await link.request('identity', {
        token,
        ...(from === undefined ? {} : { cursor: from }),
      });
      history.add({ kind: 'connected', device, connection, node, from, cursor });
      this.#cursor = cursor;
      this.firstCursor ??= cursor;
      this.#caughtUp = from === undefined;
      return { link, connection, lastPushed: undefined };
    } catch (error) {
      this.#failed('identity', 0, error);
      return undefined;
    }
  }

  #begin(session: Session): void {
    // It may have ended between its answer and now.
    if (this.#link !== session.link) return;
    this.#session = session;
    for (const look of [...this.#onSession]) look();
  }

  #handle(session: Session, push: Push): void {
    const { history, name: device } = this.options;
    if (push.event === 'identity') this.#caughtUp = true;
    if (push.event === 'send message') {
      const { message } = push.data;
      session.lastPushed = message;
      this.#know(message);
      history.add({ kind: 'pushed', device, connection: session.connection, message });
    }
    const told = toldBy(push);
    if (told) history.add({ kind: 'told', device, ...told });
    if (push.event === 'read messages') history.add({ kind: 'mark pushed', device, ...push.data });
    if (push.cursor !== undefined) this.#cursor = push.cursor;
  }

  #linkOptions(): ConstructorParameters<typeof Link>[1] {
    const { random } = this.options;
    return {
      webSocket: WebSocket,
      answerTimeoutMs: PATIENCE_MS[upTo(PATIENCE_MS.length, random)] ?? 0,
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    };
  }
}

/** What a push says of a group, or of a message in it; undefined of any other push. */
function toldBy({ event, data }: Push): { readonly roomId: string; readonly told: Told } | undefined {
  switch (event) {
    case 'edit message':
      return { roomId: data.roomId, told: { name: event, message: data.message } };
    case 'delete message':
      return { roomId: data.roomId, told: { name: event, seq: data.seq, by: data.by } };
    case 'react': {
      const { roomId, seq, userId, emoji, on } = data;
      return { roomId, told: { name: event, seq, userId, emoji, on } };
    }
    case 'add member':
    case 'remove member':
    case 'change role':
      return { roomId: data.roomId, told: { name: 'members' } };
    default:
      return undefined;
  }
}

/** A message that was acknowledged. */
export interface Said {
  readonly message: Message;
  readonly revision: string;
  readonly session: Session;
}
