import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { createClient } from '../../packages/client/src/client.js';
import { Rest } from '../../packages/client/src/rest.js';
import { type Client, ClientError, type Message } from '../../packages/client/src/types.js';
import { hasEngine, type Kind } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { isSoak } from '../support/lanes.js';
import { freshDatabase } from '../support/mongo.js';
import { natsUrl } from '../support/nats.js';
import { type Place, signUp, socketServer } from '../support/people.js';
import { type Random, upTo, withSeed } from '../support/random.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { GroupModel, type Seen } from './visibility.js';

const PEOPLE = 12;
const GROUPS = 3;
const STEPS = isSoak ? 2000 : 120;
const KILLS = isSoak ? 20 : 2;
const FOR_EVER = { timeoutMs: Number.POSITIVE_INFINITY } as const;

const pick = <T>(from: readonly T[], random: Random): T => {
  const found = from[upTo(from.length, random)];
  if (found === undefined) throw new Error('there is nothing to pick from');
  return found;
};

/** A device that keeps every push about messages, over being opened and closed. */
class Watcher {
  readonly pushed: { readonly roomId: string; readonly seq: number }[] = [];
  /** By room and `seq`, the text that it would show. */
  readonly shown = new Map<string, string | null>();
  readonly sent = new Set<string>();
  #cursor: string | undefined;
  #client: Client | undefined;

  constructor(
    private readonly place: Place,
    private readonly token: string,
  ) {}

  get client(): Client {
    this.#client ??= this.#open();
    return this.#client;
  }

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #open(): Client {
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
      backoff: { baseMs: 20, capMs: 250 },
    });
    const show = ({ roomId, seq, message }: Message) => this.shown.set(`${roomId}/${seq}`, message);
    client.on('send message', ({ message }) => {
      this.pushed.push(message);
      show(message);
    });
    client.on('edit message', ({ message }) => void show(message));
    client.on('delete message', ({ roomId, seq }) => void this.shown.set(`${roomId}/${seq}`, null));
    client.start();
    return client;
  }
}

interface Somebody {
  readonly userId: string;
  readonly watcher: Watcher;
}

/** Everybody, the groups as they should be, and the steps that change both. */
class Script {
  readonly groups: GroupModel[] = [];
  revision: string | undefined;

  constructor(
    readonly people: readonly Somebody[],
    private readonly random: Random,
  ) {}

  #person(userId: string): Somebody {
    const found = this.people.find((one) => one.userId === userId);
    if (!found) throw new Error(`there is no user ${userId}`);
    return found;
  }

  async create(): Promise<void> {
    const [owner, ...others] = this.#some(upTo(PEOPLE - 2, this.random) + 2);
    if (!owner) return;
    const history = pick(['joined', 'all'] as const, this.random);
    const roomId = randomUUID();
    const memberIds = others.map(({ userId }) => userId);
    const answer = await owner.watcher.client.request(
      'create group',
      { roomId, name: `group ${this.groups.length}`, memberIds, history },
      FOR_EVER,
    );
    expect(answer.refused).to.deep.equal([]);
    this.revision = answer.revision;
    this.groups.push(new GroupModel(roomId, history, owner.userId, memberIds));
  }

  #some(n: number): Somebody[] {
    const left = [...this.people];
    return Array.from({ length: n }, () => left.splice(upTo(left.length, this.random), 1)).flat();
  }

  /** One random step that the contract allows. */
  async step(): Promise<void> {
    const group = pick(this.groups, this.random);
    const actor = this.#person(pick(group.members, this.random));
    const kind = upTo(20, this.random);
    if (kind < 9) await this.#send(group, actor);
    else if (kind < 12) await this.#edit(group, actor);
    else if (kind < 13) await this.#delete(group, actor);
    else if (kind < 16) await this.#add(group, actor);
    else if (kind < 18) await this.#leave(group, actor);
    else if (kind < 19) await this.#changeRole(group, actor);
    else this.#toggle();
  }

  async #send(group: GroupModel, actor: Somebody): Promise<void> {
    const { roomId } = group;
    const messageId = randomUUID();
    const text = `message ${group.newest + 1} of ${roomId}`;
    const data = { roomId, messageId, message: text };
    const { message, revision } = await actor.watcher.client.request('send message', data, FOR_EVER);
    this.revision = revision;
    const said = group.send(actor.userId, messageId, text);
    expect(message.seq).to.equal(said.seq);
    actor.watcher.sent.add(`${roomId}/${said.seq}`);
    actor.watcher.shown.set(`${roomId}/${said.seq}`, text);
  }

  async #edit(group: GroupModel, actor: Somebody): Promise<void> {
    const mine = group.said.filter(
      ({ senderId, seq, deletedBy }) =>
        senderId === actor.userId && deletedBy === undefined && group.canSee(actor.userId, seq),
    );
    if (mine.length === 0) return this.#send(group, actor);
    const { roomId } = group;
    const { seq, messageId, texts } = pick(mine, this.random);
    const text = `text ${texts.length} of message ${seq}`;
    const data = { roomId, messageId, editId: randomUUID(), message: text };
    const { revision } = await actor.watcher.client.request('edit message', data, FOR_EVER);
    this.revision = revision;
    group.edit(seq, text);
    actor.watcher.shown.set(`${roomId}/${seq}`, text);
  }

  async #delete(group: GroupModel, actor: Somebody): Promise<void> {
    const isAdmin = group.roleOf(actor.userId) !== 'member';
    const mine = group.said.filter(
      ({ senderId, seq, deletedBy }) =>
        (isAdmin || senderId === actor.userId) && deletedBy === undefined && group.canSee(actor.userId, seq),
    );
    if (mine.length === 0) return this.#send(group, actor);
    const { roomId } = group;
    const { seq, messageId } = pick(mine, this.random);
    const data = { roomId, messageId };
    this.revision = (await actor.watcher.client.request('delete message', data, FOR_EVER)).revision;
    group.delete(seq, actor.userId);
    actor.watcher.shown.set(`${roomId}/${seq}`, null);
  }

  async #add(group: GroupModel, actor: Somebody): Promise<void> {
    const { roomId } = group;
    const userIds = this.#some(2).map(({ userId }) => userId);
    const isIn = new Set(group.members);
    const answer = await actor.watcher.client.request('add members', { roomId, userIds }, FOR_EVER);
    this.revision = answer.revision;
    // A repeat after an answer that was lost adds nobody.
    expect(answer.refused).to.deep.equal([]);
    group.join(userIds.filter((userId) => !isIn.has(userId)));
  }

  async #leave(group: GroupModel, actor: Somebody): Promise<void> {
    const { roomId } = group;
    if (group.members.length < 3) return this.#add(group, actor);
    const target = pick(group.members, this.random);
    const isAllowed =
      target !== actor.userId && group.roleOf(actor.userId) !== 'member' && group.roleOf(target) !== 'owner';
    const { client } = actor.watcher;
    if (isAllowed) {
      const data = { roomId, userId: target };
      this.revision = (await client.request('remove member', data, FOR_EVER)).revision;
      return group.leave(target);
    }
    this.revision = (await client.request('leave group', { roomId }, FOR_EVER)).revision;
    group.leave(actor.userId);
  }

  async #changeRole(group: GroupModel, { userId: actor, watcher }: Somebody): Promise<void> {
    const { roomId } = group;
    const userId = pick(group.members, this.random);
    const role = pick(['owner', 'admin', 'member'] as const, this.random);
    const change = () => watcher.client.request('change role', { roomId, userId, role }, FOR_EVER);
    // By whomever.
    if (group.isLastOwner(userId) && role !== 'owner') return expectRefused(change(), 'conflict');
    if (group.roleOf(actor) !== 'owner') return expectRefused(change(), 'forbidden');
    this.revision = (await change()).revision;
    group.setRole(userId, role);
  }

  /** Somebody's device goes away, or comes back. */
  #toggle(): void {
    const { watcher } = pick(this.people, this.random);
    if (watcher.isOpen) watcher.close();
    else void watcher.client;
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

/** What somebody can fetch of a group, from whichever node. */
async function fetched({ watcher }: Somebody, roomId: string, revision: string | undefined): Promise<Seen[]> {
  const all: Seen[] = [];
  for (let after = 0; ; ) {
    const request = { roomId, after, limit: 50, ...(revision === undefined ? {} : { revision }) };
    const { messages, hasMore } = await watcher.client.request('fetch messages', request, FOR_EVER);
    for (const { seq, message } of messages) all.push({ seq, text: message });
    after = messages.at(-1)?.seq ?? after;
    if (!hasMore) return all;
  }
}

for (const kind of ['sqlite', 'nodes'] as const) {
  describe(`who may see what, of people who come and go (${kind})`, function () {
    this.timeout(1_800_000);
    const servers: ServerProcess[] = [];
    let people: Somebody[] = [];

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
    });
    after(async () => {
      for (const { watcher } of people) watcher.close();
      await Promise.all(servers.map((server) => server.kill()));
    });

    it(`is what a model says, for ${PEOPLE} people in ${GROUPS} groups, over ${KILLS} kills`, () =>
      withSeed(async (random) => {
        servers.push(...(await startAll(kind)));
        let turn = 0;
        const next = (): ServerProcess => {
          const server = servers[turn++ % servers.length];
          if (!server) throw new Error('no server was started');
          return server;
        };
        const place: Place = {
          get url() {
            return next().url;
          },
          get wsUrl() {
            return next().wsUrl;
          },
        };
        people = await Promise.all(
          Array.from({ length: PEOPLE }, async (_, n) => {
            const { user, username, password } = await signUp(place, `person-${n}`);
            const { token } = await new Rest(place.url).signIn(username, password);
            return { userId: user.userId, watcher: new Watcher(place, token) };
          }),
        );
        await Promise.all(people.map(({ watcher }) => watcher.client.ready));
        const script = new Script(people, random);
        for (let n = 0; n < GROUPS; n++) await script.create();
        for (let step = 1; step <= STEPS; step++) {
          await script.step();
          if (step % Math.floor(STEPS / (KILLS + 1)) !== 0) continue;
          const server = next();
          await server.kill();
          // With several nodes the others go on meanwhile.
          if (kind === 'nodes') await script.step();
          await server.start();
        }
        await compare(script);
      }));
  });
}

async function startAll(kind: Kind): Promise<ServerProcess[]> {
  const options = { env: { RATE_LIMIT: 'off', CONTACTS: 'open' } };
  if (kind !== 'nodes') return [await startServer({ engine: 'sqlite', ...options })];
  const env = {
    ...options.env,
    MONGO_URL: await freshDatabase(),
    NATS_URL: (await natsUrl()) ?? '',
    MASTER_KEY: Buffer.alloc(32, 5).toString('base64'),
  };
  const first = await startServer({ engine: 'mongodb', env });
  return [first, await startServer({ engine: 'mongodb', env })];
}

/** Every device comes back, and everybody has what the model says: once, in order, and nothing else. */
async function compare({ people, groups, revision }: Script): Promise<void> {
  for (const group of groups) {
    const { roomId } = group;
    for (const person of people) {
      const { userId, watcher } = person;
      const who = `user ${userId} in group ${roomId}`;
      if (!group.wasEverIn(userId)) {
        await expectRefused(fetched(person, roomId, revision), 'not_found');
        expect(
          watcher.pushed.filter((one) => one.roomId === roomId),
          who,
        ).to.deep.equal([]);
        continue;
      }
      const state = group.roleOf(userId) === undefined ? 'who has left' : 'who is a member';
      const texts = (seen: readonly Seen[]) => seen.map(({ seq, text }) => `${seq}: ${text}`);
      const all = await fetched(person, roomId, revision);
      expect(texts(all), `${who}, ${state}`).to.deep.equal(texts(group.seenBy(userId)));
      const pushes = () => watcher.pushed.filter((one) => one.roomId === roomId).map(({ seq }) => seq);
      const isOwn = (seq: number) => watcher.sent.has(`${roomId}/${seq}`);
      const due = group.pushedTo(userId).filter((seq) => !isOwn(seq));
      const others = () => pushes().filter((seq) => !isOwn(seq));
      await eventually(`${who} is pushed the last`, () => others().length >= due.length);
      expect(others(), who).to.deep.equal(due);
      const came = pushes();
      expect(came, `${who}: in order, once`).to.deep.equal([...new Set(came)].sort((a, b) => a - b));
      if (group.roleOf(userId) === undefined) continue;
      const isShown = () =>
        group
          .seenBy(userId)
          .filter(({ seq }) => due.includes(seq) && group.isInSince(userId, seq))
          .every(({ seq, text }) => watcher.shown.get(`${roomId}/${seq}`) === text);
      await eventually(`${who} is shown each message as it is now`, isShown);
    }
    await compareMembers(group, people);
  }
}

async function compareMembers(group: GroupModel, people: readonly Somebody[]): Promise<void> {
  const [first] = group.members;
  const asks = people.find(({ userId }) => userId === first);
  if (!asks) return;
  const { roomId } = group;
  const { members } = await asks.watcher.client.request('get members', { roomId, limit: 200 }, FOR_EVER);
  const roles = members.map(({ user, role }) => [user.userId, role] as const).sort();
  expect(roles).to.deep.equal(group.members.map((userId) => [userId, group.roleOf(userId)] as const).sort());
}
