import { v5 as uuidv5 } from 'uuid';
import { encodeEvent } from '../../../src/domain/codec.js';
import {
  type Command,
  type CommandOf,
  decideCommand,
  describeCommand,
} from '../../../src/domain/commands.js';
import type { EarlierMessage } from '../../../src/domain/defineCommand.js';
import type { SealedMessage } from '../../../src/domain/defineEvent.js';
import {
  changedBy,
  changeMessage,
  foldFor,
  type NewEvent,
  type State,
  sealedTextsOf,
} from '../../../src/domain/events.js';
import type { Sealed, Time } from '../../../src/domain/fields.js';
import {
  type Actor,
  type KeyId,
  parseStream,
  type RoomId,
  roomIdOf,
  type StreamName,
  streamOf,
  type UserId,
} from '../../../src/domain/ids.js';
import { sealedMessage } from '../../../src/domain/messages/messages.js';
import type { PairState, Role, RoomState, UserState } from '../../../src/domain/streams.js';
import type { Preferences } from '../../../src/domain/userMessageChat.js';
import { partitionOf } from '../../../src/log/log.js';
import type { ContentOpener } from '../../../src/projections/models/userRows.js';
import type { Folded } from '../../../src/projections/projection.js';
import { earlierMessage, factsOf } from '../../support/facts.js';

const SEAL = 'sealed:';
const FIRST_MOMENT = Date.parse('2026-01-01T00:00:00.000Z');
const NAMESPACE = '5d0c9f0e-3a64-4a53-9f5e-0c8f2f1f7a10';

/** The sealed form of a text in a world's events. */
export const sealed = (text: string): Sealed => `${SEAL}${Buffer.from(text).toString('base64')}`;

/** The commands of the host application that are not refused for reasons that this world does not know. */
type HostCommand = CommandOf<
  | 'put group'
  | 'drop member'
  | 'add key'
  | 'revoke key'
  | 'link identity'
  | 'record host read'
  | 'administer user'
>;

/** The commands of members to a group. */
export type GroupCommand = CommandOf<
  | 'change group'
  | 'add members'
  | 'remove member'
  | 'leave group'
  | 'change role'
  | 'send message'
  | 'edit message'
  | 'react'
  | 'pin message'
  | 'read messages'
  | 'erase member'
>;

/** The text of what `sealed` has sealed. */
export const unsealed = (text: Sealed): string => Buffer.from(text.slice(SEAL.length), 'base64').toString();

/** An event with its texts sealed, as the writer seals them. */
function sealedEvent(event: NewEvent, actor: Actor): NewEvent {
  // Only the fields are asked for, which follow from type, data and actor.
  const fields = sealedTextsOf({ ...event, actor } as Parameters<typeof sealedTextsOf>[0]);
  const texts = Object.fromEntries(fields.map(({ field, text }) => [field, sealed(text)]));
  return { ...event, data: { ...event.data, ...texts } } as NewEvent; // A sealed text is a text.
}

/** What a message has beside its text. */
export interface Sent {
  readonly replyTo?: string;
  readonly mentions?: string[];
  readonly data?: Record<string, unknown>;
}

/**
 * Users who register, make friends, chat, and go online and offline. Produces the log that their commands
 * would make.
 */
export class World {
  readonly events: Folded[] = [];
  readonly #versions = new Map<StreamName, number>();
  readonly #sizes: number[];
  readonly #erased = new Set<UserId>();
  /** The server key of the host application. */
  readonly keyId = uuidv5('key', NAMESPACE);
  #ids = 0;

  constructor(readonly partitions = 1) {
    this.#sizes = new Array<number>(partitions).fill(0);
  }

  /** Opens what this world has sealed; `null` once the owner's key is destroyed. */
  readonly open: ContentOpener = {
    messages: async (messages) =>
      messages.map(({ senderId, text }) => (text === null ? null : this.#open(senderId, text))),
    notes: async (notes) => notes.map(({ owner, sealed }) => this.#open(owner, sealed)),
  };

  register(username: string): UserId {
    const userId = this.id();
    const data = { userId, username: sealed(username), backgroundColor: '#336699' };
    this.#record({ type: 'UserRegistered', stream: streamOf('user', userId), data }, { actor: userId });
    return userId;
  }

  changeProfile(userId: UserId, change: Omit<CommandOf<'change profile'>, 'kind' | 'userId'>): void {
    this.#run({ kind: 'change profile', userId, ...change });
  }

  setSuspended(by: UserId, userId: UserId, isSuspended: boolean): void {
    this.#run({ kind: isSuspended ? 'suspend user' : 'restore user', userId, by, reason: 'because' });
  }

  setRole(userId: UserId, role: Role, give: boolean): void {
    this.#run({ kind: give ? 'give role' : 'take role', userId, role });
  }

  befriend(actor: UserId, friendId: UserId): StreamName {
    this.#run({ kind: 'add friend', actor, friendId });
    return streamOf('room', roomIdOf(actor, friendId));
  }

  unfriend(actor: UserId, friendId: UserId): void {
    this.#run({ kind: 'remove friend', actor, friendId });
  }

  accept(actor: UserId, roomId: RoomId): void {
    this.#run({ kind: 'accept chat', actor, roomId });
  }

  block(actor: UserId, userId: UserId, block = true): void {
    this.#run({ kind: 'block user', actor, userId, block });
  }

  prefer(actor: UserId, preferences: Partial<Preferences>): void {
    this.#run({ kind: 'change preferences', actor, ...preferences });
  }

  openChat(actor: UserId, friendId: UserId): RoomId {
    this.#run({ kind: 'init chat', actor, friendId });
    return roomIdOf(actor, friendId);
  }

  /** Returns the message's id. */
  send(actor: UserId, roomId: RoomId, message: string, body: Sent = {}): string {
    const messageId = this.id();
    this.#run({ kind: 'send message', actor, roomId, messageId, message, ...body });
    return messageId;
  }

  /** Edits the message with this `seq`, if it is there and was not deleted. */
  edit(roomId: RoomId, seq: number, message: string, mentions?: string[]): void {
    const found = this.#messageAt(roomId, seq);
    if (!found) return;
    const { messageId, senderId: actor } = found;
    const body = { message, ...(mentions ? { mentions } : {}) };
    this.#run({ kind: 'edit message', actor, roomId, messageId, editId: this.id(), ...body });
  }

  /** Reacts to the message with this `seq`, or takes it back, if it is there and was not deleted. */
  react(actor: UserId, roomId: RoomId, seq: number, emoji: string, on = true): void {
    const found = this.#messageAt(roomId, seq);
    if (found) this.#run({ kind: 'react', actor, roomId, messageId: found.messageId, emoji, on });
  }

  /** Pins or unpins the message with this `seq`, if it is there and was not deleted. */
  pin(actor: UserId, roomId: RoomId, seq: number, on = true): void {
    const found = this.#messageAt(roomId, seq);
    if (found) this.#run({ kind: 'pin message', actor, roomId, messageId: found.messageId, on });
  }

  /** Archives the chat, or takes it out of the archive. */
  archive(actor: UserId, roomId: RoomId, archived: boolean): void {
    const before = { mutedUntil: null, pinned: false, archived: !archived };
    this.#run({ kind: 'change chat', actor, roomId, seq: this.lastSeq(roomId), before, archived });
  }

  #messageAt(roomId: RoomId, seq: number): SealedMessage | undefined {
    const found = this.messages(roomId).find((message) => message.seq === seq);
    return found?.deleted ? undefined : found;
  }

  /** The messages of a room as they are now, sealed; with their texts as of an offset. */
  messages(roomId: RoomId, textsAt = Number.POSITIVE_INFINITY): SealedMessage[] {
    const found = new Map<number, SealedMessage>();
    for (const event of this.events) {
      if (event.stream !== streamOf('room', roomId)) continue;
      if (event.type === 'MessageSent') found.set(event.data.seq, sealedMessage(event));
      if (event.type === 'MessageEdited' && event.offset > textsAt) continue;
      const changed = changedBy(event);
      const known = changed && found.get(changed.seq);
      if (known) found.set(known.seq, changeMessage(known, event));
    }
    return [...found.values()];
  }

  /** Deletes the message with this `seq`, if there is one that was not deleted before. */
  deleteMessage(roomId: RoomId, seq: number): void {
    const ofRoom = this.events.filter(({ stream }) => stream === streamOf('room', roomId));
    for (const { type, data } of ofRoom)
      if (type === 'MessageSent' && data.seq === seq && !this.#isDeleted(roomId, seq))
        this.#run({ kind: 'remove message', roomId, messageId: data.messageId });
  }

  /** Reports the message with this `seq`, or the room if there is none. Returns the report's id. */
  report(actor: UserId, roomId: RoomId, seq: number, note?: string): string {
    const reportId = this.id();
    const sent = this.events.find(
      ({ type, data }) => type === 'MessageSent' && data.roomId === roomId && data.seq === seq,
    );
    const message = sent?.type === 'MessageSent' ? sent : undefined;
    this.#run({
      ...{ kind: 'record report', actor, reportId, roomId, category: 'spam' },
      ...(message
        ? { messageIds: [message.data.messageId], seqs: [seq], evidence: [{ seq, senderId: message.actor }] }
        : {}),
      ...(note === undefined ? {} : { note }),
    });
    return reportId;
  }

  decideReport(by: Actor, reporter: UserId, reportId: string, note: string): void {
    this.#run({ kind: 'record decision', reporter, reportId, by, decision: {}, note });
  }

  #isDeleted(roomId: RoomId, seq: number): boolean {
    return this.events.some(
      ({ type, data }) => type === 'MessageDeleted' && data.roomId === roomId && data.seq === seq,
    );
  }

  read(actor: UserId, roomId: RoomId, upTo?: number): void {
    const { preferences } = this.#state(streamOf('user', actor)) as UserState; // Of a user's stream.
    const hidden = preferences?.receipts === false ? { hidden: true as const } : {};
    this.#run({ kind: 'read messages', actor, roomId, ...(upTo === undefined ? {} : { upTo }), ...hidden });
  }

  /** All rooms in which anything happened. */
  rooms(): RoomId[] {
    const streams = new Set(this.events.map(({ stream }) => stream));
    return [...streams].flatMap((stream) => {
      const { kind, id } = parseStream(stream);
      return kind === 'room' ? [id] : [];
    });
  }

  /** The id of the message with this `seq`, if it is there. */
  idAt(roomId: RoomId, seq: number): string | undefined {
    return this.messages(roomId).find((message) => message.seq === seq)?.messageId;
  }

  /** Its first members see what is said from now on, and with `history` those who come later see all. */
  createGroup(actor: UserId, memberIds: readonly UserId[], history: 'joined' | 'all' = 'joined'): RoomId {
    const roomId = this.id().replace(/^(.{14})./, '$14');
    this.#run({
      kind: 'create group',
      actor,
      roomId,
      name: `group of ${actor}`,
      memberIds: [...memberIds],
      history,
    });
    return roomId;
  }

  /** Does what its decider permits; of a refused command nothing is recorded. */
  inGroup(command: GroupCommand): void {
    this.#run(command, true);
  }

  /** Does what its decider permits, as the host application. */
  asHost(command: HostCommand): void {
    this.#run({ ...command, via: this.keyId }, true);
  }

  goOnline(userId: UserId): void {
    this.#run({ kind: 'go online', userId });
  }

  goOffline(userId: UserId, lastSeen: Time): void {
    this.#run({ kind: 'go offline', userId, lastSeen });
  }

  destroyKey(userId: UserId): void {
    this.#erased.add(userId);
  }

  /** The newest `seq` of a room, from its decider's state. */
  /** Whether somebody blocks the other in this pair: most commands are then refused. */
  isBlocked(roomId: RoomId): boolean {
    return (this.#state(streamOf('room', roomId)) as PairState).blocks.length > 0; // Of a pair's stream.
  }

  lastSeq(roomId: RoomId): number {
    const state = this.#state(streamOf('room', roomId)) as RoomState; // Of a room's stream.
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

  #run(command: Command, mayBeRefused = false): void {
    const stream = describeCommand(command).stream;
    const { replyTo } = { replyTo: undefined, ...command };
    const facts = factsOf({
      isText: (note, text) => note.sealed === sealed(text),
      now: this.#now(),
      message: ({ messageId }) => {
        // A replied message is assumed to exist.
        if (messageId === replyTo) return earlierMessage({ senderId: '', seq: 1, sentAt: '', text: '' });
        return command.kind === 'send message' ? undefined : this.#sent(messageId);
      },
    });
    const decision = decideCommand(command, this.#state(stream), facts);
    if ('refused' in decision) {
      if (mayBeRefused) return;
      throw decision.refused;
    }
    const origin = describeCommand(command);
    // Deciders make events by their declarations.
    for (const event of decision.events) this.#record(sealedEvent(event as NewEvent, origin.actor), origin);
  }

  #sent(messageId: string): EarlierMessage | undefined {
    for (const event of this.events)
      if (event.type === 'MessageSent' && event.data.messageId === messageId)
        return this.#earlier(event.data.roomId, messageId);
    return undefined;
  }

  /** Its texts stay sealed: no decider compares them here. */
  #earlier(roomId: RoomId, messageId: string): EarlierMessage | undefined {
    const found = this.messages(roomId).find((message) => message.messageId === messageId);
    if (!found) return undefined;
    const { data: _, ...message } = found;
    return earlierMessage(message);
  }

  #state(stream: StreamName): State {
    const fold = foldFor(stream);
    return this.events
      .filter((event) => event.stream === stream)
      .reduce<State>((state, event) => fold.evolve(state, event), fold.initial);
  }

  #record(
    event: NewEvent,
    { actor, via }: { readonly actor: Actor; readonly via?: KeyId | undefined },
  ): void {
    const partition = partitionOf(event.stream, this.partitions);
    const offset = this.lastOffset(partition) + 1;
    this.#sizes[partition] = offset + 1;
    const version = (this.#versions.get(event.stream) ?? 0) + 1;
    this.#versions.set(event.stream, version);
    const at = { partition, offset, version, actor, recordedAt: this.#now(), commandId: this.id() };
    const recorded = { ...event, ...at, ...(via === undefined ? {} : { via }) };
    this.events.push({ ...recorded, leaf: encodeEvent(recorded), position: offset + 1 });
  }

  /** One second for each event, so that all times differ. */
  #now(): Time {
    return new Date(FIRST_MOMENT + this.events.length * 1000).toISOString();
  }
}
