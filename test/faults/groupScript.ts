import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { createClient } from '../../packages/client/src/client.js';
import { Rest } from '../../packages/client/src/rest.js';
import { type Client, ClientError } from '../../packages/client/src/types.js';
import { eventually } from '../support/eventually.js';
import {
  GroupModel,
  reactionOf,
  type Said,
  type Seen,
  sayMessage,
  seenDeleted,
  seenMessage,
} from '../support/groupModel.js';
import { insist } from '../support/insist.js';
import { type Place, signUp, socketServer } from '../support/people.js';
import { type Random, upTo } from '../support/random.js';
import { laterOf } from './ledger.js';

/** People who act in groups, one step after the other in each, and a model with which the system is compared. */

export const FOR_EVER = { timeoutMs: Number.POSITIVE_INFINITY } as const;
const EMOJI = ['👍', '🎉', '❤️'] as const;
const BACKOFF = { baseMs: 20, capMs: 250 } as const;
/** The most requests of a burst. */
const BURST = 4;

const pick = <T>(from: readonly T[], random: Random): T => {
  const found = from[upTo(from.length, random)];
  if (found === undefined) throw new Error('there is nothing to pick from');
  return found;
};

/** A device that keeps what is pushed to it, over being closed and opened again with its cursor. */
class Watcher {
  /** The messages that were pushed, in order. */
  readonly pushed: { readonly roomId: string; readonly seq: number }[] = [];
  /** The messages of which something else was pushed. */
  readonly changed: { readonly roomId: string; readonly seq: number }[] = [];
  /** The rooms of which anything was pushed. */
  readonly rooms = new Set<string>();
  /** By room and `seq`, the message as the device would show it. */
  readonly #shown = new Map<string, Seen>();
  #cursor: string | undefined;
  #client: Client | undefined;

  constructor(
    private readonly place: Place,
    private readonly token: string,
  ) {}

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** Opens it, unless it is open. */
  open(): Client {
    this.#client ??= this.#connect();
    return this.#client;
  }

  shown(roomId: string, seq: number): Seen | undefined {
    return this.#shown.get(`${roomId}/${seq}`);
  }

  #connect(): Client {
    const client = createClient({
      url: () => socketServer(this.place),
      getToken: () => this.token,
      webSocket: WebSocket,
      cursors: {
        load: () => this.#cursor,
        save: (cursor) => {
          this.#cursor = cursor;
        },
      },
      backoff: BACKOFF,
    });
    const show = (roomId: string, seen: Seen) => this.#shown.set(`${roomId}/${seen.seq}`, seen);
    const hear = (roomId: string) => void this.rooms.add(roomId);
    client.on('send message', ({ message }) => {
      hear(message.roomId);
      this.pushed.push(message);
      show(message.roomId, seenMessage(message));
    });
    client.on('edit message', ({ roomId, message }) => {
      this.changed.push(message);
      show(roomId, seenMessage(message));
    });
    client.on('delete message', (deleted) => {
      this.changed.push(deleted);
      show(deleted.roomId, seenDeleted(deleted.seq, deleted.by));
    });
    client.on('react', (reaction) => {
      const { roomId, seq, userId, emoji, on } = reaction;
      this.changed.push(reaction);
      const seen = this.shown(roomId, seq);
      if (!seen) return;
      const others = seen.reactions.filter((one) => one !== reactionOf(emoji, userId));
      show(roomId, { ...seen, reactions: on ? [...others, reactionOf(emoji, userId)].sort() : others });
    });
    client.on('init chat', ({ room }) => hear(room.roomId));
    for (const name of ['add member', 'remove member', 'change role', 'read messages'] as const)
      client.on(name, ({ roomId }) => hear(roomId));
    client.start();
    return client;
  }
}

/** Somebody with a device that acts, and one that comes and goes. */
export interface Somebody {
  readonly userId: string;
  readonly username: string;
  readonly token: string;
  readonly client: Client;
  readonly watcher: Watcher;
}

/** Signs somebody up, under one more name if need be; resolves when both devices are live. */
export async function newSomebody(place: Place, name: string): Promise<Somebody> {
  let names = 0;
  const { userId, username, token } = await insist(`${name} is signed in`, async () => {
    const { user, username, password } = await signUp(place, `${name}-${++names}`);
    const { token } = await new Rest(place.url).signIn(username, password);
    return { userId: user.userId, username, token };
  });
  const client = createClient({
    url: () => socketServer(place),
    getToken: () => token,
    webSocket: WebSocket,
    backoff: BACKOFF,
  });
  client.start();
  const watcher = new Watcher(place, token);
  await Promise.all([client.ready, watcher.open().ready]);
  return { userId, username, token, client, watcher };
}

/** Closes all devices. */
export function closeAll(people: readonly Somebody[]): void {
  for (const { client, watcher } of people) {
    watcher.close();
    client.close();
  }
}

interface Cast {
  readonly people: readonly Somebody[];
  readonly random: Random;
  /** Called when a command is acknowledged. */
  readonly onAcknowledged?: () => void;
}

/** One group as it should be, and the steps that change it and the system. */
export class GroupScript {
  /** The newest revision in any answer so far. A query with it sees every acknowledged command in the group. */
  revision: string | undefined;

  private constructor(
    private readonly cast: Cast,
    readonly model: GroupModel,
  ) {}

  /** Creates a group of some of the people. */
  static async create(cast: Cast): Promise<GroupScript> {
    const { people, random } = cast;
    const [owner, ...others] = some(people, upTo(people.length - 2, random) + 2, random);
    if (!owner) throw new Error('a group needs people');
    const history = pick(['joined', 'all'] as const, random);
    const roomId = randomUUID();
    const memberIds = others.map(({ userId }) => userId);
    const data = { roomId, name: `the group of ${owner.username}`, memberIds, history };
    const answer = await owner.client.request('create group', data, FOR_EVER);
    expect(answer.refused).to.deep.equal([]);
    const script = new GroupScript(cast, new GroupModel(roomId, history, owner.userId, memberIds));
    script.#acknowledged(answer);
    return script;
  }

  get people(): readonly Somebody[] {
    return this.cast.people;
  }

  /** One random step that the contract allows. */
  async step(): Promise<void> {
    const { random } = this.cast;
    const actor = this.#person(pick(this.model.members, random));
    const kind = upTo(20, random);
    if (kind < 6) await this.#send(actor);
    else if (kind < 8) await this.#burst();
    else if (kind < 10) await this.#edit(actor);
    else if (kind < 12) await this.#delete(actor);
    else if (kind < 14) await this.#react(actor);
    else if (kind < 17) await this.#add(actor);
    else if (kind < 19) await this.#leave(actor);
    else await this.#changeRole(actor);
  }

  #person(userId: string): Somebody {
    const found = this.people.find((one) => one.userId === userId);
    if (!found) throw new Error(`there is no user ${userId}`);
    return found;
  }

  #acknowledged({ revision }: { readonly revision: string }): void {
    this.revision = laterOf(this.revision, revision);
    this.cast.onAcknowledged?.();
  }

  async #send(actor: Somebody): Promise<void> {
    const sent = await this.#askToSend(actor);
    expect(sent.seq).to.equal(this.model.newest + 1);
    this.model.send(actor.userId, sent.messageId, sent.text);
  }

  async #askToSend({ client }: Somebody): Promise<{ seq: number; messageId: string; text: string }> {
    const { roomId } = this.model;
    const messageId = randomUUID();
    const text = `text of ${messageId}`;
    const answer = await client.request('send message', { roomId, messageId, message: text }, FOR_EVER);
    this.#acknowledged(answer);
    expect(answer.message.message).to.equal(text);
    return { seq: answer.message.seq, messageId, text };
  }

  /** Several members send at once, and all of them react to one earlier message. */
  async #burst(): Promise<void> {
    const { model } = this;
    const senders = some(model.members, BURST, this.cast.random).map((userId) => this.#person(userId));
    const emoji = pick(EMOJI, this.cast.random);
    const sent = await Promise.all(
      senders.map(async (actor) => {
        const target = this.#visible(actor).at(-1);
        const [message] = await Promise.all([
          this.#askToSend(actor),
          target && this.#askToReact(actor, target, { emoji, on: true }),
        ]);
        return { actor, target, message };
      }),
    );
    for (const { actor, message } of sent.toSorted((a, b) => a.message.seq - b.message.seq)) {
      expect(message.seq).to.equal(model.newest + 1);
      model.send(actor.userId, message.messageId, message.text);
    }
    for (const { actor, target } of sent)
      if (target) model.react(target.seq, actor.userId, { emoji, on: true });
  }

  /** The messages that a member sees and that are not deleted. */
  #visible({ userId }: Somebody): Said[] {
    return this.model.said.filter(
      ({ seq, deletedBy }) => deletedBy === undefined && this.model.canSee(userId, seq),
    );
  }

  async #edit(actor: Somebody): Promise<void> {
    const mine = this.#visible(actor).filter(({ senderId }) => senderId === actor.userId);
    if (mine.length === 0) return this.#send(actor);
    const { roomId } = this.model;
    const { seq, messageId, texts } = pick(mine, this.cast.random);
    const editId = randomUUID();
    const text = `text of edit ${editId}`;
    const data = { roomId, messageId, editId, message: text };
    const answer = await actor.client.request('edit message', data, FOR_EVER);
    this.#acknowledged(answer);
    const { message, rev } = answer.message;
    expect({ message, rev }).to.deep.equal({ message: text, rev: texts.length });
    this.model.edit(seq, text);
  }

  async #delete(actor: Somebody): Promise<void> {
    const isAdmin = this.model.roleOf(actor.userId) !== 'member';
    const mine = this.#visible(actor).filter(({ senderId }) => isAdmin || senderId === actor.userId);
    if (mine.length === 0) return this.#send(actor);
    const { roomId } = this.model;
    const { seq, messageId } = pick(mine, this.cast.random);
    this.#acknowledged(await actor.client.request('delete message', { roomId, messageId }, FOR_EVER));
    this.model.delete(seq, actor.userId);
  }

  async #react(actor: Somebody): Promise<void> {
    const seen = this.#visible(actor);
    if (seen.length === 0) return this.#send(actor);
    const said = pick(seen, this.cast.random);
    const emoji = pick(EMOJI, this.cast.random);
    const on = !said.reactions.has(reactionOf(emoji, actor.userId));
    const { reactions } = await this.#askToReact(actor, said, { emoji, on });
    this.model.react(said.seq, actor.userId, { emoji, on });
    const answered = reactions.flatMap(({ emoji, userIds }) =>
      userIds.map((user) => reactionOf(emoji, user)),
    );
    expect(answered.sort()).to.deep.equal([...said.reactions].sort());
  }

  async #askToReact(
    { client }: Somebody,
    { messageId }: Said,
    { emoji, on }: { emoji: string; on: boolean },
  ) {
    const { roomId } = this.model;
    const answer = await client.request('react', { roomId, messageId, emoji, on }, FOR_EVER);
    this.#acknowledged(answer);
    return answer;
  }

  async #add({ client }: Somebody): Promise<void> {
    const { roomId } = this.model;
    const userIds = some(this.people, 2, this.cast.random).map(({ userId }) => userId);
    const isIn = new Set(this.model.members);
    const answer = await client.request('add members', { roomId, userIds }, FOR_EVER);
    this.#acknowledged(answer);
    // A repeat after an answer that was lost adds nobody.
    expect(answer.refused).to.deep.equal([]);
    this.model.join(userIds.filter((userId) => !isIn.has(userId)));
  }

  async #leave(actor: Somebody): Promise<void> {
    const { model } = this;
    const { roomId } = model;
    if (model.members.length < 3) return this.#add(actor);
    const target = pick(model.members, this.cast.random);
    const isAllowed =
      target !== actor.userId && model.roleOf(actor.userId) !== 'member' && model.roleOf(target) !== 'owner';
    const { client } = actor;
    if (isAllowed) {
      this.#acknowledged(await client.request('remove member', { roomId, userId: target }, FOR_EVER));
      return model.leave(target);
    }
    this.#acknowledged(await client.request('leave group', { roomId }, FOR_EVER));
    model.leave(actor.userId);
  }

  async #changeRole({ userId: actor, client }: Somebody): Promise<void> {
    const { model } = this;
    const { roomId } = model;
    const userId = pick(model.members, this.cast.random);
    const role = pick(['owner', 'admin', 'member'] as const, this.cast.random);
    const change = () => client.request('change role', { roomId, userId, role }, FOR_EVER);
    // By whomever.
    if (model.isLastOwner(userId) && role !== 'owner') return expectRefused(change(), 'conflict');
    if (model.roleOf(actor) !== 'owner') return expectRefused(change(), 'forbidden');
    this.#acknowledged(await change());
    model.setRole(userId, role);
  }

  /** Every device comes back, and everybody has what the model says: once, in order, and nothing else. */
  async compare(): Promise<void> {
    for (const { watcher } of this.people) watcher.open();
    await Promise.all(this.people.map((person) => this.#comparePerson(person)));
    await this.#compareMembers();
  }

  async #comparePerson(person: Somebody): Promise<void> {
    const { model, revision } = this;
    const { roomId } = model;
    const { userId, client, watcher } = person;
    const who = `user ${userId} in group ${roomId}`;
    const ofRoom = (messages: Watcher['pushed']) =>
      messages.filter((one) => one.roomId === roomId).map(({ seq }) => seq);
    if (!model.wasEverIn(userId)) {
      await expectRefused(fetchSeen(client, roomId, revision), 'not_found');
      expect(watcher.rooms.has(roomId), `${who}, who was never a member, is told of it`).to.equal(false);
      return;
    }
    const isMember = model.roleOf(userId) !== undefined;
    const lines = (seen: readonly Seen[]) => seen.map((one) => sayMessage(one, isMember));
    const expected = model.seenBy(userId);
    const state = `${who}, who ${isMember ? 'is a member' : 'has left'}`;
    expect(lines(await fetchSeen(client, roomId, revision)), state).to.deep.equal(lines(expected));
    const due = model.pushedTo(userId);
    await eventually(`${who} is pushed the last`, () => ofRoom(watcher.pushed).length >= due.length);
    expect(ofRoom(watcher.pushed), `${who}: in order, once`).to.deep.equal(due);
    const strange = ofRoom(watcher.changed).filter((seq) => !model.mayKnow(userId, seq));
    expect(strange, `${who} is told of messages outside of the windows`).to.deep.equal([]);
    if (!isMember) return;
    const owed = expected.filter(({ seq }) => due.includes(seq) && model.isInSince(userId, seq));
    const wrong = () =>
      owed.filter((one) => {
        const shown = watcher.shown(roomId, one.seq);
        return !shown || sayMessage(shown, true) !== sayMessage(one, true);
      });
    await eventually(`${who} is shown each message as it is now`, () => wrong().length === 0);
  }

  async #compareMembers(): Promise<void> {
    const { model } = this;
    const [first] = model.members;
    if (first === undefined) return;
    const { client } = this.#person(first);
    const request = { roomId: model.roomId, limit: 200, ...withRevision(this.revision) };
    const { members } = await client.request('get members', request, FOR_EVER);
    const roles = members.map(({ user, role }) => [user.userId, role] as const).sort();
    expect(roles).to.deep.equal(
      model.members.map((userId) => [userId, model.roleOf(userId)] as const).sort(),
    );
  }
}

/** Some of these, each once; all of them if there are no more. */
function some<T>(from: readonly T[], n: number, random: Random): T[] {
  const left = [...from];
  return Array.from({ length: Math.min(n, left.length) }, () =>
    left.splice(upTo(left.length, random), 1),
  ).flat();
}

const withRevision = (revision: string | undefined) => (revision === undefined ? {} : { revision });

/** What somebody can fetch of a group, from whichever node. */
async function fetchSeen(client: Client, roomId: string, revision: string | undefined): Promise<Seen[]> {
  const all: Seen[] = [];
  for (let after = 0; ; ) {
    const request = { roomId, after, limit: 200, ...withRevision(revision) };
    const { messages, hasMore } = await client.request('fetch messages', request, FOR_EVER);
    all.push(...messages.map(seenMessage));
    after = messages.at(-1)?.seq ?? after;
    if (!hasMore) return all;
  }
}

async function expectRefused(request: Promise<unknown>, code: string): Promise<void> {
  const error = await request.then(
    () => undefined,
    (refusal: unknown) => refusal,
  );
  expect(error).to.be.instanceOf(ClientError);
  expect(error).to.have.property('code', code);
}
