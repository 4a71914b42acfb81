import type { Moment } from '../domain/commands.js';
import type { PushName } from '../domain/contract.js';
import {
  type ContactsPush,
  isStoredPush,
  type Push,
  type SealedNote,
  type Shown,
  type StoredPush,
  type Tie,
} from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { dataPart, type SealedPart } from '../domain/messages/sealedMessages.js';
import { preferencesIn } from '../domain/safety.js';
import type { Chat, User } from '../domain/userMessageChat.js';
import type { Queries } from '../projections/queries.js';
import type { Cursors, Vector } from './cursor.js';
import type { GroupIndex } from './groupIndex.js';
import type { Profiles } from './membersAndProfiles.js';
import type { Hub } from './openConnections.js';
import { pushText, textFrame } from './protocol.js';
import type { Ring } from './ring.js';
import type { Typing } from './typing.js';

/** Opens the texts of messages. */
export interface Texts {
  messages(parts: readonly SealedPart[]): Promise<(string | null)[]>;
  notes(sealed: readonly SealedNote[]): Promise<(string | null)[]>;
}

/** The sources of the profiles and texts in pushes. */
export interface ContentSources {
  readonly texts: Texts;
  readonly profiles: Pick<Profiles, 'known' | 'load'>;
  readonly chats: Pick<Queries, 'chat'>;
}

const noTexts: ReadonlyMap<string, string> = new Map();

/** The profiles and opened texts that pushes show, as far as they have been fetched. Most pushes need none. */
export class PushContent implements Shown {
  readonly #sources: ContentSources;
  readonly #known: ReadonlyMap<string, string>;
  #users: Map<UserId, User> | undefined;
  #texts: Map<string, string | null> | undefined;
  #missingUsers: UserId[] | undefined;
  #missingTexts: SealedPart[] | undefined;
  #missingNotes: SealedNote[] | undefined;
  /** By room and user; undefined: it is missing. Made by the first. */
  #chats: Map<string, { readonly roomId: RoomId; readonly userId: UserId; chat?: Chat }> | undefined;
  /** What is wanted and not loaded. */
  missing: number;

  /** `known`: texts that need not be opened, by their sealed form. Chats are shown as of `at` or later. */
  constructor(
    sources: ContentSources,
    known = noTexts,
    private readonly at: () => readonly Moment[] = () => [],
  ) {
    this.#sources = sources;
    this.#known = known;
    this.missing = 0;
  }

  /** Takes a push's profiles and texts from memory, and notes those that are missing. */
  want({ users, message, notes, chat }: StoredPush): void {
    if (users) this.#wantUsers(users);
    if (notes) this.#wantNotes(notes);
    if (chat) this.#wantChat(chat);
    if (!message) return;
    this.#wantText(message);
    const data = dataPart(message);
    if (data) this.#wantText(data);
  }

  #wantText(part: SealedPart): void {
    const { text } = part;
    if (text === null || this.#known.has(text) || this.#texts?.has(text)) return;
    this.#missingTexts ??= [];
    this.#missingTexts.push(part);
    this.missing++;
  }

  #wantNotes(notes: readonly SealedNote[]): void {
    for (const note of notes) {
      if (this.#known.has(note.sealed) || this.#texts?.has(note.sealed)) continue;
      this.#missingNotes ??= [];
      this.#missingNotes.push(note);
      this.missing++;
    }
  }

  #wantChat(chat: { readonly roomId: RoomId; readonly userId: UserId }): void {
    this.#chats ??= new Map();
    const key = `${chat.roomId}/${chat.userId}`;
    if (this.#chats.has(key)) return;
    this.#chats.set(key, { ...chat });
    this.missing++;
  }

  #wantUsers(users: readonly UserId[]): void {
    this.#users ??= new Map();
    for (const user of users) {
      if (this.#users.has(user)) continue;
      const known = this.#sources.profiles.known(user);
      if (known) this.#users.set(user, known);
      else {
        this.#missingUsers ??= [];
        this.#missingUsers.push(user);
        this.missing++;
      }
    }
  }

  /** Fetches the missing content. Rejects when a store fails; content that was fetched before stays. */
  async load(): Promise<void> {
    const [users, messages] = [this.#missingUsers ?? [], this.#missingTexts ?? []];
    const notes = this.#missingNotes ?? [];
    const [texts, profiles, opened] = await Promise.all([
      messages.length > 0 ? this.#sources.texts.messages(messages) : [],
      users.length > 0 ? this.#sources.profiles.load(users) : new Map<UserId, User>(),
      notes.length > 0 ? this.#sources.texts.notes(notes) : [],
      this.#loadChats(),
    ]);
    this.#texts ??= new Map();
    for (const [i, { text }] of messages.entries())
      if (text !== null) this.#texts.set(text, texts[i] ?? null);
    for (const [i, { sealed }] of notes.entries()) this.#texts.set(sealed, opened[i] ?? null);
    this.#users ??= new Map();
    for (const user of users) {
      const found = profiles.get(user);
      if (!found) throw new Error(`the read models do not have user ${user} yet`);
      this.#users.set(user, found);
    }
    this.#missingUsers = undefined;
    this.#missingTexts = undefined;
    this.#missingNotes = undefined;
    this.missing = 0;
  }

  async #loadChats(): Promise<void> {
    const missing = [...(this.#chats?.values() ?? [])].filter(({ chat }) => !chat);
    const load = async (one: (typeof missing)[number]) => {
      const chat = await this.#sources.chats.chat(one.roomId, one.userId, this.at());
      if (!chat) throw new Error(`the read models do not have room ${one.roomId} of ${one.userId} yet`);
      one.chat = chat;
    };
    await Promise.all(missing.map(load));
  }

  user(id: UserId): User {
    const wanted = this.#users?.get(id);
    // The profile may have changed while other content was being loaded.
    const user = wanted && (this.#sources.profiles.known(id) ?? wanted);
    if (!user) throw new Error(`the profile of ${id} is shown but was not wanted`);
    return user;
  }

  chat(roomId: RoomId, user: UserId): Chat {
    const chat = this.#chats?.get(`${roomId}/${user}`)?.chat;
    if (!chat) throw new Error(`the chat ${roomId} is shown to ${user} but was not wanted`);
    return chat;
  }

  /** Throws for a text that was not wanted: it must not read as one whose key was destroyed. */
  text(sealed: string): string | null {
    const text = this.#known.get(sealed) ?? this.#texts?.get(sealed);
    if (text === undefined) throw new Error('a text is shown but was not wanted');
    return text;
  }
}

/** A stored push as the frame that clients receive. */
export function pushFrame(push: StoredPush, content: Shown, cursor: string): Buffer {
  // An event's pushes are made by declarations, which have no other names.
  return textFrame(pushText(push.name as PushName, JSON.stringify(push.data(content)), cursor));
}

export interface DeliveryDeps {
  readonly hub: Hub;
  readonly ring: Ring;
  readonly cursors: Cursors;
  readonly typing: Pick<Typing, 'timers' | 'endByMessage'>;
  readonly groups: Pick<GroupIndex, 'receiversOf'>;
}

/** An event and its pushes. */
export interface PushedEvent {
  readonly event: Recorded;
  readonly pushes: readonly Push[];
  /** What it makes two users to each other. */
  readonly tie: Tie | undefined;
}

/** An event, its pushes, and the content of those to users of this node. */
export interface Delivered extends PushedEvent {
  readonly content: Shown;
}

/** The users whose profiles a push shows. */
const usersShown = ({ users, chat }: StoredPush, content: Shown): readonly UserId[] | undefined =>
  chat ? content.chat(chat.roomId, chat.userId).participants.map(({ userId }) => userId) : users;

/** Hands an event's pushes to the connections they concern. A push is serialised once for all its receivers. */
export class Delivery {
  readonly #deps: DeliveryDeps;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** `vector` is the node's, including this event. */
  deliver({ event, pushes, tie, content }: Delivered, vector: Vector): void {
    const { hub } = this.#deps;
    if (tie) hub.applyTie(tie);
    if (event.type === 'PreferencesChanged')
      hub.relations.prefer(event.data.userId, preferencesIn(event.data));
    if (event.type === 'MessageDeleted') this.#deps.ring.forgetMessage(event.data.messageId);
    if (event.type === 'MemberLeft' && event.data.last) this.#deps.ring.forgetRoom(event.data.roomId);
    for (const push of pushes)
      if ('about' in push) this.#toContacts(event, push);
      else if (isStoredPush(push)) this.#stored(event, push, vector, content);
      else this.#deps.ring.outdate(push.profileOf);
  }

  #toContacts({ partition, offset }: Recorded, { name, about, data }: ContactsPush): void {
    let text: string | undefined;
    for (const user of this.#deps.hub.relations.watchersOf(about)) {
      // An event's pushes are made by declarations, which have no other names.
      text ??= pushText(name as PushName, JSON.stringify(data));
      for (const connection of this.#deps.hub.connectionsOf(user))
        if (connection.session) {
          connection.recordSeen(partition, offset + 1);
          connection.sendText(text);
        }
    }
  }

  #stored(event: Recorded, push: StoredPush, vector: Vector, content: Shown): void {
    const { hub, ring, cursors, typing, groups } = this.#deps;
    const { partition, offset, commandId } = event;
    const { room, readBy, endsTypingOf } = push;
    const to = groups.receiversOf(push, offset);
    if (typing.timers.size > 0 && endsTypingOf !== undefined && room !== undefined)
      typing.endByMessage(room, endsTypingOf);
    let frame: Buffer | undefined;
    for (const user of to) {
      // A push that concerns no user of this node is not serialised.
      if (!ring.hosts(user)) continue;
      frame ??= pushFrame(push, content, cursors.live(vector));
      // The ring keeps it for all: whether they are told is asked again when they come back.
      if (readBy !== undefined && !hub.relations.isToldReads(user, readBy)) continue;
      for (const connection of hub.connectionsOf(user))
        if (!connection.commandIds?.includes(commandId))
          connection.pushLive(frame, room, partition, offset + 1);
    }
    if (!frame) return;
    const { onlyNewest, onlyLive } = push;
    ring.add(event, { to, onlyNewest, onlyLive, shows: usersShown(push, content) }, frame);
  }
}
