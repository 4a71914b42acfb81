import { v5 as uuidv5 } from 'uuid';
import { encodeEvent } from '../../../src/domain/codec.js';
import type { Decision } from '../../../src/domain/commands.js';
import type { NewEvent, Recorded, Sealed, Time } from '../../../src/domain/events.js';
import {
  friendshipIdOf,
  partitionOf,
  type RoomId,
  roomIdOf,
  type StreamName,
  streamOf,
  type UserId,
} from '../../../src/domain/ids.js';
import { type RoomCommand, type RoomState, roomDecider } from '../../../src/domain/room.js';
import { friendshipDecider, userDecider } from '../../../src/domain/user.js';
import type { ContentOpener } from '../../../src/projections/models/users.js';
import type { Folded } from '../../../src/projections/projection.js';

const SEAL = 'sealed:';
const FIRST_MOMENT = Date.parse('2026-01-01T00:00:00.000Z');
const NAMESPACE = '5d0c9f0e-3a64-4a53-9f5e-0c8f2f1f7a10';

/** What a world's text looks like in its events. */
export const sealed = (text: string): Sealed => `${SEAL}${Buffer.from(text).toString('base64')}`;

/** People who register, make friends, chat and come and go: the log that their commands would make. */
export class World {
  readonly events: Folded[] = [];
  readonly #versions = new Map<StreamName, number>();
  readonly #sizes: number[];
  readonly #erased = new Set<UserId>();
  #ids = 0;

  constructor(readonly partitions = 1) {
    this.#sizes = new Array<number>(partitions).fill(0);
  }

  /** Opens what this world has sealed, `null` once its owner's key is destroyed. */
  readonly open: ContentOpener = {
    messages: async (messages) => messages.map(({ senderId, text }) => this.#open(senderId, text)),
    usernames: async (names) => names.map(({ userId, username }) => this.#open(userId, username)),
  };

  register(username: string): UserId {
    const userId = this.id();
    const data = { userId, username: sealed(username), backgroundColor: '#336699' };
    this.#record(
      { type: 'UserRegistered', stream: streamOf('user', userId), data, audience: [userId] },
      userId,
    );
    return userId;
  }

  befriend(actor: UserId, friendId: UserId): StreamName {
    const stream = streamOf('friendship', friendshipIdOf(actor, friendId));
    const state = this.#state(stream, friendshipDecider);
    this.#accept(
      friendshipDecider.decide({ kind: 'add friend', actor, friendId }, state, { otherExists: true }),
      actor,
    );
    return stream;
  }

  openChat(actor: UserId, friendId: UserId): RoomId {
    this.#inRoom({ kind: 'init chat', actor, friendId }, roomIdOf(actor, friendId));
    return roomIdOf(actor, friendId);
  }

  /** Answers the message's id. */
  send(actor: UserId, roomId: RoomId, message: string, replyTo?: string): string {
    const messageId = this.id();
    const text = sealed(message);
    this.#inRoom(
      { kind: 'send message', actor, roomId, messageId, text, ...(replyTo === undefined ? {} : { replyTo }) },
      roomId,
    );
    return messageId;
  }

  read(actor: UserId, roomId: RoomId, upTo?: number): void {
    this.#inRoom({ kind: 'read messages', actor, roomId, ...(upTo === undefined ? {} : { upTo }) }, roomId);
  }

  goOnline(userId: UserId): void {
    const state = this.#state(streamOf('user', userId), userDecider);
    this.#accept(
      userDecider.decide({ kind: 'go online', userId }, state, { now: this.#now(), isActive: false }),
      userId,
    );
  }

  goOffline(userId: UserId, lastSeen: Time): void {
    const state = this.#state(streamOf('user', userId), userDecider);
    this.#accept(
      userDecider.decide({ kind: 'go offline', userId, lastSeen }, state, {
        now: this.#now(),
        isActive: false,
      }),
      userId,
    );
  }

  destroyKey(userId: UserId): void {
    this.#erased.add(userId);
  }

  /** The newest `seq` of a room, as its decider knows it. */
  lastSeq(roomId: RoomId): number {
    const state = this.#room(roomId);
    return state.exists ? state.lastSeq : 0;
  }

  /** The offset of the last event of a partition; −1 in an empty one. */
  lastOffset(partition = 0): number {
    return (this.#sizes[partition] ?? 0) - 1;
  }

  id(): string {
    return uuidv5(String(this.#ids++), NAMESPACE);
  }

  #open(owner: UserId, text: string): string | null {
    if (!text.startsWith(SEAL)) throw new Error(`${text} was not sealed`);
    return this.#erased.has(owner) ? null : Buffer.from(text.slice(SEAL.length), 'base64').toString();
  }

  #inRoom(command: RoomCommand, roomId: RoomId): void {
    const now = this.#now();
    const facts = { now, otherExists: true, earlier: undefined, replyExists: true };
    this.#accept(
      roomDecider.decide(command, this.#room(roomId), facts),
      'actor' in command ? command.actor : command.userId,
    );
  }

  #room(roomId: RoomId): RoomState {
    return this.#state(streamOf('room', roomId), roomDecider);
  }

  #state<S>(stream: StreamName, decider: { initial: S; evolve(state: S, event: Recorded): S }): S {
    const events = this.events.filter((event) => event.stream === stream);
    return events.reduce<S>((state, event) => decider.evolve(state, event), decider.initial);
  }

  #accept(decision: Decision<unknown>, actor: UserId): void {
    if ('refused' in decision) throw decision.refused;
    for (const event of decision.events) this.#record(event, actor);
  }

  #record(event: NewEvent, actor: UserId): void {
    const partition = partitionOf(event.stream, this.partitions);
    const offset = this.lastOffset(partition) + 1;
    this.#sizes[partition] = offset + 1;
    const version = (this.#versions.get(event.stream) ?? 0) + 1;
    this.#versions.set(event.stream, version);
    const at = { partition, offset, version, actor, recordedAt: this.#now(), commandId: this.id() };
    const recorded = { ...event, ...at };
    this.events.push({ ...recorded, leaf: encodeEvent(recorded), position: offset + 1 });
  }

  /** A second an event, so that every time differs. */
  #now(): Time {
    return new Date(FIRST_MOMENT + this.events.length * 1000).toISOString();
  }
}
